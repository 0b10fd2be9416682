"""What is in the way holds up what needs it and its VO, and never what takes access away."""

from __future__ import annotations

from osg_site_iaas.plan.model import Change, Conflict, Op, Plan, Ref
from osg_site_iaas.plan.partial import possible

WEB = Ref("security_group", ("cms", "web"))


def change(op, name, vo=None, kind="group", **more):
    return Change(op, Ref(kind, (name,)), vo=vo, **more)


def left(conflict, *changes):
    return [c.ref.key[0] for c in possible(Plan(changes=changes, conflicts=(conflict,))).changes]


def test_without_a_conflict_nothing_waits():
    plan = Plan(changes=(change(Op.CREATE, "a"),))
    assert possible(plan) is plan


def test_in_a_vo_it_holds_up_that_vo_and_no_other():
    conflict = Conflict(WEB, "", "", vo="cms")
    changes = (change(Op.CREATE, "a", "cms"), change(Op.UPDATE, "b", "ligo"), change(Op.CREATE, "site"))
    assert left(conflict, *changes) == ["b", "site"]


def test_in_what_is_the_sites_own_it_holds_up_everybody():
    conflict = Conflict(Ref("flavour", ("big",)), "", "")
    assert left(conflict, change(Op.CREATE, "a", "cms"), change(Op.UPDATE, "b")) == []


def test_what_takes_away_goes_on_wherever_it_is():
    changes = (
        change(Op.REMOVE, "key", "cms", "ec2_credential", takes_away=1),
        change(Op.DISABLE, "project", "cms", "project", takes_away=1),
        change(Op.UPDATE, "user", "cms", "user", takes_away=1),
    )
    for conflict in (Conflict(WEB, "", "", vo="cms"), Conflict(Ref("flavour", ("big",)), "", "")):
        assert left(conflict, *changes) == ["key", "project", "user"]


def test_what_needs_something_that_waits_waits_too_through_any_number():
    conflict = Conflict(WEB, "", "", vo="cms")
    group, role = Ref("group", ("new",)), Ref("role", ("r",))
    changes = (
        change(Op.CREATE, "new", "cms"),
        change(Op.CREATE, "r", "ligo", "role", needs=(group,)),
        change(Op.UPDATE, "map", None, "mapping", needs=(role,), takes_away=1),
        change(Op.REMOVE, "gone", "ligo", "role", needs=(group,)),
    )
    assert left(conflict, *changes) == ["gone"]
