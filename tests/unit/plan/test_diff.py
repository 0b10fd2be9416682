"""The life of an object, case by case (the numbers are those of plan/diff.py)."""

import pytest

from osg_site_iaas.plan.diff import adoptions, diff
from osg_site_iaas.plan.model import KindRule, Op, Prune, Ref, Removal, Seen, Wanted

RULES = {
    "project": KindRule("project", Removal.PRUNE, disable={"enabled": False}),
    "flavour": KindRule("flavour", Removal.PRUNE),
    "role": KindRule("role", Removal.WITHDRAW),
    "quota": KindRule("quota", Removal.NEVER, limits=True),
    "access": KindRule("access", Removal.WITHDRAW, derived=True),
    "image": KindRule("image", Removal.PRUNE, opens={"visibility": ("public", "shared", "private")}),
    "mapping": KindRule("mapping", Removal.WITHDRAW, parts=lambda attrs: frozenset(attrs["rules"])),
}
CMS = Ref("project", ("cms",))


def plan(wanted=(), seen=(), **options):
    return diff(wanted, seen, RULES, **options)


def ops(made):
    return [(change.op, str(change.ref)) for change in made.changes]


def test_what_is_declared_and_absent_is_created_with_all_it_says():
    made = plan([Wanted(CMS, {"enabled": True}, create={"colour": "red"}, vo="cms")])
    (change,) = made.changes
    assert (change.op, change.after, change.create) == (Op.CREATE, {"enabled": True}, {"colour": "red"})


def test_only_declared_attributes_are_compared():
    made = plan(
        [Wanted(CMS, {"enabled": True})], [Seen(CMS, "1", {"enabled": True, "tags": ["x"]}, ours=True)]
    )
    assert made.changes == ()


def test_an_update_names_only_what_differs_on_both_sides():
    seen = Seen(CMS, "1", {"enabled": False, "description": "same"}, ours=True)
    made = plan([Wanted(CMS, {"enabled": True, "description": "same"})], [seen])
    (change,) = made.changes
    assert (change.op, change.before, change.after, change.id) == (
        Op.UPDATE,
        {"enabled": False},
        {"enabled": True},
        "1",
    )


def test_an_attribute_that_the_service_does_not_answer_is_none_before():
    made = plan([Wanted(CMS, {"ttl": 5})], [Seen(CMS, "1", {}, ours=True)])
    assert made.changes[0].before == {"ttl": None}


def test_a_creation_attribute_that_cannot_be_seen_is_not_compared():
    made = plan([Wanted(CMS, {}, create={"source": "file:x"})], [Seen(CMS, "1", {}, ours=True)])
    assert (made.changes, made.conflicts) == ((), ())


@pytest.mark.parametrize("ours, adopt", [(True, False), (False, True)])
def test_what_can_only_be_said_at_the_creation_is_a_conflict_when_it_differs(ours, adopt):
    wanted = Wanted(CMS, {"enabled": True}, create={"cidr": "192.0.2.0/25"})
    seen = Seen(CMS, "1", {"enabled": False, "cidr": "192.0.2.0/24"}, ours=ours)
    made = plan([wanted], [seen], adopt=adopt)
    assert made.changes == ()
    assert [c.why for c in made.conflicts] == ["its cidr is 192.0.2.0/24, and cannot become 192.0.2.0/25"]


def test_the_same_creation_attribute_is_no_conflict():
    wanted = Wanted(CMS, {}, create={"cidr": "192.0.2.0/24"})
    assert plan([wanted], [Seen(CMS, "1", {"cidr": "192.0.2.0/24"}, ours=True)]).conflicts == ()


def test_what_is_ours_by_its_ends_is_never_in_the_way_of_its_own_accord():
    ref = Ref("access", ("a",))
    for adopt in (False, True):
        made = plan([Wanted(ref)], [Seen(ref, "1", ours=False)], adopt=adopt)
        assert (made.changes, made.conflicts) == ((), ())
    made = plan([Wanted(ref, {"status": "accepted"})], [Seen(ref, "1", {"status": "pending"})])
    assert ops(made) == [(Op.UPDATE, "access a")]


