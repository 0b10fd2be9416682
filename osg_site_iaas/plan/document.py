"""A plan as JSON, and the checksum by which the same plan is known again."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Iterable, Mapping

from osg_site_iaas.plan.model import Attrs, Change, Plan, Ref, Seen

FORMAT = 1


def to_data(plan: Plan) -> dict[str, Any]:
    """The plan as JSON-able data; the same plan always gives the same data. It holds no secret."""
    return {
        "format": FORMAT,
        "checksum": checksum(plan),
        "summary": {
            **dict.fromkeys(("create", "adopt", "update", "disable", "remove"), 0),
            **_tally(change.op.value for change in plan.changes),
            "held": len(plan.held),
            "conflicts": len(plan.conflicts),
            "unmanaged": len(plan.unmanaged),
            "unknown": len(plan.unknown),
            "left": len(plan.left),
            "managed": dict(sorted(plan.managed.items())),
        },
        "changes": [_change(change) for change in plan.changes],
        "held": [{**_ref(item.ref), "why": item.why} for item in plan.held],
        "conflicts": [
            {**_ref(item.ref), "why": item.why, "todo": item.todo, "line": item.at.line}
            for item in plan.conflicts
        ],
        "unmanaged": [_ref(ref) for ref in plan.unmanaged],
        "unknown": [{**_ref(item.ref), "why": item.why} for item in plan.unknown],
        "left": [{**_ref(item.ref), "vo": item.vo, "attrs": _attrs(item.attrs)} for item in plan.left],
    }


def checksum(plan: Plan) -> str:
    """SHA-256 over what would be done, and to which objects; positions in site.yml do not count."""
    steps = []
    for change in plan.changes:
        step = _change(change)
        step.pop("line", None)
        steps.append(step)
    text = json.dumps(steps, sort_keys=True, separators=(",", ":"), default=_plain)
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def seen_to_data(seen: Iterable[Seen]) -> list[dict[str, Any]]:
    """Observations as JSON-able data, to be kept and planned from later."""
    return [
        {
            **_ref(item.ref),
            "id": item.id,
            "attrs": _attrs(item.attrs),
            "ours": item.ours,
            "needs": [[need.kind, list(need.key)] for need in item.needs],
            "vo": item.vo,
            "contents": _attrs(item.contents),
            "defaults": _attrs(item.defaults),
            "other": item.other,
        }
        for item in seen
    ]


def seen_from_data(data: Iterable[Mapping[str, Any]]) -> list[Seen]:
    """The inverse of ``seen_to_data``."""
    return [
        Seen(
            ref=Ref(item["kind"], tuple(item["key"])),
            id=item["id"],
            attrs=item["attrs"],
            ours=item["ours"],
            needs=tuple(Ref(kind, tuple(key)) for kind, key in item["needs"]),
            vo=item["vo"],
            contents=item["contents"],
            defaults=item["defaults"],
            other=item.get("other", ""),
        )
        for item in data
    ]


def _change(change: Change) -> dict[str, Any]:
    return {
        "op": change.op.value,
        **_ref(change.ref),
        "id": change.id,
        "vo": change.vo,
        "line": change.at.line,
        "before": _attrs(change.before),
        "after": _attrs(change.after),
        "create": _attrs(change.create),
        "contents": _attrs(change.contents),
    }


def _ref(ref: Ref) -> dict[str, Any]:
    return {"kind": ref.kind, "key": list(ref.key)}


def _attrs(attrs: Attrs) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(dict(attrs), sort_keys=True, default=_plain))
    return plain


def _plain(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value)
    raise TypeError(f"{value!r} has no place in a plan")


def _tally(words: Iterable[str]) -> dict[str, int]:
    result: dict[str, int] = {}
    for word in words:
        result[word] = result.get(word, 0) + 1
    return result
