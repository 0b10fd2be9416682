"""Write the status page: VOs, quota against use over time, servers, accounting, and what the doctor finds.

  osg-site-iaas status --out /var/lib/osg-site-iaas/status    index.html and status.json, for administrators
  osg-site-iaas status --out /var/www/html/cloud --public     for everybody: no server's name, nothing of findings
  osg-site-iaas status --json                                 only print what the page would show

osg-site-iaas-status.timer does the first every quarter of an hour. The page is one file without a script. It says
when the next one is due, by the timer or --every, so that a stopped timer is seen. What it needs over time is kept in
a file of its own (--history), outside the page's folder. Exit code 0: written. 1: an error. A finding is none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from osg_site_iaas.accounting.metrics import write
from osg_site_iaas.cli import terminal
from osg_site_iaas.cli.doctor import add_places, subject_of
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import gauges
from osg_site_iaas.ops.status import history
from osg_site_iaas.ops.status.due import due
from osg_site_iaas.ops.status.gather import Picture, gather
from osg_site_iaas.ops.status.page import page
from osg_site_iaas.ops.status.tables import counted

DAYS = 35
OLD = "history.jsonl"  # where earlier versions kept it, in the page's folder


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``status``."""
    parser.add_argument(
        "site",
        nargs="?",
        default=None,
        help="the declaration (default: ./site.yml, else /etc/osg/site-iaas/site.yml)",
    )
    parser.add_argument("--out", type=terminal.place, metavar="DIR", help="where the page is written")
    parser.add_argument(
        "--public",
        action="store_true",
        help="leave out what is not for everybody: findings, names of servers",
    )
    parser.add_argument(
        "--every",
        type=int,
        metavar="MINUTES",
        help="how often a page is made, where another than our timer does it",
    )
    parser.add_argument(
        "--history",
        type=terminal.place,
        metavar="FILE",
        help="what is remembered (default: history/usage.jsonl in --state)",
    )
    parser.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help="how long the history is (default: %(default)s)"
    )
    parser.add_argument(
        "--metrics",
        type=Path,
        metavar="FILE",
        help="write findings and quotas for Prometheus' node_exporter, too",
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="print what the page shows as JSON")


def run(args: argparse.Namespace) -> int:
    """0 when it is written."""
    if args.out is None and not args.json:
        raise SiteError(
            "where is the page to be written?", todo="--out DIR, or --json to print what it would show"
        )
    if args.days < 1 or (args.every is not None and args.every < 1):
        raise SiteError("--days and --every must be at least 1")
    subject = subject_of(args)
    kept = args.history or subject.places.history
    if args.out is not None and kept.resolve().parent == args.out.resolve():
        raise SiteError(
            "the history would lie beside the page, where a web server serves it",
            where=str(kept),
            todo="name another folder with --history",
        )
    picture = gather(subject, public=args.public)
    samples = _remember(kept, args.out / OLD, picture, args.days) if args.out is not None else []
    seconds = args.every * 60 if args.every is not None else None
    coming = due(picture.at, [sample.at for sample in samples], seconds)
    if coming is not None:
        picture = dataclasses.replace(picture, next=coming.next, stale=coming.stale)
    if args.out is not None:
        history.put(args.out / "index.html", page(picture, samples, days=args.days))
        history.put(args.out / "status.json", json.dumps(picture.as_data(), indent=1) + "\n")
    if args.metrics:
        write(
            args.metrics,
            gauges.text(picture.results, picture.at, picture.vos, whole=not args.public),
        )
    if args.json:
        terminal.dump(picture.as_data())
    else:
        found = "" if args.public else f", {counted(picture.findings, 'finding')}"
        print(f"{args.out / 'index.html'}: {counted(len(picture.vos), 'VO')}{found}")
    return 0


def _remember(path: Path, old: Path, picture: Picture, days: int) -> list[history.Sample]:
    samples = history.take_over(path, old)
    if picture.vos:  # a look that saw nothing says nothing about use
        vos = {
            vo: {use.name: (use.used, use.limit) for use in uses if use.name in history.SHOWN}
            for vo, uses in picture.vos.items()
        }
        samples.append(history.Sample(picture.at, vos))
    samples = history.thin(samples, picture.at, days)
    history.write(path, samples)
    history.forget(old)
    return samples
