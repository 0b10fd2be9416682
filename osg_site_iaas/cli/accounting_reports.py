"""The subcommands of ``accounting`` that look at a window of time: audit, replay, export, statement."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, TextIO

from osg_site_iaas.accounting import egi, export, statement_files
from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.audit import Audit, Finding, audit, unknown
from osg_site_iaas.accounting.ledger import POISON, Ledger
from osg_site_iaas.accounting.model import epoch, iso
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.opening import locked, open_sender, open_source
from osg_site_iaas.accounting.owners import Owners
from osg_site_iaas.accounting.people import stored
from osg_site_iaas.accounting.reading import read
from osg_site_iaas.accounting.replay import replay
from osg_site_iaas.accounting.settings import Settings
from osg_site_iaas.accounting.statement import Month
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cli import terminal
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import AccountingError, SiteError

AUDIT = """compare Nova, the outbox and what was acknowledged

Reads Nova once more, unless --offline says not to, and follows every second of every server's life in the window:
what no slice covers or two cover, what was never sent, what is not in the archive, what Nova has that was never read.
Changes nothing that was sent. Exits with 2 if there is anything to look at."""
REPLAY = """send again, byte for byte, what was acknowledged

For a collector that has lost a window, as after the restore of a database there. The bytes come from the archive, so a
collector that still has them counts nothing twice; what was pruned from the archive is said, and the exit is 2."""
EXPORT = """write the window as CSV, JSON or EGI

One row a slice: a server, at one size, within one UTC day, whatever became of its record. With --format egi, cloud
usage records v0.4 of every server of a VO with a slice in the window; such a record tells all since its creation."""
STATEMENT = """a VO's month, as HTML and CSV to mail

Writes VO-YYYY-MM.html, which needs nothing from elsewhere and prints well, and VO-YYYY-MM.csv, a row a day."""
LATE = 26 * 3600  # seconds after which a record should have been sent
Connect = Callable[[], Cloud]


def configure(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the subcommands."""
    window = argparse.ArgumentParser(add_help=False)
    for name, words in (("--from", "the window's start"), ("--to", "the window's end (default: now)")):
        window.add_argument(
            name, dest=name[2:] + "_", type=_time, metavar="TIME", required=name == "--from",
            help=f"{words}, as 2026-11-22 or 2026-11-22T06:00:00Z",
        )  # fmt: skip
    audit_parser = add(commands, "audit", [common, window], AUDIT)
    audit_parser.add_argument(
        "--offline", action="store_true", help="compare with what was read of Nova before"
    )
    replay_parser = add(commands, "replay", [common, window], REPLAY)
    replay_parser.add_argument(
        "--refused", action="store_true", help="put what the collector refused back into the outbox instead"
    )
    export_parser = add(commands, "export", [common, window], EXPORT)
    export_parser.add_argument(
        "--format", choices=("csv", "json", "egi"), help="csv, unless --json is given; egi is for SSM"
    )
    export_parser.add_argument(
        "--out", type=terminal.place, metavar="FILE", help="instead of standard output"
    )
    statement = add(commands, "statement", [common], STATEMENT)
    statement.add_argument("--month", type=_month, required=True, metavar="YYYY-MM")
    statement.add_argument("--vo", help="only this one, by its name in accounting (default: every VO)")
    statement.add_argument(
        "--out", type=terminal.place, default=Path(), metavar="DIR", help="where the files go (default: here)"
    )


