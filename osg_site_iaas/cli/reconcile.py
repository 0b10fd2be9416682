"""What plan, apply and adopt have in common: options, and the way from a file and a cloud to a plan."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

from osg_site_iaas.cli import terminal
from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.cloud.observe import World, observe, plan
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.plan import document, safety
from osg_site_iaas.plan.diff import adoptions
from osg_site_iaas.plan.model import Plan, Prune


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options of everything that makes a plan."""
    parser.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    parser.add_argument("--json", action="store_true", help="print the plan as JSON")
    parser.add_argument(
        "--prune", action="store_true", help="also take out of use what is ours and no longer declared"
    )
    parser.add_argument(
        "--destroy",
        action="append",
        default=[],
        metavar="VO",
        help="with --prune: delete what this disabled VO still holds, machines and data included (repeatable)",
    )
    parser.add_argument("--force", action="store_true", help="go past the bound on removals")
    parser.add_argument(
        "--max-removed",
        type=percent,
        default=100 * safety.MAX_TAKEN,
        metavar="PERCENT",
        help="refuse a plan that takes away more of our objects than this (default: %(default).0f)",
    )
    parser.add_argument("--unmanaged", action="store_true", help="show every object that is not ours")
    parser.add_argument(
        "--workers",
        type=terminal.positive,
        default=8,
        metavar="N",
        help="requests under way at once (default: %(default)s)",
    )


def percent(text: str) -> float:
    """A share that argparse was given; it says itself what is wrong with another text."""
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 100")
    return number


def prune_of(args: argparse.Namespace) -> Prune:
    """What the options allow to be removed."""
    if args.destroy and not args.prune:
        raise SiteError("--destroy does nothing without --prune", todo="add --prune, or leave --destroy out")
    return Prune(args.prune, frozenset(args.destroy))


def look(args: argparse.Namespace) -> tuple[Site, Cloud]:
    """The checked declaration, and a session to its cloud."""
    site = load(Path(args.site))
    cloud = connect(
        site.cloud.name,
        region=site.site.region,
        interface=site.cloud.endpoint_type,
        workers=args.workers,
    )
    return site, cloud


def make(
    args: argparse.Namespace,
    site: Site,
    cloud: Cloud,
    *,
    prune: Prune,
    adopt: bool = False,
    secrets: bool = True,
) -> tuple[World, Plan]:
    """Read the world and compare, with progress."""
    with terminal.progress("Reading the cloud") as step:
        world = observe(cloud, site, workers=args.workers, progress=step, secrets=secrets)
    _known(prune, world, site)
    made = plan(site, world, prune=prune, adopt=adopt)
    return world, adoptions(made) if adopt else made


def _known(prune: Prune, world: World, site: Site) -> None:
    """Raise SiteError if nothing of ours belongs to a VO to be destroyed: a slip of the pen. Say which are declared."""
    declared = sorted(prune.destroy & {vo.name for vo in site.vos})
    if declared:
        terminal.say(
            f"--destroy: VO {', '.join(declared)} is declared in site.yml and stays; "
            "only what of it is no longer declared goes, with all that is in it"
        )
    known = {item.vo for item in world.seen if item.ours and item.vo}
    strange = sorted(prune.destroy - known)
    if strange:
        raise SiteError(
            f"nothing of ours belongs to a VO {strange[0]!r}, so it cannot be destroyed",
            todo=f"these are there: {', '.join(sorted(known)) or 'none'}",
        )


def guard(args: argparse.Namespace, made: Plan) -> None:
    """Raise UnsafePlan unless the plan is within the bound, or forced."""
    if not args.force:
        safety.check(made, max_taken=args.max_removed / 100)


@dataclass(frozen=True)
class Kept:
    """What must be known of a plan that was written to a file."""

    checksum: str
    prune: Prune


def kept_plan(path: Path) -> Kept:
    """The plan in a file; SiteError if it holds none."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        prune = data["prune"]
        return Kept(str(data["checksum"]), Prune(bool(prune["enabled"]), frozenset(prune["destroy"])))
    except OSError as error:
        raise SiteError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise SiteError(f"{path} is not a plan", todo="write one with `plan --out FILE`") from error


def as_data(made: Plan, prune: Prune) -> dict[str, object]:
    """A plan as JSON-able data, with what it was allowed to remove."""
    allowed = {"enabled": prune.enabled, "destroy": sorted(prune.destroy)}
    return {**document.to_data(made), "prune": allowed}
