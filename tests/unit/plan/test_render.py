"""What a person reads of a plan."""

from osg_site_iaas.declaration.model import Position
from osg_site_iaas.plan.model import Change, Conflict, Held, Left, Op, Plan, Ref
from osg_site_iaas.plan.render import heading, lines, summary


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
    assert text(Plan(changes=(change,)))[2] == "      description a\\x1b[2Jb\\nc"


EVIL = "a\x1b[2J\nVO\x9b1A\u202eb\u2066\r"
TAME = r"a\x1b[2J\nVO\x9b1A\u202eb\u2066\r"


def test_a_name_that_a_tenant_has_written_stays_one_line_of_text():
    ref = Ref("network", (EVIL,))
    plan = Plan(
        changes=(
            Change(Op.REMOVE, ref, vo=EVIL),
            Change(Op.UPDATE, Ref("r", ("x",)), {"n": [EVIL]}, {"n": []}),
        ),
        held=(Held(ref, f"why {EVIL}"),),
        conflicts=(Conflict(ref, "why", f"do {EVIL}"),),
        unmanaged=(ref,),
        unknown=(Held(ref, "why"),),
    )
    shown = text(plan)
    assert [line for line in shown if not line.isprintable()] == []
    assert {f"VO {TAME}", f"  - network {TAME}", f"      n: - {TAME}", f"  ? network {TAME}"} < set(shown)
    assert heading(ref) == f"network {TAME}"


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


def test_what_is_left_as_it_is_is_shown_and_nothing_to_do():
    plan = Plan(left=(Left(Ref("project", ("cms",)), {"enabled": False}, "cms"),))
    assert text(plan) == [
        "Not as it was made; site.yml does not state it: left as it is",
        "  . project cms: enabled false",
        "Plan: nothing to do (1 left as it is).",
    ]
