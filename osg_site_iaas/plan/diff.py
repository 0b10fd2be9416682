"""From what is wanted and what was seen to a plan. Values in, values out.

The life of an object:

1. declared, absent: create.
2. declared, ours: update the declared attributes that differ; attributes that are not declared are left alone, and
   shown where they are not as they were made.
3. declared, there, not ours: a conflict, until ``adopt`` puts our mark on it. What else differs is then case 2.
4. ours, no longer declared, gives access: remove.
5. ours, no longer declared, holds data or machines: held; with ``--prune`` it is disabled first, and removed by
   a later run once it is empty, or once its VO is named with ``--destroy``.
6. not ours, not declared: reported, never touched.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterable, Iterator, Mapping, Optional, Union

from osg_site_iaas.plan.model import (
    Attrs,
    Change,
    Conflict,
    Held,
    KindRule,
    Left,
    Op,
    Plan,
    Prune,
    Ref,
    Removal,
    Seen,
    Wanted,
)

_NO_PRUNE = Prune()
_IN_USE = {"enabled": (True, False)}  # means the same in every kind that has it
_End = Union[Change, Held, None]


def diff(
    wanted: Iterable[Wanted],
    seen: Iterable[Seen],
    rules: Mapping[str, KindRule],
    *,
    prune: Prune = _NO_PRUNE,
    adopt: bool = False,
    conflicts: Iterable[Conflict] = (),
) -> Plan:
    """The plan that makes ``seen`` what ``wanted`` says; ``conflicts`` found elsewhere are carried along."""
    want = {item.ref: item for item in wanted}
    have = {item.ref: item for item in apart(seen)}
    changes: list[Change] = []
    clashes = list(conflicts)
    for item in want.values():
        step = _declared(item, have.get(item.ref), rules[item.ref.kind], adopt)
        if isinstance(step, Change):
            changes.append(step)
        elif step is not None:
            clashes.append(step)
    # what another site has made is no drift of this one
    unmanaged = [ref for ref, there in have.items() if ref not in want and not there.ours and not there.other]
    ends = {
        ref: _undeclared(there, rules[ref.kind], prune)
        for ref, there in have.items()
        if ref not in want and there.ours
    }
    ends = {ref: _in_turn(end, ends) for ref, end in ends.items()}
    changes.extend(end for end in ends.values() if isinstance(end, Change))
    held = [end for end in ends.values() if isinstance(end, Held)]
    managed: dict[str, int] = {}
    for there in have.values():
        if there.ours:
            size = _size(rules[there.ref.kind], there.attrs)
            managed[there.ref.kind] = managed.get(there.ref.kind, 0) + size
    return Plan(
        changes=tuple(sorted(changes, key=lambda change: (change.ref, change.op.value))),
        held=tuple(sorted(held, key=lambda item: item.ref)),
        conflicts=tuple(sorted(clashes, key=lambda item: (item.at.line, item.ref))),
        unmanaged=tuple(sorted(unmanaged, key=lambda ref: (not rules[ref.kind].grants, ref))),
        managed=managed,
        vos_seen=tuple(sorted(_vos(have.values()))),
        vos_wanted=tuple(sorted(_vos(want.values()))),
        left=tuple(sorted(_left(want.values(), have), key=lambda item: item.ref)),
    )


def apart(seen: Iterable[Seen]) -> list[Seen]:
    """What was seen, with a name of its own for each: services let several things have the same name.

    Of those the first of ours keeps it, else the first; the others have their ids in their names.
    """
    result: dict[Ref, list[Seen]] = {}
    for item in seen:
        result.setdefault(item.ref, []).append(item)
    found: list[Seen] = []
    for ref, items in result.items():
        first, *others = sorted(items, key=lambda item: not item.ours) if len(items) > 1 else items
        found.append(replace(first, rivals=len(others)) if others else first)
        found.extend(replace(item, ref=Ref(ref.kind, (*ref.key, item.id))) for item in others)
    return found


def adoptions(plan: Plan) -> Plan:
    """The part of a plan that takes over what exists, and nothing else."""
    return replace(
        plan, changes=tuple(c for c in plan.changes if c.op is Op.ADOPT), held=(), unknown=(), left=()
    )


def differing(wanted: Attrs, seen: Attrs) -> tuple[Attrs, Attrs]:
    """Before and after of the attributes that are wanted and differ; what is not wanted is not compared."""
    after = {name: value for name, value in wanted.items() if name not in seen or seen[name] != value}
    before = {name: seen.get(name) for name in after}
    return before, after


def _declared(
    item: Wanted, there: Optional[Seen], rule: KindRule, adopt: bool
) -> Union[Change, Conflict, None]:
    if there is None:
        return Change(
            op=Op.CREATE,
            ref=item.ref,
            after=item.whole,
            create=item.create,
            needs=item.needs,
            vo=item.vo,
            at=item.at,
        )
    if item.borrowed and not there.ours:
        return None
    if not there.ours and there.other:
        return _conflict(
            item,
            f"belongs to another site of this cloud, that of the Keystone domain {there.other}",
            "give yours another name",
        )
    if not there.ours and not adopt and not rule.derived:
        return _conflict(
            item,
            "exists already and was not made by osg-site-iaas",
            "take it over with `osg-site-iaas adopt`, or give yours another name",
        )
    if there.rivals and not there.ours:
        return _conflict(
            item,
            f"exists {there.rivals + 1} times, and none was made by osg-site-iaas",
            "rename all but the one that is meant",
        )
    fixed = differing({k: v for k, v in item.create.items() if k in there.attrs}, there.attrs)
    for name, value in fixed[1].items():
        return _conflict(
            item,
            f"its {name} is {fixed[0][name]}, and cannot become {value}",
            "declare it as it is, or what you want under a new name",
        )
    adopting = not (there.ours or rule.derived)
    attrs = {name: item.attrs[name] for name in rule.marks} if adopting and rule.marks else item.attrs
    before, after = differing(attrs, there.attrs)
    if not after and not adopting:
        return None
    return Change(
        op=Op.ADOPT if adopting else Op.UPDATE,
        ref=item.ref,
        before=before,
        after=after,
        id=there.id,
        needs=item.needs,
        vo=item.vo,
        at=item.at,
        takes_away=_taken(rule, there, before, after),
    )


def _conflict(item: Wanted, why: str, todo: str) -> Conflict:
    return Conflict(ref=item.ref, why=why, todo=todo, at=item.at, vo=item.vo)


def _left(wanted: Iterable[Wanted], have: Mapping[Ref, Seen]) -> Iterator[Left]:
    for item in wanted:
        there = have.get(item.ref)
        if there is not None and there.ours:
            now = {name: there.attrs[name] for name in item.initial if name in there.attrs}
            other = {name: value for name, value in now.items() if value != item.initial[name]}
            if other:
                yield Left(item.ref, other, there.vo or item.vo)


def _undeclared(there: Seen, rule: KindRule, prune: Prune) -> _End:
    if rule.removal is Removal.NEVER:
        return None
    removal = Change(
        op=Op.REMOVE,
        ref=there.ref,
        before=there.attrs,
        id=there.id,
        needs=there.needs,
        vo=there.vo,
        takes_away=_size(rule, there.attrs),
        contents=there.contents,
    )
    if rule.removal is Removal.WITHDRAW:
        return removal
    if not prune.enabled:
        return Held(there.ref, "no longer declared; --prune would take it out of use", there.vo)
    before, after = differing(rule.disable, there.attrs)
    if after:
        return Change(
            op=Op.DISABLE,
            ref=there.ref,
            before=before,
            after=after,
            id=there.id,
            needs=there.needs,
            vo=there.vo,
            takes_away=1,
        )
    if any(there.contents.values()) and there.vo not in prune.destroy:
        inside = ", ".join(f"{number} {name}" for name, number in sorted(there.contents.items()) if number)
        name = there.vo or "VO"
        return Held(there.ref, f"still holds {inside}; empty it, or add --destroy {name}", there.vo)
    return removal


def _in_turn(end: _End, ends: Mapping[Ref, _End]) -> _End:
    """The end of something in use, put off while what it is in still has a stage to go: a disabled project first."""
    if not isinstance(end, Change) or end.op is not Op.REMOVE or not any(end.contents.values()):
        return end
    for need in end.needs:
        other = ends.get(need)
        if isinstance(other, Held) or (isinstance(other, Change) and other.op is Op.DISABLE):
            inside = ", ".join(f"{number} {name}" for name, number in sorted(end.contents.items()) if number)
            return Held(end.ref, f"still holds {inside}; it goes with {need}", end.vo)
    return end


def _size(rule: KindRule, attrs: Attrs) -> int:
    """What an object counts for the bound."""
    return len(rule.parts(attrs)) if rule.parts else 1


def _taken(rule: KindRule, there: Seen, before: Attrs, after: Attrs) -> int:
    """How much of what somebody has an update takes away, in what the bound counts."""
    if rule.parts:
        return len(rule.parts(there.attrs) - rule.parts({**there.attrs, **after}))
    closes = any(
        _closes(values, before.get(name), after[name])
        for name, values in {**_IN_USE, **rule.opens}.items()
        if name in after
    )
    return int(closes or (rule.limits and _shrinks(before, after, there.defaults)))


def _closes(values: tuple[Any, ...], before: object, after: object) -> bool:
    return before in values and after in values and values.index(before) < values.index(after)


def _shrinks(before: Attrs, after: Attrs, defaults: Attrs) -> bool:
    return any(
        _lower(before.get(name), limit)
        for name, limit in after.items()
        if name not in defaults or before.get(name) != defaults[name]
    )


def _lower(before: object, after: object) -> bool:
    if not isinstance(before, int) or not isinstance(after, int):
        return False
    if before < 0:  # was unlimited
        return after >= 0
    return 0 <= after < before


def _vos(items: Iterable[Union[Wanted, Seen]]) -> Iterator[str]:
    """VOs that have a project in use: a disabled one has left already."""
    for item in items:
        ours = item.ours if isinstance(item, Seen) else True
        if item.ref.kind == "project" and ours and item.vo and item.attrs.get("enabled", True):
            yield item.vo