def test_of_two_with_one_name_ours_is_the_one_that_is_meant():
    seen = [Seen(CMS, "2", {"enabled": True}), Seen(CMS, "1", {"enabled": True}, ours=True)]
    made = plan([Wanted(CMS, {"enabled": True})], seen)
    assert (made.changes, made.conflicts) == ((), ())
    assert made.unmanaged == (Ref("project", ("cms", "2")),)


def test_a_second_one_of_ours_waits_for_a_word():
    seen = [Seen(CMS, id, {"enabled": False}, ours=True) for id in "12"]
    assert [item.ref for item in plan([Wanted(CMS)], seen).held] == [Ref("project", ("cms", "2"))]
    assert ops(plan([Wanted(CMS)], seen, prune=Prune(True))) == [(Op.REMOVE, "project cms/2")]


def test_none_of_two_strangers_with_one_name_can_be_adopted():
    made = plan([Wanted(CMS)], [Seen(CMS, "1"), Seen(CMS, "2")], adopt=True)
    assert made.changes == ()
    assert [c.why for c in made.conflicts] == ["exists 2 times, and none was made by osg-site-iaas"]


def test_what_exists_and_is_not_ours_is_a_conflict_not_a_change():
    made = plan([Wanted(CMS, {"enabled": True})], [Seen(CMS, "1", {"enabled": False})])
    assert made.changes == ()
    assert [conflict.ref for conflict in made.conflicts] == [CMS]


def test_adopting_makes_it_what_is_declared():
    made = plan([Wanted(CMS, {"enabled": True})], [Seen(CMS, "1", {"enabled": False})], adopt=True)
    assert ops(made) == [(Op.ADOPT, "project cms")]
    assert made.conflicts == ()


def test_adopting_changes_nothing_but_the_mark_where_there_is_one():
    rules = {**RULES, "project": KindRule("project", Removal.PRUNE, marks=("tags",))}
    wanted = Wanted(CMS, {"enabled": True, "tags": ["ours"]})
    (change,) = diff([wanted], [Seen(CMS, "1", {"enabled": False, "tags": []})], rules, adopt=True).changes
    assert (change.op, change.after) == (Op.ADOPT, {"tags": ["ours"]})


def test_an_adoption_alone_creates_and_removes_nothing():
    wanted = [Wanted(CMS, {"tag": True}), Wanted(Ref("project", ("new",)), {})]
    seen = [Seen(CMS, "1", {"tag": False}), Seen(Ref("role", ("r",)), "2", ours=True)]
    assert ops(adoptions(plan(wanted, seen, adopt=True))) == [(Op.ADOPT, "project cms")]


def test_what_is_borrowed_and_not_ours_is_used_as_it_is():
    made = plan([Wanted(CMS, {"enabled": True}, borrowed=True)], [Seen(CMS, "1", {"enabled": False})])
    assert (made.changes, made.conflicts) == ((), ())


def test_access_that_is_no_longer_declared_is_withdrawn_without_being_asked():
    made = plan([], [Seen(Ref("role", ("r",)), "1", ours=True)])
    assert ops(made) == [(Op.REMOVE, "role r")]
    assert made.changes[0].takes_away


def test_what_holds_data_waits_for_a_word():
    made = plan([], [Seen(CMS, "1", {"enabled": True}, ours=True, vo="cms")])
    assert made.changes == ()
    assert [item.ref for item in made.held] == [CMS]


def test_pruning_disables_first_even_when_destruction_is_allowed():
    seen = [Seen(CMS, "1", {"enabled": True}, ours=True, vo="cms", contents={"servers": 2})]
    made = plan([], seen, prune=Prune(True, frozenset({"cms"})))
    assert ops(made) == [(Op.DISABLE, "project cms")]


def test_a_disabled_empty_object_is_removed():
    made = plan([], [Seen(CMS, "1", {"enabled": False}, ours=True, vo="cms")], prune=Prune(True))
    assert ops(made) == [(Op.REMOVE, "project cms")]


def test_a_disabled_object_that_holds_something_is_held_and_says_what():
    seen = [Seen(CMS, "1", {"enabled": False}, ours=True, vo="cms", contents={"servers": 2, "volumes": 0})]
    made = plan([], seen, prune=Prune(True))
    assert made.changes == ()
    assert made.held[0].why == "still holds 2 servers; empty it, or add --destroy cms"


