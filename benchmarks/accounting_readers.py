"""Reading usage from one real Nova: our two readers, and cASO 5.2.2 beside them.

    .venv/bin/python benchmarks/accounting_readers.py --servers 10000 --projects 10

One server is started; the others are copies of its rows in the sandbox's Nova (parts/nova_rows.py) with a life of
their own: most have run since they were created, one in ten was stopped, started and deleted. Three runs of each
program follow (ours once through the API and once from the database): of all there is, an hour's run in which nothing
has changed, and one in which some servers ended. cASO writes messages for SSM; ours sends records to the sandbox's
collector. Then every row is read by the API reader and by the database reader. Requests are counted where the services
answer them, without those between services.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "sandbox")]

import ec2_door as common  # noqa: E402
import ec2_fixtures as site  # noqa: E402
import yaml  # noqa: E402
from parts import nova_rows  # noqa: E402
from parts.caso import Caso  # noqa: E402

from osg_site_iaas.accounting.model import DAY, moment  # noqa: E402
from osg_site_iaas.accounting.nova import NovaApi  # noqa: E402
from osg_site_iaas.accounting.nova_database import NovaDatabase  # noqa: E402
from osg_site_iaas.accounting.reading import Source  # noqa: E402
from osg_site_iaas.accounting.run import run  # noqa: E402
from osg_site_iaas.accounting.settings import from_site  # noqa: E402
from osg_site_iaas.cloud.connect import Cloud, connect  # noqa: E402
from osg_site_iaas.declaration.model import VO, Accounting, Identity, Site  # noqa: E402
from osg_site_iaas.declaration.model import Cloud as Declared  # noqa: E402
from osg_site_iaas.sandbox.collector.server import Collector  # noqa: E402

TOUCHED = 10  # one server in so many was stopped, started and deleted
# what programs call themselves; python-neutronclient is Nova, asking for the addresses of the servers that it tells of
CLIENTS = ("openstacksdk", "caso-extract", "novaclient", "keystoneclient", "glanceclient")
HISTORY = (("create", 0, 9), ("stop", 3600, 3605), ("start", 7200, 7203), ("delete", 30_000, 30_002))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=10_000)
    parser.add_argument("--projects", type=int, default=10)
    parser.add_argument("--changed", type=int, default=100, help="servers that end before the last run")
    parser.add_argument("--sandbox", default=os.environ.get("OSG_SITE_IAAS_TEST_SANDBOX", "dev"))
    parser.add_argument("--no-peer", action="store_true", help="leave cASO out")
    parser.add_argument("--first", action="store_true", help="only the first run of each program")
    args = parser.parse_args()
    box = site.Sandbox.open(args.sandbox)
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(box.clouds_yaml)
    admin = site.connect(box, "sandbox")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        bench = Bench(box, admin, folder, args.servers, args.projects, stack)
        programs: dict[str, Callable[[], str]] = {} if args.no_peer else {"cASO 5.2.2": bench.caso()}
        programs["osg-site-iaas"] = bench.ours("api")
        programs["osg-site-iaas, database reader"] = bench.ours("database")
        print(f"{args.servers} servers of {args.projects} projects\n")
        print("| run | program | s | requests | of those Nova | what it made | load |")
        print("|---|---|---|---|---|---|---|")
        for what, before in (
            ("everything", lambda: None),
            ("nothing changed", lambda: None),
            (f"{args.changed} ended", lambda: bench.end(args.changed)),
        ):
            before()
            for name, program in programs.items():
                bench.row(what, name, program)
            if args.first:
                return
        bench.readers()


class Bench:
    """The sandbox with its servers."""

    def __init__(
        self, box: Any, admin: Any, folder: Path, servers: int, projects: int, stack: contextlib.ExitStack
    ) -> None:
        self.box, self.admin, self.folder, self.servers = box, admin, folder, servers
        self.stack = stack
        self.database = box.folder / "db"
        vo = site.make_vo(box, admin, f"read-{secrets.token_hex(2)}")
        stack.callback(site.clean, admin, vo)
        site.flavours.__wrapped__(admin)
        site.make_image(vo, "bench")
        native = common.Native(vo)
        (first,) = native.start(1)
        common.settled(native, 1)
        self.projects = {f"{vo.name}-{n}": self._project(f"{vo.name}-{n}") for n in range(projects)}
        self.now = int(time.time())
        self.copies = nova_rows.copy(self.database, first, servers - 1, self._own)
        stack.callback(nova_rows.remove, self.database, self.copies)
        stack.callback(self._execute, "DELETE FROM instance_actions WHERE request_id LIKE 'req-copy-%'")
        with sqlite3.connect(self.database / "nova_api.db", timeout=120) as db:
            db.executemany(
                "UPDATE instance_mappings SET project_id = ? WHERE instance_uuid = ?",
                ((self._own(number)["project_id"], uuid) for number, uuid in enumerate(self.copies)),
            )
        with sqlite3.connect(self.database / "nova.db", timeout=120) as db:
            db.execute("UPDATE instances SET deleted = id WHERE host = 'copies' AND vm_state = 'deleted'")
            db.executemany(
                "INSERT INTO instance_actions (created_at, updated_at, action, instance_uuid, request_id, user_id,"
                " project_id, start_time, finish_time, deleted) VALUES (?,?,?,?,?,?,?,?,?,0)",
                self._actions(),
            )

    def _project(self, name: str) -> str:
        """A project that the administrator, as whom both programs come, may read."""
        identity = self.admin.identity
        made = identity.create_project(name=name, domain_id="default")
        self.stack.callback(identity.delete_project, made)
        role, user = identity.find_role("admin"), identity.find_user("admin")
        identity.assign_project_role_to_user(made, user, role)
        return str(made.id)

    def _created(self, number: int) -> int:
        return self.now - 2 * DAY + number % 40_000

    def _own(self, number: int) -> dict[str, Any]:
        """What a copy's row in ``instances`` has of its own."""
        created = self._created(number)
        names = list(self.projects.values())
        row = {
            "project_id": names[number % len(names)],
            "created_at": stamp(created),
            "launched_at": stamp(created + 9),
            "updated_at": stamp(created + 9),
            "display_name": f"worker-{number}",
        }
        if number % TOUCHED == 0:
            ended = stamp(created + HISTORY[-1][2])
            row.update(vm_state="deleted", deleted_at=ended, terminated_at=ended, updated_at=ended)
        return row

    def _actions(self) -> Iterator[tuple[Any, ...]]:
        for number, uuid in enumerate(self.copies):
            row = self._own(number)
            for at, (name, start, finish) in enumerate(HISTORY if number % TOUCHED == 0 else HISTORY[:1]):
                begun, done = (stamp(self._created(number) + seconds) for seconds in (start, finish))
                yield begun, done, name, uuid, f"req-copy-{number}-{at}", "u", row["project_id"], begun, done

    def _execute(self, statement: str, *values: Any) -> None:
        with sqlite3.connect(self.database / "nova.db", timeout=120) as db:
            db.execute(statement, values)

    def end(self, count: int) -> None:
        """Let some of the running servers end now."""
        now = stamp(int(time.time()))
        running = [uuid for number, uuid in enumerate(self.copies) if number % TOUCHED]
        for number, uuid in enumerate(running[:count]):
            self._execute(
                "UPDATE instances SET vm_state = 'deleted', deleted = id, deleted_at = ?, terminated_at = ?,"
                " updated_at = ? WHERE uuid = ?", now, now, now, uuid,
            )  # fmt: skip
            self._execute(
                "INSERT INTO instance_actions (created_at, updated_at, action, instance_uuid, request_id, start_time,"
                " deleted) VALUES (?,?,'delete',?,?,?,0)", now, now, uuid, f"req-copy-end-{number}", now,
            )  # fmt: skip

    def caso(self) -> Callable[[], str]:
        """cASO for these projects."""
        entry = yaml.safe_load(self.box.clouds_yaml.read_text())["clouds"]["sandbox"]
        caso = Caso(self.folder / "caso", entry["auth"], site.REGION, list(self.projects.values()))
        return lambda: f"{caso.run()} cloud records"

    def ours(self, reader: str) -> Callable[[], str]:
        """Our probe for a site whose VOs these projects are."""
        collector = self.stack.enter_context(Collector(self.folder / f"collector-{reader}"))
        declared = Site(
            Path("site.yml"), 1, Identity("Example-Cloud", "cloud.example.org"),
            Declared("sandbox", domain="Default"), accounting=Accounting(collector=collector.address),
            vos=tuple(VO(name, name) for name in self.projects),
        )  # fmt: skip
        (self.folder / "url").write_text(f"sqlite:///{self.database / 'nova.db'}")
        settings = replace(
            from_site(declared, self.folder / f"state-{reader}"),
            suppress_unknown_vo=True,
            reader=reader,
            databases=(str(self.folder / "url"),),
        )

        def once() -> str:
            # as each run of the timer does: a login of its own
            report = run(declared, connect("sandbox"), None, datetime.now(timezone.utc), settings=settings)
            if report.errors or report.read is None:
                sys.exit(f"the probe failed: {report.errors}")
            read = report.read
            return f"{report.delivered.sent} records sent, {read.changed} changed, {read.actions_read} actions read"

        return once

    def row(self, what: str, name: str, program: Callable[[], str]) -> None:
        """Run it once and print what it took."""
        mark, began = self.box.mark(), time.perf_counter()
        made = program()
        seconds = time.perf_counter() - began
        asked = Counter(one.service for one in self.box.requests(mark) if of_client(one))
        nova = sum(count for service, count in asked.items() if service.startswith("nova"))
        load = os.getloadavg()[0]
        print(
            f"| {what} | {name} | {seconds:.1f} | {sum(asked.values())} | {nova} | {made} | {load:.1f} |",
            flush=True,
        )

    def readers(self) -> None:
        """Every row, and then the actions of those that were touched, through the API and from the database."""
        print("\n| reader | rows/s | actions of servers/s | requests or queries | load |")
        print("|---|---|---|---|---|")
        cloud: Cloud = connect("sandbox")
        api = NovaApi(cloud, datetime.now(timezone.utc))
        each = [self._read("API", api, lambda: api.requests)]
        with NovaDatabase([str(self.folder / "url")]) as database:
            each.append(self._read("database", database, lambda: database.queries))
        rows, actions = (theirs / mine for theirs, mine in zip(each[1], each[0]))
        print(f"\ndatabase to API: {rows:.0f} times the rows/s, {actions:.0f} times the actions")

    def _read(self, name: str, source: Source, asked: Callable[[], int]) -> tuple[float, float]:
        before, began = asked(), time.perf_counter()
        rows = sum(len(page.servers) for page in source.changed(0))
        per_second = rows / (time.perf_counter() - began)
        assert rows >= self.servers
        wanted = [(uuid, 0) for number, uuid in enumerate(self.copies) if number % TOUCHED == 0]
        began = time.perf_counter()
        found = source.actions(wanted)
        assert all(one is not None and len(one) == len(HISTORY) for one in found)
        actions = len(wanted) / (time.perf_counter() - began)
        load = os.getloadavg()[0]
        print(f"| {name} | {per_second:.0f} | {actions:.0f} | {asked() - before} | {load:.1f} |", flush=True)
        return per_second, actions


def of_client(asked: Any) -> bool:
    """Whether a program asked it, and not one service another."""
    return any(name in str(asked.agent) for name in CLIENTS)


def stamp(seconds: int) -> str:
    """A time as Nova's SQLite has it."""
    return moment(seconds).strftime("%Y-%m-%d %H:%M:%S.000000")


if __name__ == "__main__":
    main()
