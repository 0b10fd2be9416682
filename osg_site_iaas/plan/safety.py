"""Refuses plans that take away more than anybody is likely to mean."""

from __future__ import annotations

from collections import Counter

from osg_site_iaas.errors import UnsafePlan
from osg_site_iaas.plan.model import Op, Plan

MAX_TAKEN = 0.30  # share of our objects of one kind that one plan may remove, disable or shrink
FREE = 3  # so many of a kind may go from a site of any size


def check(plan: Plan, *, max_taken: float = MAX_TAKEN) -> None:
    """Raise UnsafePlan, with the numbers, if the plan goes past the bound or takes away the last VO.

    The bound holds for each kind: half of the groups are half of the site's users, and few among its objects.
    """
    taken = [change for change in plan.changes if change.takes_away]
    if plan.vos_seen and not plan.vos_wanted and any(change.op is not Op.UPDATE for change in taken):
        raise UnsafePlan(
            f"the plan leaves no VO at all; {len(plan.vos_seen)} would lose their access: "
            + ", ".join(plan.vos_seen[:5])
            + (" ..." if len(plan.vos_seen) > 5 else ""),
            todo="if that is meant, say --force",
        )
    past = []
    for kind, number in sorted(Counter(change.ref.kind for change in taken).items()):
        existing = plan.managed.get(kind, 0)
        if number > FREE and number > max_taken * existing:
            share = 100 * number / max(existing, 1)
            past.append(f"{number} of {existing} {kind.replace('_', ' ')} objects ({share:.0f} %)")
    if past:
        raise UnsafePlan(
            f"the plan removes, disables or shrinks {', '.join(past)}; the bound is {100 * max_taken:.0f} %",
            todo="read the plan; if it is meant, say --force, or raise the bound with --max-removed",
        )
