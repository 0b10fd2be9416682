"""A plan as lines for a person: what, before → after, and what needs a word from them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Iterable, Iterator

from osg_site_iaas.declaration.read import printable
from osg_site_iaas.plan.model import Change, Op, Plan, Ref, unmarked

SIGNS = {Op.CREATE: "+", Op.ADOPT: "=", Op.UPDATE: "~", Op.DISABLE: "!", Op.REMOVE: "-"}
_VERBS = {
    Op.CREATE: "to create",
    Op.ADOPT: "to adopt",
    Op.UPDATE: "to update",
    Op.DISABLE: "to disable",
    Op.REMOVE: "to remove",
}
_UNSAID = ("tagged", "uploaded", "registered", "kept", "password_kept", "status", "tags", "enabled")
LONGEST = 60  # characters of a value before it is cut
LONGEST_ITEM = 200  # of one of a list, which has a line of its own


@dataclass(frozen=True)
class Line:
    """One line; ``style`` is the name of an operation, ``note`` or ``problem``: the caller has the colours."""

    text: str
    style: str = "note"


def lines(plan: Plan, *, unmanaged: int = 20) -> Iterator[Line]:
    """The whole plan, escaped; at most so many of the objects that are not ours."""
    for line in _lines(plan, unmanaged):
        yield Line(printable(line.text), line.style)


def _lines(plan: Plan, unmanaged: int) -> Iterator[Line]:
    for title, changes in _by_vo(plan.changes):
        yield Line(title, "title")
        for change in changes:
            yield from _change(change)
    if plan.held:
        yield Line("Waiting for a word from you", "title")
        for item in plan.held:
            yield Line(f"  . {item.ref}: {item.why}", "held")
    if plan.left:
        yield Line("Not as it was made; site.yml does not state it: left as it is", "title")
        for left in plan.left:
            words = ", ".join(f"{name} {_short(value)}" for name, value in sorted(left.attrs.items()))
            yield Line(f"  . {left.ref}: {words}", "held")
    if plan.unmanaged:
        yield Line("There, but not ours: never touched", "title")
        for ref in plan.unmanaged[:unmanaged]:
            yield Line(f"  ? {ref}", "unmanaged")
        if len(plan.unmanaged) > unmanaged:
            yield Line(f"  ? and {len(plan.unmanaged) - unmanaged} more: --unmanaged shows all", "unmanaged")
    if plan.unknown:
        yield Line("Not looked at", "title")
        for item in plan.unknown:
            yield Line(f"  ? {item.ref}: {item.why}", "problem")
    if plan.conflicts:
        yield Line("In the way", "title")
        for conflict in plan.conflicts:
            place = f" (line {conflict.at.line})" if conflict.at.line else ""
            yield Line(f"  x {conflict.ref}{place}: {conflict.why}", "problem")
            yield Line(f"      -> {conflict.todo}", "problem")
    yield Line(summary(plan), "title")


def summary(plan: Plan) -> str:
    """One sentence: what the plan comes to."""
    parts = [f"{plan.count(op)} {_VERBS[op]}" for op in Op if plan.count(op)]
    text = ", ".join(parts) if parts else "nothing to do"
    extra = [
        f"{number} {word}"
        for number, word in (
            (len(plan.held), "waiting for --prune"),
            (len(plan.left), "left as it is"),
            (len(plan.conflicts), "in the way"),
            (len(plan.unmanaged), "not ours"),
            (len(plan.unknown), "not looked at"),
        )
        if number
    ]
    tail = f" ({', '.join(extra)})" if extra else ""
    return f"Plan: {text}{tail}."


def _by_vo(changes: Iterable[Change]) -> Iterator[tuple[str, list[Change]]]:
    """The site's own changes first, then each VO's."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.vo or "", []).append(change)
    for vo in sorted(groups):
        yield (f"VO {vo}" if vo else "Site"), groups[vo]


def _change(change: Change) -> Iterator[Line]:
    style = change.op.value
    place = f"  (line {change.at.line})" if change.at.line else ""
    yield Line(f"  {SIGNS[change.op]} {change.ref}{place}", style)
    if change.op is Op.REMOVE:
        for name, number in sorted(change.contents.items()):
            if number:
                yield Line(f"      destroys {number} {name}", "problem")
        return
    if change.op is Op.CREATE:
        yield from _creation(change, style)
        return
    for name, value in sorted(change.after.items()):
        yield from _update(name, change.before.get(name), value, style)


def _creation(change: Change, style: str) -> Iterator[Line]:
    """What it will be, on one line, without what is empty, off or said for every object."""
    said = {**change.create, **change.after}
    if isinstance(said.get("description"), str):
        said["description"] = unmarked(said["description"])
    words = [
        f"{name} {_short(value)}"
        for name, value in sorted(said.items())
        if value not in (False, 0, "", None, [], {}) and name not in _UNSAID
    ]
    if words:
        yield Line(f"      {', '.join(words)}", style)


def _update(name: str, before: Any, after: Any, style: str) -> Iterator[Line]:
    if isinstance(before, list) and isinstance(after, list):
        gone = [item for item in before if item not in after]
        new = [item for item in after if item not in before]
        if gone or new:
            for item in gone:
                yield Line(f"      {name}: - {_short(item, LONGEST_ITEM)}", style)
            for item in new:
                yield Line(f"      {name}: + {_short(item, LONGEST_ITEM)}", style)
            return
    yield Line(f"      {name}: {_short(before)} → {_short(after)}", style)


def _short(value: Any, longest: int = LONGEST) -> str:
    if value is None:
        return "(none)"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
    text = printable(text)  # before it is cut: what is escaped is longer
    return text if len(text) <= longest else text[: longest - 1] + "…"


def heading(ref: Ref) -> str:
    """A reference as a progress display shows it."""
    return printable(f"{ref.kind.replace('_', ' ')} {'/'.join(ref.key)}")
