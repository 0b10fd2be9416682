"""Plan and apply in one call, for faces that ask no questions: the same steps, checks and refusals as the commands."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Mapping, Optional

from osg_site_iaas.cloud.apply import Outcome, apply, check_login, check_secrets
from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.cloud.lock import held
from osg_site_iaas.cloud.observe import observe, plan
from osg_site_iaas.cloud.scope import Scope
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan import safety
from osg_site_iaas.plan.model import Plan, Prune
from osg_site_iaas.plan.partial import possible

NO_PRUNE = Prune()


@dataclass(frozen=True)
class Limits:
    """How far one call may go, and how."""

    prune: Prune = NO_PRUNE
    force: bool = False  # past the bound
    max_taken: float = safety.MAX_TAKEN  # the bound: a share of our objects
    workers: int = 8
    patience: float = 60  # seconds to wait for another apply to end


@dataclass(frozen=True)
class Result:
    """The plan, and what became of it; ``outcome`` is None where it was only looked at."""

    plan: Plan
    outcome: Optional[Outcome]
    requests: Mapping[str, int]


def session(site: Site, *, workers: int = 8) -> Cloud:
    """A session to the site's cloud; nothing is sent yet."""
    return connect(
        site.cloud.name, region=site.site.region, interface=site.cloud.endpoint_type, workers=workers
    )


def reconcile(site: Site, limits: Limits, *, scope: Optional[Scope] = None, dry_run: bool = False) -> Result:
    """Make the cloud what the declaration, or the part of it in a scope, says; ``dry_run`` changes nothing.

    Raises UnsafePlan past the bound, Locked while another apply runs; nothing was changed then. Raises CloudError for
    what is in the way, after what that does not hold up is done. What failed on the way is in the outcome.
    """
    cloud = session(site, workers=limits.workers)
    if dry_run:
        made = _plan(cloud, site, limits, scope)[1]
        if made.conflicts:
            raise _in_the_way(made, None)
        return Result(made, None, dict(cloud.requests))
    with held(site.cloud.secrets, patience=limits.patience):
        world, made = _plan(cloud, site, limits, scope)
        doable = _doable(made, scope)
        check_login(cloud, doable)
        check_secrets(site, doable)
        outcome = apply(cloud, site, world, doable, workers=limits.workers)
    if made.conflicts:
        raise _in_the_way(made, outcome)
    return Result(made, outcome, dict(cloud.requests))


def failures(outcome: Optional[Outcome]) -> list[dict[str, Any]]:
    """What could not be done, and why, as plain data."""
    if outcome is None:
        return []
    return [{"kind": c.ref.kind, "key": list(c.ref.key), "reason": why} for c, why in outcome.failed]


def _plan(cloud: Cloud, site: Site, limits: Limits, scope: Optional[Scope]) -> tuple[Any, Plan]:
    world = observe(cloud, site, workers=limits.workers, scope=scope)
    made = plan(site, world, prune=limits.prune, scope=scope)
    if not limits.force:
        safety.check(_doable(made, scope), max_taken=limits.max_taken)
    return world, made


def _doable(made: Plan, scope: Optional[Scope]) -> Plan:
    """What goes on although something is in the way: in a scope nothing, since it is one thing that was asked for."""
    return replace(made, changes=()) if scope and made.conflicts else possible(made)


def _in_the_way(made: Plan, outcome: Optional[Outcome]) -> CloudError:
    lines = [f"{item.ref}: {item.why}\n  -> {item.todo}" for item in made.conflicts]
    done = len(outcome.done) if outcome else 0
    what = f"{done} changes that do not wait for it were made" if done else "nothing was changed"
    if outcome and outcome.failed:
        what += f", {len(outcome.failed)} failed ({outcome.failed[0][1]})"
    return CloudError(f"these cannot be had, and {what}:\n" + "\n".join(lines))
