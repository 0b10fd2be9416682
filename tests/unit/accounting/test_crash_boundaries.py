"""The probe killed at each thing that it does to the world: every commit, file and message of a run, one by one.

SQLite tells of each statement as it begins, and Python's audit hooks of connections, sends, files opened and renamed.
What lies between two of those stays in the process, so to die before each of them is to die anywhere.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
from pathlib import Path
from typing import Any, Callable, Optional

import pytest
from histories import BASE
from nova_history import expected
from test_crash import in_child
from test_run import HOUR, steady
from test_traffic import Hypervisors
from world import World

from osg_site_iaas.accounting.model import DAY
from osg_site_iaas.accounting.store import Store

NOW = BASE + 2 * DAY + HOUR  # some of the servers run on
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
EVENTS = {"http.client.connect", "http.client.send", "os.rename", "os.remove"}


class Boundaries:
    """Counts them in this process, and kills it before one; ``every``: before statements within a transaction too."""

    def __init__(self, fatal: Optional[int], *, every: bool) -> None:
        self.count = 0
        self._fatal = fatal
        self._every = every
        self._open: dict[int, bool] = {}  # connections, and whether a transaction is under way
        self._last_statement: dict[int, str] = {}

    def watch(self) -> None:
        """For the rest of this process."""
        connect = sqlite3.connect

        def watched(*arguments: Any, **more: Any) -> sqlite3.Connection:
            connection: sqlite3.Connection = connect(*arguments, **more)
            connection.set_trace_callback(lambda text: self._statement(id(connection), text))
            return connection

        sqlite3.connect = watched  # type: ignore[assignment]
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITES
        if writes or event in EVENTS:
            self._reach()

    def _statement(self, connection: int, text: str) -> None:
        last, self._last_statement[connection] = self._last_statement.get(connection, ""), text
        ends = text.startswith("COMMIT")
        self._open[connection] = text.startswith("BEGIN") or (self._open.get(connection, False) and not ends)
        writes = not self._open[connection] and not text.startswith(("SELECT", "PRAGMA"))
        if self._every or writes or last.startswith("COMMIT"):
            self._reach()

    def _reach(self) -> None:
        self.count += 1
        if self.count == self._fatal:
            os.kill(os.getpid(), signal.SIGKILL)


def boundaries_of(world: World, work: Callable[[], object], file: Path, *, every: bool) -> int:
    """How many of them ``work`` has, counted in a child."""

    def counting() -> None:
        counted = Boundaries(None, every=every)
        counted.watch()
        work()
        count = counted.count  # writing it is one more
        file.write_text(str(count))

    assert in_child(world, counting) == 0
    return int(file.read_text())


def killed_before(number: int, work: Callable[[], object], *, every: bool) -> Callable[[], None]:
    def run() -> None:
        Boundaries(number, every=every).watch()
        work()

    return run


def state(folder: Path) -> list[tuple[object, ...]]:
    """What was charged and sent, and what of the servers' networks was counted."""
    with Store(folder, readonly=True) as store:
        charged = store.rows(
            "SELECT uuid, start, end, wall, slice.state, slice.received FROM slice"
            " JOIN server ON server.id = server ORDER BY uuid, start"
        )
        counted = store.rows("SELECT server, day, received FROM traffic ORDER BY server, day")
        return [tuple(row) for rows in (charged, counted) for row in rows]


def kill_everywhere(world: World, tmp_path: Path, *, every: bool) -> int:
    told = [life for life in steady(30) if life.created < BASE + DAY][:5]
    world.live(told)
    world.meter = Hypervisors(world.nova)
    assert any(life.ended is not None and life.ended > NOW for life in told)

    def work(folder: Path, now: int = NOW) -> Callable[[], object]:
        return lambda: world.run(now, folder=folder, traffic=True, bundle_size=3)

    begun = tmp_path / "begun"  # a state in which some was done before
    assert world.run(BASE + DAY, folder=begun, traffic=True).ok
    total = boundaries_of(world, work(copy(begun, tmp_path / "count")), tmp_path / "n", every=every)
    undisturbed = copy(begun, tmp_path / "undisturbed")
    assert world.run(NOW, folder=undisturbed, traffic=True, bundle_size=3).ok
    good = state(undisturbed)
    documents = world.collector.store.totals()["documents"]
    for number in range(1, total + 1):
        folder = copy(begun, tmp_path / str(number))
        status = in_child(world, killed_before(number, work(folder), every=every))
        # the answer to a bundle and the archiving of another go on at once, so the last few may not be reached
        assert os.WIFSIGNALED(status) or number > total - 4
        assert world.run(NOW, folder=folder, traffic=True, bundle_size=3).ok
        assert state(folder) == good, f"killed before {number} of {total}"
    assert world.collector.store.totals()["documents"] == documents  # whatever was sent again was the same
    assert world.collector.store.duplicates() == []
    assert world.core_seconds() == dict(expected(told, BASE + 2 * DAY))
    return total


def copy(folder: Path, to: Path) -> Path:
    """The state as a probe that was killed has left it: nothing of it is open."""
    to.mkdir()
    for file in folder.rglob("*"):
        if file.is_file():
            target = to / file.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(file.read_bytes())
    return to


def test_killed_before_each_commit_message_and_file(world: World, tmp_path: Path) -> None:
    assert kill_everywhere(world, tmp_path, every=False) > 20


@pytest.mark.long
def test_killed_before_each_statement(world: World, tmp_path: Path) -> None:
    assert kill_everywhere(world, tmp_path, every=True) > 100
