"""Every kind on the real service: made, nothing to do, changed by hand, declared otherwise, no longer declared.

Each stage is one run for all kinds together; the tests then look at their own kind's part of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from osg_site_iaas.cloud.kinds import BY_NAME, KINDS
from osg_site_iaas.plan.model import unmarked
from tests.sandbox.reconcile_cases import CASES, Case, whole
from tests.sandbox.reconcile_kit import Rig, change, ops, shared_rig  # noqa: F401

# of what site.yml can declare; who is put into a group by hand is test_reconcile_drift's
DECLARED = [kind.name for kind in KINDS if kind.name != "group_member"]

pytestmark = pytest.mark.sandbox
each = pytest.mark.parametrize("case", CASES, ids=str)
SAME = (0, [])  # exit code and changes of a plan with nothing to do


@dataclass(frozen=True)
class Stage:
    """A plan, what apply made of it, and the plan after it."""

    plan: Any
    text: str
    after: Any
    ids: dict[tuple[str, ...], str]


def run(rig: Rig, *words: str) -> Stage:
    text = rig.run("plan", *words).out
    plan = rig.plan(*words)
    rig.apply(*words)
    record = rig.folder / "seen.json"
    after = rig.run("plan", "--json", "--record", str(record), *words)
    return Stage(plan, text, after.data, seen_ids(record))


def seen_ids(record: Any) -> dict[tuple[str, ...], str]:
    return {(item["kind"], *item["key"]): item["id"] for item in json.loads(record.read_text())["seen"]}


def skip_without(rig: Rig, case: Case) -> None:
    if case.kind == "volume_quota" and not rig.hand.has("volume"):
        pytest.skip("this sandbox has no volume service")


@pytest.fixture(scope="module")
def built(shared_rig: Rig) -> Stage:  # noqa: F811
    shared_rig.write(**whole(shared_rig))
    return run(shared_rig)


@pytest.fixture(scope="module")
def drifted(shared_rig: Rig, built: Stage) -> Stage:  # noqa: F811
    for case in CASES:
        if case.by_hand and (case.kind != "volume_quota" or shared_rig.hand.has("volume")):
            case.by_hand(shared_rig, built.ids[(case.kind, *case.ref(shared_rig.tag))])
    return run(shared_rig)


@pytest.fixture(scope="module")
def redeclared(shared_rig: Rig, drifted: Stage) -> Stage:  # noqa: F811
    def all_of_them(data: dict[str, Any]) -> None:
        for case in CASES:
            if case.declare and (case.kind != "volume_quota" or shared_rig.hand.has("volume")):
                case.declare(data, shared_rig.tag)

    shared_rig.rewrite(all_of_them)
    return run(shared_rig)


@dataclass(frozen=True)
class End:
    """The plans of an undeclared site: without --prune, then twice with it, and a last one."""

    withdraw: Any
    first: Any
    second: Any
    last: Any


@pytest.fixture(scope="module")
def undeclared(shared_rig: Rig, redeclared: Stage) -> End:  # noqa: F811
    t = shared_rig.tag
    shared_rig.write(
        identity_providers={f"other-{t}": {"type": "x509"}},
        vos={"icecube": {"access": shared_rig.say["vos"]["icecube"]["access"]}},
    )
    plans = []
    for words in (["--force"], ["--force", "--prune"], ["--force", "--prune"]):
        plans.append(shared_rig.plan(*words))
        shared_rig.apply(*words)
    return End(*plans, shared_rig.plan("--prune"))


def test_every_kind_has_a_case():
    assert [case.kind for case in CASES] == DECLARED


def test_every_case_says_what_its_kinds_rule_says():
    stages = {
        "never": (),
        "withdraw": ("remove",),
        "prune": ("held", "remove"),
    }
    for kind, case in ((BY_NAME[case.kind], case) for case in CASES):
        expected = stages[kind.rule.removal.value]
        if kind.rule.disable:
            expected = (expected[0], "disable", *expected[1:])
        assert (kind.name, case.end) == (kind.name, expected)


@each
def test_it_is_made(case: Case, built: Stage, shared_rig: Rig):  # noqa: F811
    skip_without(shared_rig, case)
    assert change(built.plan, case.kind, *case.ref(shared_rig.tag))["op"] == "create"
    assert (case.kind, *case.ref(shared_rig.tag)) in built.ids


def test_the_second_time_there_is_nothing_to_do(built: Stage):
    assert ops(built.after) == []


@each
def test_what_is_changed_by_hand_is_shown_with_both_sides(case: Case, drifted: Stage, shared_rig: Rig):  # noqa: F811
    skip_without(shared_rig, case)
    found = change(drifted.plan, case.kind, *case.ref(shared_rig.tag))
    if case.gone:
        assert found["op"] == "create"
    else:
        assert ("update", expected(case.drift, shared_rig.tag)) == (found["op"], sides(found))


def test_the_text_shows_before_and_after(drifted: Stage):
    assert "      cores: 7 → 20\n" in drifted.text
    assert "      rules: - ingress IPv4 tcp 22\n" in drifted.text
    assert "      subnets: + " in drifted.text


def test_nothing_else_is_in_the_plan(drifted: Stage, shared_rig: Rig):  # noqa: F811
    expected = {
        (case.kind, case.ref(shared_rig.tag))
        for case in CASES
        if case.by_hand and (case.kind != "volume_quota" or shared_rig.hand.has("volume"))
    }
    assert {(c["kind"], tuple(c["key"])) for c in drifted.plan["changes"]} == expected


def test_what_was_changed_by_hand_is_put_right(drifted: Stage):
    assert ops(drifted.after) == []


@each
def test_what_is_declared_otherwise_is_changed(case: Case, redeclared: Stage, shared_rig: Rig):  # noqa: F811
    skip_without(shared_rig, case)
    if not case.declare:
        pytest.skip("site.yml says nothing of this kind that could be said otherwise")
    found = change(redeclared.plan, case.kind, *case.ref(shared_rig.tag))
    assert ("update", expected(case.declared, shared_rig.tag)) == (found["op"], sides(found))


def test_after_that_there_is_nothing_to_do_either(redeclared: Stage):
    assert ops(redeclared.after) == []


@each
def test_it_goes_in_its_stages_when_it_is_no_longer_declared(case: Case, undeclared: End, shared_rig: Rig):  # noqa: F811
    skip_without(shared_rig, case)
    key = case.ref(shared_rig.tag)
    seen = tuple(
        stage
        for plan in (undeclared.withdraw, undeclared.first, undeclared.second, undeclared.last)
        for stage in [stage_of(plan, case.kind, key)]
        if stage
    )
    assert case.end == seen


def test_nothing_of_ours_is_left_over(undeclared: End):
    assert (ops(undeclared.last), undeclared.last["held"]) == ([], [])


def stage_of(plan: Any, kind: str, key: tuple[str, ...]) -> str:
    for found in plan["changes"]:
        if found["kind"] == kind and tuple(found["key"][: len(key)]) == key:
            return str(found["op"])
    return "held" if any(h["kind"] == kind and tuple(h["key"]) == key for h in plan["held"]) else ""


def sides(found: Any) -> dict[str, tuple[Any, Any]]:
    """Before and after of a change, as the cases write them: descriptions without our mark, rules by number."""
    return {
        name: (plain(name, found["before"][name]), plain(name, after))
        for name, after in found["after"].items()
    }


def plain(name: str, value: Any) -> Any:
    if name == "rules":
        return len(value)
    return unmarked(value) if name == "description" and value else value


def expected(said: Any, tag: str) -> dict[str, tuple[Any, Any]]:
    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        return value.replace("{t}", tag) if isinstance(value, str) else value

    return {name: (fill(before), fill(after)) for name, (before, after) in said.items()}
