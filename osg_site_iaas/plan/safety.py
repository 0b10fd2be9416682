"""Refuses plans that take away more than anybody is likely to mean."""

from __future__ import annotations

from osg_site_iaas.errors import UnsafePlan
from osg_site_iaas.plan.model import Op, Plan

MAX_TAKEN = 0.30  # share of our objects that one plan may remove, disable or shrink
FREE = 3  # so many may go from a site of any size: one VO's key, its role and its line in a mapping


def check(plan: Plan, *, max_taken: float = MAX_TAKEN) -> None:
    """Raise UnsafePlan, with the numbers, if the plan goes past the bound or takes away the last VO."""
    taken = [change for change in plan.changes if change.takes_away]
    existing = sum(plan.managed.values())
    if plan.vos_seen and not plan.vos_wanted and any(change.op is not Op.UPDATE for change in taken):
        raise UnsafePlan(
            f"the plan leaves no VO at all; {len(plan.vos_seen)} would lose their access: "
            + ", ".join(plan.vos_seen[:5])
            + (" ..." if len(plan.vos_seen) > 5 else ""),
            todo="if that is meant, say --force",
        )
    if len(taken) > FREE and existing and len(taken) > max_taken * existing:
        raise UnsafePlan(
            f"the plan removes, disables or shrinks {len(taken)} of {existing} objects "
            f"({100 * len(taken) / existing:.0f} %, the bound is {100 * max_taken:.0f} %)",
            todo="read the plan; if it is meant, say --force, or raise the bound with --max-removed",
        )