def add(commands: Any, name: str, parents: list[argparse.ArgumentParser], text: str) -> Any:
    """A subcommand; the first line of its text is what the list of commands says."""
    return commands.add_parser(
        name,
        parents=parents,
        help=text.splitlines()[0],
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def run(args: argparse.Namespace, site: Site, settings: Settings, now: datetime, connect: Connect) -> int:
    """The exit code."""
    if args.accounting == "statement":
        return _statement(args, settings)
    start, end = epoch(args.from_), epoch(args.to_ or now)
    if start >= end:
        raise SiteError(
            f"the window from {iso(start)} to {iso(end)} is empty", todo="--from comes before --to"
        )
    if args.accounting == "audit":
        return _audit(args, settings, now, connect, max(start, settings.start), end)
    if args.accounting == "replay":
        return _replay(args, settings, start, end)
    return _export(args, site, settings, start, end)


def _audit(
    args: argparse.Namespace, settings: Settings, now: datetime, connect: Connect, start: int, end: int
) -> int:
    strangers = [] if args.offline else _read(settings, now, connect, start)
    with Store(settings.folder, readonly=True) as store:
        observed = Observed(store)
        found = audit(
            store, observed, Ledger(store, observed), Archive(settings.folder), start, end, epoch(now) - LATE
        )
    found = dataclasses.replace(found, findings=(*strangers, *found.findings))
    if args.json:
        terminal.dump(dataclasses.asdict(found))
    else:
        for line in _audit_lines(found):
            print(line)
    return 2 if found.findings else 0


def _read(settings: Settings, now: datetime, connect: Connect, start: int) -> list[Finding]:
    """Bring what is known of Nova up to date; what should have been known before and was not."""
    with locked(settings.folder), terminal.progress("reading Nova") as step:

        def progress(what: str, count: int) -> None:
            step(what, count, 0)

        with Store(settings.folder) as store, open_source(settings, connect(), now) as source:
            strangers = unknown(store, source, start)
            read(store, Observed(store, settings.start), source, settle=settings.settle, progress=progress)
    return strangers


def _audit_lines(found: Audit) -> Iterator[str]:
    yield f"window     {iso(found.start)} to {iso(found.end)}, {found.servers} servers"
    yield f"Nova       {found.nova_core_seconds / 3600:.2f} core-hours closed"
    for state, seconds in sorted(found.charged.items()):
        yield f"{state:10} {seconds / 3600:.2f} core-hours"
    for finding in found.findings:
        yield str(finding)
    yield f"{len(found.findings)} findings" if found.findings else "every second is covered once"


def _replay(args: argparse.Namespace, settings: Settings, start: int, end: int) -> int:
    with locked(settings.folder), Store(settings.folder) as store:
        ledger = Ledger(store, Observed(store))
        if args.refused:
            print(f"{ledger.retry(POISON)} refused records are in the outbox again; the next run sends them")
            return 0
        archive = Archive(settings.folder)
        with open_sender(settings) as sender, terminal.progress("sending again") as step:
            done = replay(
                ledger, archive, sender, start, end, bundle_size=settings.bundle_size,
                progress=lambda what, count: step(what, count, 0),
            )  # fmt: skip
    if args.json:
        terminal.dump(dataclasses.asdict(done))
    else:
        print(f"{done.records} records sent again in {done.bundles} bundles, byte for byte")
    if done.missing:
        terminal.say(f"{done.missing} records are not in the archive any more")
    if done.stopped:
        raise SiteError(
            f"the collector did not take the rest: {done.stopped}", todo="run the same command again"
        )
    return 2 if done.missing else 0


def _export(args: argparse.Namespace, site: Site, settings: Settings, start: int, end: int) -> int:
    form = args.format or ("json" if args.json else "csv")
    with Store(settings.folder, readonly=True) as store, _output(args.out) as file:
        observed = Observed(store)
        ledger = Ledger(store, observed)
        projects, users = stored(store, "project"), stored(store, "user")
        if form == "egi":
            owners = Owners(site, projects, users, vo_override=settings.vo_override)
            found = egi.machines(observed, ledger, lambda wanted: owners, start, end)
            service = f"https://{settings.probe.host}"
            for message in egi.messages(egi.fields(one, settings.probe.site_name, service) for one in found):
                file.write(message)
            return 0
        rows = export.rows(
            ledger.slices(start, end),
            {number: name.name for number, name in projects.items()},
            {number: name.name for number, name in users.items()},
        )
        (export.write_csv if form == "csv" else export.write_json)(file, rows)
    return 0


def _statement(args: argparse.Namespace, settings: Settings) -> int:
    with Store(settings.folder, readonly=True) as store:
        written = statement_files.write(store, settings, args.month, args.out, vo=args.vo)
    if args.json:
        terminal.dump(
            [{"vo": one.vo, "html": str(one.html), "core_hours": round(one.core_hours, 4)} for one in written]
        )
        return 0
    for one in written:
        print(f"{one.vo:20} {one.core_hours:>14.4f} core-hours   {one.html}")
    if not written:
        print(f"nobody used anything in {args.month}")
    return 0


@contextmanager
def _output(path: Optional[Path]) -> Iterator[TextIO]:
    if path is None:
        yield sys.stdout
        return
    with statement_files.whole(path) as file:
        yield file


def _month(text: str) -> Month:
    try:
        return Month.of(text)
    except AccountingError as error:
        raise argparse.ArgumentTypeError(f"{error.what}: {error.todo}") from error


def _time(text: str) -> datetime:
    for form in ("%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    raise argparse.ArgumentTypeError(f"{text!r} is not a time: write 2026-11-22 or 2026-11-22T06:00:00Z")
