"""Write the status page: VOs, quota against use over time, servers, accounting, and what the doctor finds.

  osg-site-iaas status --out /var/lib/osg-site-iaas/status    index.html and status.json, for administrators
  osg-site-iaas status --out /var/www/html/cloud --public     for everybody: no server's name, no finding's words
  osg-site-iaas status --json                                 only print what the page would show

osg-site-iaas-status.timer does the first every quarter of an hour. The page is one file without a script; what it
needs over time is kept in history.jsonl beside it. Exit code 0: written. 1: an error. A finding is not an error here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from osg_site_iaas.cli import terminal
from osg_site_iaas.cli.doctor import add_places, subject_of
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops.status import history
from osg_site_iaas.ops.status.gather import Picture, gather
from osg_site_iaas.ops.status.page import page

DAYS = 35


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``status``."""
    parser.add_argument(
        "site",
        nargs="?",
        default=None,
        help="the declaration (default: ./site.yml, else /etc/osg/site-iaas/site.yml)",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="where the page is written")
    parser.add_argument(
        "--public", action="store_true", help="leave out names of servers and the words of findings"
    )
    parser.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help="how long the history is (default: %(default)s)"
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="print what the page shows as JSON")


def run(args: argparse.Namespace) -> int:
    """0 when it is written."""
    if args.out is None and not args.json:
        raise SiteError(
            "where is the page to be written?", todo="--out DIR, or --json to print what it would show"
        )
    if args.days < 1:
        raise SiteError("--days must be at least 1")
    picture = gather(subject_of(args), details=not args.public)
    if args.out is not None:
        samples = _remember(args.out / "history.jsonl", picture, args.days)
        history.put(args.out / "index.html", page(picture, samples, days=args.days))
        history.put(args.out / "status.json", json.dumps(picture.as_data(), indent=1) + "\n")
    if args.json:
        terminal.dump(picture.as_data())
    else:
        print(f"{args.out / 'index.html'}: {len(picture.vos)} VOs, {picture.findings} findings")
    return 0


def _remember(path: Path, picture: Picture, days: int) -> list[history.Sample]:
    samples = history.read(path)
    if picture.vos:  # a look that saw nothing says nothing about use
        vos = {
            vo: {use.name: (use.used, use.limit) for use in uses if use.name in history.SHOWN}
            for vo, uses in picture.vos.items()
        }
        samples.append(history.Sample(picture.at, vos))
    samples = history.thin(samples, picture.at, days)
    history.write(path, samples)
    return samples
