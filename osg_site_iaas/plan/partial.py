"""What of a plan can be carried out although something declared cannot be had. Values in, values out.

A member of a VO can put things into its project that are in the way of what site.yml declares there. That must hold
up neither other VOs nor, in its own, what takes access away.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from osg_site_iaas.plan.model import Change, Op, Plan, Ref

_ENDS = (Op.REMOVE, Op.DISABLE)


def possible(plan: Plan) -> Plan:
    """The plan without the changes that its conflicts hold up.

    What is in the way in a VO holds up that VO; in what is the site's own, everybody. Neither holds up a change that
    takes something away, unless it needs something that is held up.
    """
    if not plan.conflicts:
        return plan
    vos = {conflict.vo for conflict in plan.conflicts}
    stuck: set[Ref] = {conflict.ref for conflict in plan.conflicts}
    left = list(plan.changes)
    while True:
        waiting = [change for change in left if _waits(change, vos, stuck)]
        if not waiting:
            return replace(plan, changes=tuple(left))
        stuck.update(change.ref for change in waiting)
        left = [change for change in left if change.ref not in stuck or change.op in _ENDS]


def _waits(change: Change, vos: set[Optional[str]], stuck: set[Ref]) -> bool:
    if change.op in _ENDS:
        return False
    if any(need in stuck for need in change.needs):
        return True
    return not change.takes_away and (None in vos or change.vo in vos)
