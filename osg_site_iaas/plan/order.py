"""Which changes wait for which: creations after what they need, removals before it."""

from __future__ import annotations

from typing import Mapping, Sequence

from osg_site_iaas.plan.model import Change, Op, Ref


def waits(changes: Sequence[Change]) -> Mapping[Ref, frozenset[Ref]]:
    """For each changed object, the changed objects that must be finished before it.

    A creation or update waits for the creations and updates of its needs; a removal waits for the removals of all
    that needs it, but for what is destroyed with all it holds: that goes first, or what is in it would be in use.
    An object is in at most one change, so its reference stands for the change.
    """
    by_ref = {change.ref: change for change in changes}
    result: dict[Ref, set[Ref]] = {ref: set() for ref in by_ref}
    for change in changes:
        for need in change.needs:
            other = by_ref.get(need)
            if other is None:
                continue
            if change.op is Op.REMOVE:
                if other.op is Op.REMOVE and any(other.contents.values()):
                    result[change.ref].add(need)
                elif other.op is Op.REMOVE:
                    result[need].add(change.ref)
            elif other.op is not Op.REMOVE:
                result[change.ref].add(need)
    return {ref: frozenset(others) for ref, others in result.items()}


def waves(changes: Sequence[Change]) -> list[list[Change]]:
    """The changes in an order that respects ``waits``, those that may run together in one list.

    Raises ValueError naming the objects if they wait for one another.
    """
    waiting = {ref: set(others) for ref, others in waits(changes).items()}
    by_ref = {change.ref: change for change in changes}
    result: list[list[Change]] = []
    while waiting:
        ready = sorted(ref for ref, others in waiting.items() if not others)
        if not ready:
            raise ValueError("these wait for one another: " + ", ".join(map(str, sorted(waiting))))
        result.append([by_ref[ref] for ref in ready])
        for ref in ready:
            del waiting[ref]
        for others in waiting.values():
            others.difference_update(ready)
    return result
