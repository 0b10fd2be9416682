"""Count what servers used, and deliver it to OSG's accounting exactly once.

`run` reads what changed in Nova, turns what is closed into usage records, and sends them. Run it from the timer,
or by hand: it can be stopped, killed or repeated at any time. A day is closed half an hour after 00:00 UTC; what
a deleted server used, half an hour after its end. docs/accounting.md tells what counts as what.

  osg-site-iaas accounting run site.yml
  osg-site-iaas accounting status site.yml
  osg-site-iaas accounting audit site.yml --from 2026-11-01 --to 2026-12-01
  osg-site-iaas accounting replay site.yml --from 2026-11-01 --to 2026-11-08
  osg-site-iaas accounting export site.yml --from 2026-11-01 --to 2026-12-01 --format csv > november.csv
  osg-site-iaas accounting statement site.yml --month 2026-11 --out statements

Exit codes: 0 done, 2 something should be looked at (status, audit), 1 an error; what failed, the next run does.
"""

from __future__ import annotations

import argparse
import dataclasses
from datetime import datetime, timezone
from typing import Any, Optional

from osg_site_iaas.accounting.model import iso
from osg_site_iaas.accounting.run import Report
from osg_site_iaas.accounting.run import run as run_probe
from osg_site_iaas.accounting.settings import Settings, from_probe_config, from_site
from osg_site_iaas.accounting.status import Status
from osg_site_iaas.accounting.status import status as status_of
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cli import accounting_reports as reports
from osg_site_iaas.cli import terminal
from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.model import Site

RUN = """read usage, and send what is closed

Reads of Nova what has changed since the last run, renders what nothing can change any more, and empties the outbox
to the collector. Two runs at once are refused. Exits with 1 if something is left, which the next run does."""
STATUS = """what waits, what was sent, what to look at

Asks neither Nova nor the collector. Exits with 2 if somebody should look at something: no run without an error, or
records that wait, for more than a day; servers of no VO; records that the collector refuses."""
MOST = 8  # findings that status prints


def configure(parser: argparse.ArgumentParser) -> None:
    """The subcommands."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    common.add_argument(
        "--probe-config",
        type=terminal.place,
        metavar="FILE",
        help="a ProbeConfig, over site.yml's settings",
    )
    common.add_argument(
        "--state", type=terminal.place, metavar="DIR", help="where usage and records are kept"
    )
    common.add_argument("--json", action="store_true", help="print the report as JSON")
    commands = parser.add_subparsers(dest="accounting", metavar="COMMAND", required=True)
    run_parser = reports.add(commands, "run", [common], RUN)
    run_parser.add_argument(
        "--settle",
        type=_seconds,
        metavar="SECONDS",
        help="close what ended this long ago, instead of settle_minutes; 0 is for rehearsals",
    )
    reports.add(commands, "status", [common], STATUS)
    reports.configure(commands, common)


def run(args: argparse.Namespace) -> int:
    """The exit code of the subcommand."""
    site = load(args.site)
    settings = settings_of(args, site)
    now = datetime.now(timezone.utc)
    if args.accounting == "run":
        return probe(site, settings, now, settle=args.settle, as_json=args.json)
    if args.accounting == "status":
        with Store(settings.folder, readonly=True) as store:
            return _status(status_of(store, now), args.json)
    return reports.run(args, site, settings, now, lambda: cloud_of(site, settings))


def settings_of(args: argparse.Namespace, site: Site) -> Settings:
    """What site.yml and the ProbeConfig say."""
    if args.probe_config:
        return from_probe_config(site, args.probe_config, args.state)
    return from_site(site, args.state)


def cloud_of(site: Site, settings: Settings) -> Cloud:
    """A session to the site's cloud."""
    return connect(
        settings.cloud, region=site.site.region, interface=site.cloud.endpoint_type, workers=settings.workers
    )


def probe(site: Site, settings: Settings, now: datetime, *, settle: Optional[int], as_json: bool) -> int:
    """One run; 0 when all was done, 1 when something is left for the next run."""
    with terminal.progress("accounting") as step:
        totals: dict[str, int] = {}

        def progress(what: str, count: int) -> None:
            totals[what] = totals.get(what, 0) + count
            step(what, totals[what], 0)

        report = run_probe(
            site,
            cloud_of(site, settings),
            settings.folder,
            now,
            settings=settings,
            settle=settle,
            progress=progress,
        )
    if as_json:
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
    if report.metered is not None:
        out.append(
            f"        network counters of {report.metered.told} of {report.metered.asked} running servers"
        )
    closed = ", ".join(f"{count} {state}" for state, count in sorted(report.closed.items()) if count)
    out.append(f"closed  {closed or 'nothing'}")
    if report.released:
        out.append(f"        {report.released} that were held back have a VO now")
    out.append(f"sent    {report.delivered.sent} records in {report.delivered.bundles} bundles")
    waiting = ", ".join(f"{count} {state}" for state, count in sorted(report.waiting.items()))
    out.append(f"waits   {waiting or 'nothing'}")
    out.extend(f"note    {text}" for text in report.warnings)
    return out


def _status(found: Status, as_json: bool) -> int:
    if as_json:
        terminal.dump({**dataclasses.asdict(found), "lag": found.lag, "findings": found.findings})
    else:
        words = {
            "last success": _when(found.success, found.at),
            **({"last failure": found.failure} if found.failure else {}),
            "Nova read as of": _when(found.read, found.at),
            "closed up to": _when(found.rendered, found.at),
            "servers": f"{found.servers} known, {found.running} not ended",
            "sent": f"{found.sent} records",
            "outbox": f"{found.pending} records"
            + (f", the oldest of {iso(found.oldest)}" if found.oldest else ""),
        }
        for name, text in words.items():
            print(f"{name:16} {text}")
        for text in found.findings[:MOST]:
            print(f"{'look at':16} {text}")
        if len(found.findings) > MOST:
            print(f"{'':16} and {len(found.findings) - MOST} more: --json tells all of them")
    return 2 if found.findings else 0


def _seconds(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: write 0 or more")
    return int(text)


def _when(at: Optional[int], now: int) -> str:
    if at is None:
        return "never"
    hours, rest = divmod(max(now - at, 0), 3600)
    return f"{iso(at)} ({hours} h {rest // 60} min ago)"