def test_destruction_needs_the_right_name():
    seen = [Seen(CMS, "1", {"enabled": False}, ours=True, vo="cms", contents={"servers": 2})]
    assert plan([], seen, prune=Prune(True, frozenset({"atlas"}))).changes == ()
    assert ops(plan([], seen, prune=Prune(True, frozenset({"cms"})))) == [(Op.REMOVE, "project cms")]


def test_what_is_in_a_project_that_is_only_disabled_yet_stays_while_it_is_in_use():
    net = Ref("flavour", ("net",))
    inside = Seen(net, "2", ours=True, needs=(CMS,), vo="cms", contents={"ports": 1})
    allowed = Prune(True, frozenset({"cms"}))
    made = plan([], [Seen(CMS, "1", {"enabled": True}, ours=True, vo="cms"), inside], prune=allowed)
    assert ops(made) == [(Op.DISABLE, "project cms")]
    assert [item.why for item in made.held] == ["still holds 1 ports; it goes with project cms"]
    disabled = Seen(CMS, "1", {"enabled": False}, ours=True, vo="cms", contents={"servers": 1})
    assert ops(plan([], [disabled, inside], prune=allowed)) == [
        (Op.REMOVE, "flavour net"),
        (Op.REMOVE, "project cms"),
    ]


def test_a_kind_without_a_stage_of_being_disabled_is_removed_at_once():
    made = plan([], [Seen(Ref("flavour", ("f",)), "1", ours=True)], prune=Prune(True))
    assert ops(made) == [(Op.REMOVE, "flavour f")]


def test_what_is_not_ours_and_not_declared_is_reported_and_left():
    made = plan([], [Seen(CMS, "1"), Seen(Ref("role", ("r",)), "2")], prune=Prune(True, frozenset({"cms"})))
    assert made.changes == ()
    assert made.unmanaged == (CMS, Ref("role", ("r",)))


def test_limits_are_never_removed():
    assert (
        plan([], [Seen(Ref("quota", ("cms",)), "1", {"cores": 5}, ours=True)], prune=Prune(True)).changes
        == ()
    )


def quota(before, after):
    ref = Ref("quota", ("cms",))
    return (
        plan([Wanted(ref, {"cores": after})], [Seen(ref, "1", {"cores": before}, ours=True)])
        .changes[0]
        .takes_away
    )


def test_a_lower_limit_takes_away_and_a_higher_does_not():
    assert quota(10, 5)
    assert not quota(5, 10)


def test_minus_one_is_no_limit():
    assert quota(-1, 5)
    assert not quota(5, -1)
    assert quota(-1, 0)


def taken(kind, before, after):
    """How much a change of one object of ours takes away."""
    ref = Ref(kind, ("a",))
    made = plan([Wanted(ref, after)] if after else [], [Seen(ref, "1", before, ours=True)], prune=Prune(True))
    return [int(change.takes_away) for change in made.changes]


def test_putting_out_of_use_takes_away_and_putting_into_use_does_not():
    assert taken("project", {"enabled": True}, {"enabled": False}) == [1]
    assert taken("project", {"enabled": False}, {"enabled": True}) == [0]


def test_what_fewer_may_see_than_before_is_taken_away():
    assert taken("image", {"visibility": "public"}, {"visibility": "private"}) == [1]
    assert taken("image", {"visibility": "shared"}, {"visibility": "private"}) == [1]
    assert taken("image", {"visibility": "private"}, {"visibility": "public"}) == [0]
    assert taken("image", {"visibility": "public", "min": 5}, {"visibility": "public", "min": 0}) == [0]


def test_of_what_has_parts_each_part_that_goes_counts():
    assert taken("mapping", {"rules": ["a", "b", "c"]}, {"rules": ["b", "d"]}) == [2]
    assert taken("mapping", {"rules": ["a"]}, {"rules": ["a", "b"]}) == [0]
    assert taken("mapping", {"rules": ["a", "b"]}, None) == [2]


def test_of_what_has_parts_each_is_managed():
    seen = [Seen(Ref("mapping", (name,)), "1", {"rules": ["a", "b"]}, ours=True) for name in "xy"]
    assert plan([], seen).managed == {"mapping": 4}


def test_the_same_world_gives_the_same_plan_in_any_order():
    wanted = [Wanted(Ref("project", (name,)), {}) for name in "cab"]
    assert plan(wanted) == plan(reversed(wanted))
