"""The probe killed at any line, on a full disk, on a damaged file: the next run makes it whole."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
from pathlib import Path
from types import FrameType
from typing import Any, Callable, Optional

import pytest
from nova_history import expected
from test_run import END, HOUR, steady
from world import World

import osg_site_iaas.accounting
from osg_site_iaas.accounting.store import FILE, VERSION, Store
from osg_site_iaas.errors import AccountingError

PACKAGE = str(Path(osg_site_iaas.accounting.__file__).parent)
POINTS = 24  # at how many lines of a run it is killed


def in_child(world: World, work: Callable[[], object]) -> int:
    """Run ``work`` in a process of its own; how that ended, as waitpid tells it."""
    child = os.fork()
    if child == 0:
        status = 1
        world.in_child = True
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1]


def killing_at(line: int, work: Callable[[], object]) -> Callable[[], None]:
    """``work``, killed with signal 9 before the n-th line of the package that it executes."""
    count = 0

    def trace(frame: FrameType, event: str, argument: Any) -> Optional[Callable[..., Any]]:
        nonlocal count
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        if event == "line":
            count += 1
            if count == line:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    def run() -> None:
        sys.settrace(trace)
        try:
            work()
        finally:
            sys.settrace(None)

    return run


def lines_of(world: World, work: Callable[[], object], file: Path) -> int:
    """How many lines of the package ``work`` executes, counted in a child."""

    def counting() -> None:
        count = 0

        def trace(frame: FrameType, event: str, argument: Any) -> Optional[Callable[..., Any]]:
            nonlocal count
            if not frame.f_code.co_filename.startswith(PACKAGE):
                return None
            count += event == "line"
            return trace

        sys.settrace(trace)
        work()
        sys.settrace(None)
        file.write_text(str(count))

    assert in_child(world, counting) == 0
    return int(file.read_text())


def test_killed_at_any_line(either_world: World, tmp_path: Path) -> None:
    world = either_world
    points = POINTS if world.settings.sender == "direct" else POINTS // 3  # the library takes its time
    told = steady(12)
    world.live(told)
    folder = world.settings.folder
    total = lines_of(
        world, lambda: world.run(END + HOUR, folder=tmp_path / "count", bundle_size=5), tmp_path / "n"
    )
    counted = dict(expected(told))
    assert world.core_seconds() == counted
    assert total > 1000
    killed = 0
    for point in range(points):
        here = folder / str(point)
        line = 1 + point * total // points
        status = in_child(world, killing_at(line, lambda: world.run(END + HOUR, folder=here, bundle_size=5)))  # noqa: B023
        killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        report = world.run(END + 2 * HOUR, folder=here)
        assert report.ok
        assert report.waiting.get("new") is None
        sent = Store(here).number(
            "SELECT sum(wall * vcpus) FROM slice JOIN size ON size.id = size WHERE state='sent'"
        )
        assert sent == sum(counted.values())
    assert killed > points * 0.8  # threads of requests are not traced, so a few runs get through
    # every one of these histories was sent by every one of the killed runs, and is one to the collector
    assert world.core_seconds() == counted
    assert world.collector.store.duplicates() == []


@pytest.mark.parametrize("room", [0, 16_384, 49_152])
def test_a_full_disk(either_world: World, room: int) -> None:
    world = either_world
    told = steady()
    world.live(told)
    world.run(END - 4 * 86400)
    file = world.settings.folder / FILE

    def starved() -> None:
        signal.signal(
            signal.SIGXFSZ, signal.SIG_IGN
        )  # writing further is an error instead, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + room,) * 2)
        try:
            report = world.run(END + HOUR)
        except AccountingError as error:
            os._exit(7 if "check the disk's space" in str(error) else 8)
        os._exit(7 if any("the disk's space" in text for text in report.errors) else 9)

    assert os.WEXITSTATUS(in_child(world, starved)) == 7
    assert world.run(END + 2 * HOUR).ok
    assert world.core_seconds() == dict(expected(told))
    assert world.collector.store.duplicates() == []


def test_a_damaged_file_is_told_and_left_as_it_is(world: World) -> None:
    world.settings.folder.mkdir(parents=True)
    file = world.settings.folder / FILE
    file.write_bytes(b"this is no database" * 1000)
    with pytest.raises(AccountingError, match="damaged"):
        world.run(END)
    assert file.read_bytes().startswith(b"this is no database")


def test_state_of_a_later_release_is_not_touched(tmp_path: Path) -> None:
    Store(tmp_path).db.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(AccountingError, match="version"):
        Store(tmp_path)


def test_state_of_an_earlier_release_is_brought_up_to_date(tmp_path: Path) -> None:
    Store(tmp_path).db.close()
    with sqlite3.connect(tmp_path / FILE) as db:
        for column in ("action.rank", "server.metered", "slice.received", "slice.transmitted"):
            table, _, name = column.partition(".")
            db.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        for table in ("interface", "traffic"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA user_version=1")
    with pytest.raises(AccountingError, match="earlier release"):
        Store(tmp_path, readonly=True)
    with Store(tmp_path) as store:
        assert store.number("SELECT count(rank) FROM action") == 0
        assert (
            store.number(
                "SELECT count(slice.received) FROM slice, traffic, interface, server WHERE metered > 0"
            )
            == 0
        )
        assert store.number("PRAGMA user_version") == VERSION


def test_reading_needs_a_state(tmp_path: Path) -> None:
    with pytest.raises(AccountingError, match="no accounting state"):
        Store(tmp_path, readonly=True)
    assert list(tmp_path.iterdir()) == []
