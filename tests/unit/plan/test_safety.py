"""A plan that takes away more than anybody is likely to mean is refused."""

import math

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


def vos(number, lost, op=Op.REMOVE):
    """A plan of a site with so many VOs that takes something from the first few, which it does not want any more."""
    names = tuple(f"vo{i}" for i in range(number))
    taken = tuple(Change(op, Ref("project", (name,)), vo=name, takes_away=True) for name in names[:lost])
    return Plan(changes=taken, managed={"project": number}, vos_seen=names, vos_wanted=names[lost:])


@pytest.mark.parametrize("op", [Op.REMOVE, Op.DISABLE, Op.UPDATE])
def test_the_last_vo_is_never_lost_by_accident(op):
    with pytest.raises(UnsafePlan, match="leaves no VO at all; 1 would lose their access: vo0"):
        safety.check(vos(1, 1, op))


@pytest.mark.parametrize("number, lost, share", [(2, 1, 50), (3, 1, 33), (4, 3, 75), (10, 4, 40)])
def test_vos_are_few_so_none_of_them_goes_free(number, lost, share):
    with pytest.raises(UnsafePlan, match=rf"{lost} of {number} VOs \({share} %\)"):
        safety.check(vos(number, lost))


def test_a_vo_of_many_may_go():
    safety.check(vos(4, 1))
    safety.check(vos(2, 1), max_taken=0.5)


def test_a_vo_that_lost_everything_before_is_not_lost_again():
    made = vos(3, 0)
    safety.check(Plan(managed=made.managed, vos_seen=made.vos_seen, vos_wanted=("vo2",)))


def test_what_one_change_takes_counts_as_often_as_it_says():
    one = Change(Op.UPDATE, Ref("mapping", ("grid",)), takes_away=5)
    with pytest.raises(UnsafePlan, match=r"5 of 10 mapping objects"):
        safety.check(Plan(changes=(one,), managed={"mapping": 10}))


@pytest.mark.parametrize("bound", [math.nan, math.inf, -0.1, 1.01])
def test_a_bound_that_is_no_share_bounds_nothing_and_is_refused(bound):
    with pytest.raises(UnsafePlan, match="is no bound"):
        safety.check(plan(100, 100), max_taken=bound)


def test_creating_is_always_safe():
    safety.check(Plan(changes=tuple(Change(Op.CREATE, Ref("role", (str(i),))) for i in range(99))))
