"""Memory and time over a long history: a first run, and a run in which little has changed.

  python benchmarks/accounting_scale.py [SERVERS [ACTIVE [CHANGED]]]

Servers are rows of a database as Nova has them; the database reader reads them. Nothing is sent: records stay in
the outbox, and benchmarks/accounting_outbox.py measures the rest.
"""

from __future__ import annotations

import os
import resource
import sqlite3
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests")]

import nova_tables  # noqa: E402
from nova_history import SIZES, Life, Step  # noqa: E402

from osg_site_iaas.accounting.model import DAY, State, moment  # noqa: E402
from osg_site_iaas.accounting.nova_database import NovaDatabase  # noqa: E402
from osg_site_iaas.accounting.owners import Name, Owners  # noqa: E402
from osg_site_iaas.accounting.run import Parts, Report, perform  # noqa: E402
from osg_site_iaas.accounting.settings import Settings, from_site  # noqa: E402
from osg_site_iaas.declaration.model import VO, Cloud, Identity, Site  # noqa: E402

NOW = 1795305600 + DAY
PROJECTS = 300


def main() -> None:
    """Print a table."""
    numbers = [int(word) for word in sys.argv[1:]]
    servers, active, changed = (numbers + [20_000, 2_000, 100][len(numbers) :])[:3]
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    folder = Path(tempfile.mkdtemp(prefix="accounting-"))
    db = nova_tables.create(folder / "nova.db")
    nova_tables.write(db, lives(servers, active), NOW)
    (folder / "url").write_text(f"sqlite:///{folder / 'nova.db'}")
    vos = tuple(VO(f"vo{n}", f"vo{n}") for n in range(PROJECTS))
    site = Site(Path("site.yml"), 1, Identity("Example-Cloud", "cloud.example.org"), Cloud("x"), vos=vos)
    settings = replace(from_site(site, folder / "state"), enabled=False)
    owners = Owners(site, {f"p{n}": Name(f"vo{n}", "osg") for n in range(PROJECTS)}, {})
    timed("database reader alone", folder, settings, owners, NOW, reading_only=servers)
    timed("first run", folder, settings, owners, NOW)
    end(db, changed, NOW + 3000)
    timed(f"a run after {changed} servers ended", folder, settings, owners, NOW + 3600)
    timed("a run after nothing happened", folder, settings, owners, NOW + 7200)
    timed("the run that closes the day", folder, settings, owners, NOW + DAY + 1800)
    size = sum(file.stat().st_size for file in settings.folder.rglob("*") if file.is_file())
    print(
        f"most memory {memory():.0f} MiB, state {size / 2**20:.0f} MiB, {size / servers:.0f} bytes a server"
    )


def lives(count: int, active: int) -> Iterator[Life]:
    """Servers of the day before: those that have ended ran for some hours, the others run on."""
    for number in range(count):
        created = NOW - DAY + number % 40_000
        size = SIZES[number % 4]
        steps = [Step("create", created, created + 9, State.ACTIVE, size)]
        uuid = f"00000000-0000-4000-8000-{number:012x}"
        ended = None
        if number >= active:
            ended = created + 3600 + number % 20_000
            stop = created + 1000
            steps.append(Step("stop", stop, stop + 5, State.STOPPED, size))
            steps.append(Step("start", stop + 60, stop + 62, State.ACTIVE, size))
            steps.append(Step("delete", ended - 1, ended, State.ACTIVE, size))
        yield Life(uuid, f"p{number % PROJECTS}", created, steps, ended)


def end(db: sqlite3.Connection, count: int, at: int) -> None:
    """Delete some of the servers that run."""
    text = nova_tables.stored(at)
    db.execute(
        "UPDATE instances SET deleted = id, deleted_at = ?, terminated_at = ?, updated_at = ?, vm_state = 'deleted'"
        " WHERE id <= ?",
        (text, text, text, count),
    )
    db.commit()


def timed(
    what: str, folder: Path, settings: Settings, owners: Owners, now: int, *, reading_only: int = 0
) -> None:
    """One run, or one reading of every row, and what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    with NovaDatabase([str(folder / "url")]) as database:
        database._clock = lambda: now  # type: ignore[method-assign]
        if reading_only:
            assert sum(len(page.servers) for page in database.changed(0)) == reading_only
            words = f"{reading_only / (time.perf_counter() - wall):.0f} rows/s"
        else:
            report: Report = perform(settings, Parts(database, lambda users: owners), moment(now))
            assert report.ok, report.errors
            assert report.read is not None
            words = f"{report.read.changed} changed, {sum(report.closed.values())} closed, {database.queries} queries"
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(f"{what:36} {wall:8.2f} s, CPU {cpu:7.2f} s, memory {memory():5.0f} MiB  {words}")


def memory() -> float:
    """The most this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
