"""A plan that takes away more than anybody is likely to mean is refused."""

import pytest

from osg_site_iaas.errors import UnsafePlan
from osg_site_iaas.plan import safety
from osg_site_iaas.plan.model import Change, Op, Plan, Ref


def changes(number, kind="role", op=Op.REMOVE):
    return tuple(Change(op, Ref(kind, (str(i),)), takes_away=True) for i in range(number))


def plan(taken, existing, **more):
    return Plan(
        changes=changes(taken),
        managed={"role": existing},
        **{"vos_seen": ("cms",), "vos_wanted": ("cms",), **more},
    )


def test_a_plan_within_the_bound_passes():
    safety.check(plan(30, 100))


def test_a_plan_past_the_bound_is_refused_with_its_numbers():
    with pytest.raises(UnsafePlan, match=r"31 of 100 role objects \(31 %\); the bound is 30 %"):
        safety.check(plan(31, 100))


def test_one_kind_past_the_bound_is_enough_however_many_others_there_are():
    with pytest.raises(UnsafePlan, match="5 of 10 group objects"):
        safety.check(
            Plan(changes=changes(5, "group"), managed={"group": 10, "project": 1000}, vos_wanted=("cms",))
        )


def test_limits_that_shrink_everywhere_are_past_it_too():
    with pytest.raises(UnsafePlan, match="10 of 10 compute quota objects"):
        safety.check(
            Plan(
                changes=changes(10, "compute_quota", Op.UPDATE),
                managed={"compute_quota": 10, "project": 90},
                vos_wanted=("cms",),
            )
        )


def test_the_bound_can_be_raised():
    safety.check(plan(31, 100), max_taken=0.5)


def test_a_key_and_a_role_of_a_small_site_may_go():
    safety.check(plan(3, 5))


def test_the_last_vo_is_never_lost_by_accident():
    with pytest.raises(UnsafePlan, match="no VO at all"):
        safety.check(plan(1, 1000, vos_wanted=()))


def test_creating_is_always_safe():
    safety.check(Plan(changes=tuple(Change(Op.CREATE, Ref("role", (str(i),))) for i in range(99))))
