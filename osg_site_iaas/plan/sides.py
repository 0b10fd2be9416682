"""A plan as two texts, before and after, for tools that show the difference of texts."""

from __future__ import annotations

import json
from typing import Any, Iterator

from osg_site_iaas.plan.model import Attrs, Change, Op, Plan

_OTHERS, _OURS = {"ours": False}, {"ours": True}


def sides(plan: Plan) -> tuple[str, str]:
    """What the plan changes as it is, and as it will be: a heading an object, a line an attribute.

    Only what differs is there; an object that does not exist is missing from its side.
    """
    before: list[str] = []
    after: list[str] = []
    for change in sorted(plan.changes, key=lambda change: (change.vo or "", change.ref)):
        adopted = change.op is Op.ADOPT
        if change.op is not Op.CREATE:
            before += _block(change, {**_OTHERS, **change.before} if adopted else change.before)
        if change.op is not Op.REMOVE:
            said = {**change.create, **change.after} if change.op is Op.CREATE else change.after
            after += _block(change, {**_OURS, **said} if adopted else said)
    return "".join(before), "".join(after)


def _block(change: Change, attrs: Attrs) -> Iterator[str]:
    yield f"{change.ref}{f'  (VO {change.vo})' if change.vo else ''}\n"
    for name, value in sorted(attrs.items()):
        for line in _lines(value):
            yield f"  {name}: {line}\n"
    if change.op is Op.REMOVE:
        for name, number in sorted(change.contents.items()):
            if number:
                yield f"  holds: {number} {name}\n"


def _lines(value: Any) -> list[str]:
    """One line a value; a list has one for each of its items, so that a text diff shows which."""
    if isinstance(value, (list, tuple)):
        return [json.dumps(item, sort_keys=True, ensure_ascii=False, default=str) for item in value] or ["[]"]
    return [json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)]
