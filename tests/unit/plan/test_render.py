"""What a person reads of a plan."""

from osg_site_iaas.declaration.model import Position
from osg_site_iaas.plan.model import Change, Conflict, Held, Op, Plan, Ref
from osg_site_iaas.plan.render import lines, summary


def text(plan, **options):
    return [line.text for line in lines(plan, **options)]


def test_an_empty_plan_says_so_in_one_line():
    assert text(Plan()) == ["Plan: nothing to do."]


def test_an_update_shows_before_and_after():
    change = Change(
        Op.UPDATE, Ref("compute_quota", ("cms",)), {"cores": 10}, {"cores": 20}, vo="cms", at=Position(4)
    )
    assert text(Plan(changes=(change,))) == [
        "VO cms",
        "  ~ compute_quota cms  (line 4)",
        "      cores: 10 → 20",
        "Plan: 1 to update.",
    ]


def test_a_list_shows_only_what_comes_and_goes():
    change = Change(Op.UPDATE, Ref("r", ("x",)), {"rules": ["a", "b"]}, {"rules": ["b", "c"]})
    assert text(Plan(changes=(change,)))[2:4] == ["      rules: - a", "      rules: + c"]


def test_destruction_is_spelled_out():
    change = Change(Op.REMOVE, Ref("project", ("cms",)), vo="cms", contents={"servers": 3, "volumes": 0})
    assert "      destroys 3 servers" in text(Plan(changes=(change,)))


def test_control_characters_in_a_value_cannot_move_the_cursor():
    change = Change(Op.CREATE, Ref("project", ("cms",)), after={"description": "a\x1b[2Jb\nc"})
    assert text(Plan(changes=(change,)))[2] == "      description a\\u001b[2Jb\\nc"


def test_many_strangers_are_counted():
    plan = Plan(unmanaged=tuple(Ref("project", (str(i),)) for i in range(5)))
    assert text(plan, unmanaged=2)[-2:] == [
        "  ? and 3 more: --unmanaged shows all",
        "Plan: nothing to do (5 not ours).",
    ]


def test_the_summary_counts_everything_that_waits():
    plan = Plan(
        changes=(Change(Op.CREATE, Ref("a", ("1",))), Change(Op.REMOVE, Ref("a", ("2",)))),
        held=(Held(Ref("b", ("1",)), "why"),),
        conflicts=(Conflict(Ref("c", ("1",)), "why", "todo"),),
    )
    assert summary(plan) == "Plan: 1 to create, 1 to remove (1 waiting for --prune, 1 in the way)."
