"""Put back what `osg-site-iaas backup` saved: owners and modes too, all files or, if anything is wrong, none.

  osg-site-iaas restore /backup/iaas-2026-11-24.tar.gz --dry-run       what it would write
  systemctl stop 'osg-site-iaas-*' 'gratia-probe-openstack*'
  osg-site-iaas restore /backup/iaas-2026-11-24.tar.gz --replace
  systemctl start ...; osg-site-iaas plan; osg-site-iaas accounting status; osg-site-iaas doctor

Files that are there and differ are replaced only with --replace. A host that was built anew gets the package and its
users first (by the roles, or the RPMs). Records that the probe had sent after the backup are made and sent again with
the same content, which counts once.

exit codes: 0 done, 2 (with --dry-run) there is something to put back, 1 error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from osg_site_iaas.cli import terminal
from osg_site_iaas.cli.doctor import add_places
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import restore
from osg_site_iaas.ops.backup import Saved
from osg_site_iaas.ops.places import Places

GRATIA = Path("/var/lib/gratia")


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``restore``."""
    parser.add_argument("file", type=terminal.place, help="the archive")
    parser.add_argument("--dry-run", action="store_true", help="say what would be written, and write nothing")
    parser.add_argument("--replace", action="store_true", help="also replace files that are there and differ")
    parser.add_argument(
        "--root",
        type=terminal.place,
        default=Path("/"),
        metavar="DIR",
        help="put it below DIR, to look at it; made if it is not there",
    )
    parser.add_argument(
        "--also",
        type=terminal.place,
        nargs="+",
        default=[],
        metavar="DIR",
        help="more folders that may be written to",
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """0 when all is back; 2 in a dry run that has found something to put back."""
    places = Places(args.etc, args.state, args.grid, args.probe_config)
    allowed = [places.etc, places.state, places.probe_config, GRATIA, *args.also]
    saved = restore.read(args.file)
    if not args.dry_run or args.root.is_file():
        restore.make_root(args.root)
    found = restore.targets(saved, allowed, args.root)
    there = [one for one in found if one.state == "replaced"]
    if not args.dry_run:
        _refuse(args, there, found)
        with terminal.progress("Restoring") as step:
            unknown = restore.put_back(args.file, saved, found, step)
        for name in unknown:
            terminal.say(f"this host does not know the {name}: root's instead")
    if args.json:
        files = {one.name: one.state for one in found}
        terminal.dump({"host": saved.host, "made": saved.made, "version": saved.version, "files": files})
    else:
        _show(args, saved, found)
    return 2 if args.dry_run and any(one.state != "same" for one in found) else 0


def _refuse(args: argparse.Namespace, there: list[restore.Target], found: list[restore.Target]) -> None:
    if there and not args.replace:
        raise SiteError(
            f"{len(there)} files are there and differ, such as {there[0].path}",
            todo="look with --dry-run, then say --replace",
        )
    units = restore.running() if args.root == Path("/") else []
    if units:
        raise SiteError(f"these run: {', '.join(units)}", todo="systemctl stop them, timers too")
    busy = restore.in_use(found)
    if busy is not None:
        raise SiteError("somebody is writing into it", where=str(busy), todo="stop the service first")


def _show(args: argparse.Namespace, saved: Saved, found: list[restore.Target]) -> None:
    print(f"{args.file}: of host {saved.host}, {saved.made}, version {saved.version}")
    for one in found:
        if one.state != "same":
            print(f"  {one.state:8} {one.path}")
    count = sum(one.state != "same" for one in found)
    same = f", {len(found) - count} are there as they were" if len(found) > count else ""
    print(f"{count} files {'would be' if args.dry_run else 'were'} written{same}")
