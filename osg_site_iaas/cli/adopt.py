"""Take over objects that exist under a declared name: they get our mark, and nothing else is changed.

Shows what it would take over, and asks. What is adopted is changed to what site.yml says by the next apply, and can
be removed by apply --prune; so read the plan that follows. Of two objects with one name neither can be adopted.

  osg-site-iaas adopt site.yml --dry-run
"""

from __future__ import annotations

import argparse

from osg_site_iaas.cli import reconcile, terminal
from osg_site_iaas.cli.apply import reconcile_site
from osg_site_iaas.plan import render


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``adopt``."""
    reconcile.add_options(parser)
    parser.add_argument("--dry-run", action="store_true", help="show what would be taken over, and stop")
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask at a terminal")
    parser.add_argument(
        "--wait",
        type=float,
        default=60,
        metavar="SECONDS",
        help="for another apply to end (default: %(default).0f)",
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when done; with --dry-run, 2 if there is something to take over."""
    if not args.dry_run:
        return reconcile_site(args, adopt=True)
    site, cloud = reconcile.look(args)
    prune = reconcile.prune_of(args)
    _, plan = reconcile.make(args, site, cloud, prune=prune, adopt=True)
    if args.json:
        terminal.dump(reconcile.as_data(plan, prune))
    else:
        terminal.show(render.lines(plan, unmanaged=len(plan.unmanaged) if args.unmanaged else 20))
    return 2 if plan.changes or plan.conflicts else 0
