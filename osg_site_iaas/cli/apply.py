"""Make OpenStack what site.yml says: show the plan, then carry it out.

What is there and not ours is never touched. Access that is no longer declared is withdrawn; what holds data or
machines is only removed with --prune, in two runs: the first disables, a later one deletes what is empty, or what
--destroy names. A run that fails or is killed leaves nothing half-done that the same command does not finish.

Keys and passwords that it creates go to the folder cloud.secrets of site.yml (mode 0600), and nowhere else.
Exit code 0: done or nothing to do. 1: an error, or something could not be done.

  osg-site-iaas apply site.yml
  osg-site-iaas apply site.yml --plan plan.json      only if the plan is still the same
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Iterable, Optional

from osg_site_iaas.cli import reconcile, terminal
from osg_site_iaas.cloud.apply import Interrupted, Outcome, apply, check_login, check_secrets
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.cloud.lock import held
from osg_site_iaas.cloud.observe import World
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError, StalePlan
from osg_site_iaas.plan import document, render
from osg_site_iaas.plan.model import Change, Plan, Prune
from osg_site_iaas.plan.partial import possible


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``apply``."""
    reconcile.add_options(parser)
    parser.add_argument(
        "--plan",
        metavar="FILE",
        help="carry out this plan, written by `plan --out`, and no other; it says itself what may be removed",
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask at a terminal")
    parser.add_argument(
        "--wait",
        type=float,
        default=60,
        metavar="SECONDS",
        help="for another apply to end (default: %(default).0f)",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when all is done."""
    return reconcile_site(args, adopt=False)


def reconcile_site(args: argparse.Namespace, *, adopt: bool) -> int:
    """Plan and carry out under the site's lock; ``adopt`` takes over objects of the declared names."""
    site, cloud = reconcile.look(args)
    with held(site.cloud.secrets, patience=args.wait, say=terminal.say):
        return _run(args, site, cloud, adopt)


def _run(args: argparse.Namespace, site: Site, cloud: Cloud, adopt: bool) -> int:
    kept = reconcile.kept_plan(Path(args.plan)) if getattr(args, "plan", None) else None
    prune = kept.prune if kept else reconcile.prune_of(args)
    world, plan = reconcile.make(args, site, cloud, prune=prune, adopt=adopt)
    if not args.json:
        terminal.show(render.lines(plan, unmanaged=len(plan.unmanaged) if args.unmanaged else 20))
    try:
        _check(args, site, cloud, plan, kept)
    except SiteError as error:
        if args.json:
            terminal.dump({**reconcile.as_data(plan, prune), "applied": False, "refused": str(error)})
        raise
    doable = possible(plan)
    if plan.conflicts:
        number = len(plan.conflicts)
        terminal.say(
            f"{number} declared object{'s' if number > 1 else ''} cannot be had; "
            f"{len(plan.changes) - len(doable.changes)} changes wait for that, and {len(doable.changes)} do not"
        )
    if doable.changes and not _agreed(args):
        terminal.say("nothing was changed")
        return 2
    try:
        outcome = _apply(args, site, cloud, world, doable)
    except Interrupted as stop:
        return _stopped(args, plan, prune, stop)
    _report(args, plan, prune, outcome, cloud, doable)
    return 1 if outcome.failed or plan.conflicts else 0


def _check(
    args: argparse.Namespace, site: Site, cloud: Cloud, plan: Plan, kept: Optional[reconcile.Kept]
) -> None:
    """Raise SiteError if the plan must not be carried out, as it is or by this login."""
    if kept is not None and document.checksum(plan) != kept.checksum:
        raise StalePlan(
            f"the world or {Path(args.site).name} has changed since {args.plan} was written",
            todo="read the new plan, and write it with `plan --out`; nothing was changed",
        )
    doable = possible(plan)
    if plan.conflicts and not doable.changes:
        number = len(plan.conflicts)
        raise SiteError(
            f"{number} declared object{'s' if number > 1 else ''} cannot be had, so nothing was changed",
            todo="settle what stands under “In the way”",
        )
    reconcile.guard(args, doable)
    check_login(cloud, doable)
    check_secrets(site, doable)


def _agreed(args: argparse.Namespace) -> bool:
    if args.yes or args.json or not sys.stdin.isatty():
        return True
    return terminal.err.input("Carry this out? [y/N] ").strip().lower() in ("y", "yes")


def _apply(args: argparse.Namespace, site: Site, cloud: Cloud, world: World, plan: Plan) -> Outcome:
    total = len(plan.changes)
    count = 0
    with terminal.progress("Applying", total) as step:

        def tell(change: Change, reason: Optional[str]) -> None:
            nonlocal count
            count += 1
            if reason:
                terminal.say(f"failed: {render.heading(change.ref)}: {reason}")
            step(render.heading(change.ref), count, total)

        return apply(cloud, site, world, plan, workers=args.workers, progress=tell, say=terminal.say)


def _stopped(args: argparse.Namespace, plan: Plan, prune: Prune, stop: Interrupted) -> int:
    terminal.say(
        f"interrupted: {len(stop.done)} of {stop.total} changes are made, and none is half-made; "
        "the same command does the rest"
    )
    if args.json:
        made = {
            "applied": True,
            "interrupted": True,
            "done": len(stop.done),
            "failed": _failures(stop.failed),
        }
        terminal.dump({**reconcile.as_data(plan, prune), **made})
    return 130


def _failures(failed: Iterable[tuple[Change, str]]) -> list[dict[str, object]]:
    return [{"kind": c.ref.kind, "key": list(c.ref.key), "reason": why} for c, why in failed]


def _report(
    args: argparse.Namespace, plan: Plan, prune: Prune, outcome: Outcome, cloud: Cloud, doable: Plan
) -> None:
    if args.json:
        going = {change.ref for change in doable.changes}
        terminal.dump(
            {
                **reconcile.as_data(plan, prune),
                "applied": True,
                "done": len(outcome.done),
                "failed": _failures(outcome.failed),
                "waiting": [
                    {"kind": c.ref.kind, "key": list(c.ref.key)} for c in plan.changes if c.ref not in going
                ],
                "skipped": [{"kind": c.ref.kind, "key": list(c.ref.key)} for c in outcome.skipped],
                "requests": dict(sorted(cloud.requests.items())),
            }
        )
        return
    if doable.changes:
        text = f"Done: {len(outcome.done)} of {len(doable.changes)} changes."
        if outcome.failed:
            text += (
                f" {len(outcome.failed)} failed, and {len(outcome.skipped)} wait for them; "
                "when the cause is gone, the same command does the rest."
            )
        terminal.out.print(text)
