"""Refuses plans that take away more than anybody is likely to mean."""

from __future__ import annotations

from collections import Counter

from osg_site_iaas.errors import UnsafePlan
from osg_site_iaas.plan.model import Plan

MAX_TAKEN = 0.30  # share of our objects of one kind that one plan may remove, disable or shrink
FREE = 3  # so many of a kind may go from a site of any size; of VOs, which are few, none


def check(plan: Plan, *, max_taken: float = MAX_TAKEN) -> None:
    """Raise UnsafePlan, with the numbers, if the plan goes past the bound or takes away the last VO.

    The bound holds for each kind: half of the groups are half of the site's users, and few among its objects. It
    holds for VOs too, whichever way they lose what they have: disabled, no longer declared, pruned.
    """
    if not 0 <= max_taken <= 1:  # no number compares with nan
        raise UnsafePlan(
            f"{100 * max_taken:g} % is no bound for what a plan may take away",
            todo="say --max-removed with a number from 0 to 100",
        )
    taken: Counter[str] = Counter()
    for change in plan.changes:
        if change.takes_away:
            taken[change.ref.kind] += change.takes_away
    lost = {change.vo for change in plan.changes if change.takes_away} & (
        set(plan.vos_seen) - set(plan.vos_wanted)
    )
    if lost and not plan.vos_wanted:
        raise UnsafePlan(
            f"the plan leaves no VO at all; {len(plan.vos_seen)} would lose their access: "
            + ", ".join(plan.vos_seen[:5])
            + (" ..." if len(plan.vos_seen) > 5 else ""),
            todo="if that is meant, say --force",
        )
    past = []
    if len(lost) > max_taken * len(plan.vos_seen):
        past.append(_share(len(lost), len(plan.vos_seen), "VOs"))
    for kind, number in sorted(taken.items()):
        existing = plan.managed.get(kind, 0)
        if number > FREE and number > max_taken * existing:
            past.append(_share(number, existing, f"{kind.replace('_', ' ')} objects"))
    if past:
        raise UnsafePlan(
            f"the plan removes, disables or shrinks {', '.join(past)}; the bound is {100 * max_taken:.0f} %",
            todo="read the plan; if it is meant, say --force, or raise the bound with --max-removed",
        )


def _share(number: int, existing: int, what: str) -> str:
    return f"{number} of {existing} {what} ({100 * number / max(existing, 1):.0f} %)"
