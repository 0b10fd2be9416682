"""Count what servers used, and deliver it to OSG's accounting exactly once.

`run` reads what changed in Nova, turns what is closed into usage records, and sends them. Run it from the timer, or
by hand: it can be stopped, killed or repeated at any time. A day is closed half an hour after 00:00 UTC; a server
that was deleted, half an hour after that. docs/accounting.md tells what counts as what.

  osg-site-iaas accounting run site.yml
"""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from osg_site_iaas.accounting.run import Report
from osg_site_iaas.accounting.run import run as run_probe
from osg_site_iaas.accounting.settings import from_site
from osg_site_iaas.cli import terminal
from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.declaration.load import load


def configure(parser: argparse.ArgumentParser) -> None:
    """The subcommands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("site", nargs="?", default="site.yml", help="the declaration (%(default)s)")
    common.add_argument("--state", type=Path, metavar="DIR", help="where usage and records are kept")
    common.add_argument("--json", action="store_true", help="print the report as JSON")
    commands = parser.add_subparsers(dest="accounting", metavar="COMMAND", required=True)
    run_parser = commands.add_parser("run", parents=[common], help="read usage, and send what is closed")
    run_parser.add_argument(
        "--settle",
        type=int,
        metavar="SECONDS",
        help="close what ended this long ago, instead of settle_minutes; 0 is for rehearsals",
    )


def run(args: argparse.Namespace) -> int:
    """0 when all was done, 1 when something is left for the next run."""
    site = load(args.site)
    settings = from_site(site, args.state)
    cloud = connect(
        settings.cloud, region=site.site.region, interface=site.cloud.endpoint_type, workers=settings.workers
    )
    now = datetime.now(timezone.utc)
    with terminal.progress("accounting") as step:
        totals: dict[str, int] = {}

        def progress(what: str, count: int) -> None:
            totals[what] = totals.get(what, 0) + count
            step(what, totals[what], 0)

        report = run_probe(
            site, cloud, args.state, now, settings=settings, settle=args.settle, progress=progress
        )
    if args.json:
        terminal.dump(as_data(report))
    else:
        for line in lines(report):
            print(line)
    for text in report.errors:
        terminal.say(f"error: {text}")
    return 0 if report.ok else 1


def as_data(report: Report) -> dict[str, Any]:
    """The report as plain data."""
    data = dataclasses.asdict(report)
    data["at"] = report.at.isoformat()
    return data


def lines(report: Report) -> list[str]:
    """The report in words."""
    out = []
    if report.read is not None:
        out.append(f"read    {report.read.changed} changed servers in {report.requests} requests")
    closed = ", ".join(f"{count} {state}" for state, count in sorted(report.closed.items()) if count)
    out.append(f"closed  {closed or 'nothing'}")
    if report.released:
        out.append(f"        {report.released} that were held back have a VO now")
    out.append(f"sent    {report.delivered.sent} records in {report.delivered.bundles} bundles")
    waiting = ", ".join(
        f"{count} {state}" for state, count in sorted(report.outbox.items()) if state != "sent"
    )
    out.append(f"kept    {waiting or 'nothing waits'}")
    out.extend(f"note    {text}" for text in report.warnings)
    return out
