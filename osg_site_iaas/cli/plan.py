"""Show what would change in OpenStack to make it what site.yml says. Nothing is changed.

Signs: + create, ~ update (before → after), ! disable, - remove; ? is there but not ours, and is never touched.
Exit code 0: nothing to do. 2: there are changes, or something that apply would refuse. 1: an error.

  osg-site-iaas plan site.yml
  osg-site-iaas plan site.yml --out plan.json && osg-site-iaas apply site.yml --plan plan.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Optional

from osg_site_iaas.cli import reconcile, terminal
from osg_site_iaas.cloud.apply import check_login, check_secrets
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.cloud.kinds import RULES
from osg_site_iaas.cloud.observe import World, plan
from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import SiteError
from osg_site_iaas.plan import document, render


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``plan``."""
    reconcile.add_options(parser)
    parser.add_argument("--out", metavar="FILE", help="also write the plan to a file, for `apply --plan`")
    parser.add_argument("--record", metavar="FILE", help="also write what was seen to a file")
    parser.add_argument(
        "--without-secrets",
        action="store_true",
        help="do not look for the passwords and keys that apply keeps: for who may not read them",
    )
    parser.add_argument(
        "--from", dest="recorded", metavar="FILE", help="plan from such a file, without a cloud"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 with nothing to do, else 2."""
    prune = reconcile.prune_of(args)
    cloud: Optional[Cloud] = None
    if args.recorded:
        site = load(Path(args.site))
        world = _recorded(Path(args.recorded))
        made = plan(site, world, prune=prune)
        requests = {}
    else:
        site, cloud = reconcile.look(args)
        world, made = reconcile.make(args, site, cloud, prune=prune, secrets=not args.without_secrets)
        requests = dict(sorted(cloud.requests.items()))
    if args.record:
        _record(Path(args.record), world)
    data = {**reconcile.as_data(made, prune), "site": str(site.file), "requests": requests}
    refused = ""
    try:
        reconcile.guard(args, made)
        if cloud is not None:
            check_login(cloud, made)
            if not args.without_secrets:
                check_secrets(site, made)
    except SiteError as error:
        refused = data["refused"] = str(error)
    if args.out:
        _write(Path(args.out), data)
    if args.json:
        terminal.dump(data)
    else:
        terminal.show(render.lines(made, unmanaged=len(made.unmanaged) if args.unmanaged else 20))
    if refused:
        terminal.say(f"apply would refuse this: {refused}")
    return 2 if made.changes or made.conflicts or refused else 0


def _record(path: Path, world: World) -> None:
    _write(
        path,
        {
            "seen": document.seen_to_data(world.seen),
            "roles": dict(world.roles),
            "services": sorted(world.services),
            "hidden": dict(world.hidden),
        },
    )


def _recorded(path: Path) -> World:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        seen = tuple(document.seen_from_data(data["seen"]))
        strange = sorted({item.ref.kind for item in seen} - set(RULES))
        if strange:
            raise ValueError(f"{strange[0]} is no kind of object")
        return World(seen, data["roles"], frozenset(data["services"]), data.get("hidden", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SiteError(
            f"{path} holds no observations: {error}", todo="write some with `plan --record FILE`"
        ) from error


def _write(path: Path, data: object) -> None:
    try:
        path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    except OSError as error:
        raise SiteError(f"cannot write {path}: {error.strerror}") from error
