"""The outbox against a collector that misbehaves in every way it can: nothing lost, nothing doubled."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Sequence
from urllib.parse import quote_plus

import pytest
from histories import BASE
from hypothesis import given
from hypothesis import strategies as st
from nova_history import expected
from test_run import END, HOUR, steady
from world import World

from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.deliver import BUNDLE_CHARACTERS, fitting
from osg_site_iaas.accounting.ledger import NEW, POISON
from osg_site_iaas.accounting.model import DAY
from osg_site_iaas.accounting.send import Direct, Fate, Outcome, encoded, judge
from osg_site_iaas.accounting.settings import Collector
from osg_site_iaas.errors import AccountingError
from osg_site_iaas.sandbox.collector.faults import Fault
from osg_site_iaas.sandbox.collector.server import Collector as StandIn


def fill(world: World) -> dict[int, int]:
    """An outbox with everything in it; what it counts for."""
    told = steady()
    world.live(told)
    report = world.run(END + HOUR, enabled=False)
    assert report.waiting[NEW] > 20
    return dict(expected(told))


def exactly_once(world: World, counted: dict[int, int]) -> None:
    assert world.core_seconds() == counted
    assert world.collector.store.duplicates() == []


@pytest.mark.parametrize("kind", ["unavailable", "html", "error"])
def test_an_answer_that_is_not_ok_keeps_everything_for_the_next_run(either_world: World, kind: str) -> None:
    world = either_world
    counted = fill(world)
    world.collector.faults.switch(Fault(kind, count=-1))
    report = world.run(END + 2 * HOUR)
    assert not report.ok
    assert report.delivered.sent == 0
    assert "nothing is lost" in report.errors[0]
    world.collector.faults.clear()
    assert world.run(END + 3 * HOUR).ok
    exactly_once(world, counted)


@pytest.mark.parametrize("kind", ["drop", "lost", "half"])
def test_a_connection_that_breaks_once_is_made_anew(either_world: World, kind: str) -> None:
    world = either_world
    counted = fill(world)
    world.collector.faults.switch(Fault(kind))
    first = world.run(END + 2 * HOUR, bundle_size=10)
    assert first.ok or world.settings.sender == "gratia"  # which sends again at the next run
    assert world.run(END + 3 * HOUR).ok
    exactly_once(world, counted)


@pytest.mark.parametrize("kind", ["drop", "lost", "half"])
def test_a_connection_that_always_breaks_stops_the_run(either_world: World, kind: str) -> None:
    world = either_world
    counted = fill(world)
    world.collector.faults.switch(Fault(kind, count=-1))
    assert not world.run(END + 2 * HOUR, bundle_size=10).ok
    world.collector.faults.clear()
    assert world.run(END + 3 * HOUR).ok
    exactly_once(world, counted)


def test_a_collector_that_is_down_for_a_week(either_world: World) -> None:
    world = either_world
    told = steady()
    world.live(told)
    world.aim(f"127.0.0.1:{free_port()}")
    for day in range(7):
        report = world.run(BASE + day * DAY + 2 * HOUR)
        assert day < 2 or not report.ok
    world.aim(world.collector.address)
    assert world.run(BASE + 7 * DAY + 2 * HOUR).ok
    exactly_once(world, dict(expected(told)))


def test_a_collector_that_is_too_slow(either_world: World) -> None:
    world = either_world
    counted = fill(world)
    world.collector.faults.switch(Fault("slow", seconds=3))
    world.aim(world.collector.address, timeout=1)
    report = world.run(END + 2 * HOUR)
    world.aim(world.collector.address)
    assert "no answer within 1 seconds" in report.errors[0] or world.settings.sender == "gratia"
    assert world.run(END + 3 * HOUR).ok
    exactly_once(world, counted)


def test_a_collector_that_drops_idle_connections(tmp_path: Path) -> None:
    with StandIn(tmp_path, idle=0.2) as collector, direct(collector.address) as sender:
        assert sender.ping() == Outcome(Fate.TAKEN)
        threading.Event().wait(0.6)
        assert sender.send(["<JobUsageRecord/>"], 0) == Outcome(Fate.TAKEN)


def test_a_poisoned_record_is_found_and_the_rest_is_delivered(either_world: World) -> None:
    world = either_world
    counted = fill(world)
    (victim, *_) = world.nova.lives.values()
    lost = dict(expected([victim]))
    world.collector.faults.switch(Fault("poison", count=-1, match=victim.uuid))
    report = world.run(END + 2 * HOUR)
    assert report.waiting[POISON] == report.delivered.refused == len(lost)
    assert "kept aside" in report.errors[0]
    rest = {day: seconds - lost.get(day, 0) for day, seconds in counted.items()}
    assert world.core_seconds() == {day: seconds for day, seconds in rest.items() if seconds}
    assert world.run(END + 3 * HOUR).ok  # what was set aside spoils nothing any more


def test_a_collector_that_refuses_all_there_is_does_not_empty_the_outbox(world: World) -> None:
    fill(world)

    class Refusing:
        def send(self, records: list[str], waiting: int) -> Outcome:
            return Outcome(Fate.REFUSED, "400 no")

        def ping(self) -> Outcome:
            return Outcome(Fate.REFUSED, "400 no")

    world.sender = nullcontext(Refusing())
    report = world.run(END + 2 * HOUR)
    assert POISON not in report.waiting
    assert "so is a ping" in report.errors[0]


def test_what_was_sent_is_archived_byte_for_byte(either_world: World) -> None:
    world = either_world
    fill(world)
    world.run(END + 2 * HOUR, bundle_size=7)
    archive = Archive(world.settings.folder)
    records = [record for bundle in range(1, 4) for record in archive.get(bundle).values()]
    kept = {str(row["job"]) for row in world.collector.store.records(limit=10**6)}
    assert len(records) == 21
    for record in records:
        assert any(f"<GlobalJobId>{job}</GlobalJobId>" in record for job in kept)


def test_an_archive_that_cannot_be_written_acknowledges_nothing(world: World) -> None:
    counted = fill(world)
    (world.settings.folder / "archive").write_text("in the way")
    report = world.run(END + 2 * HOUR)
    assert not report.ok
    assert report.delivered.sent == 0
    assert "the archive cannot be written" in report.errors[0]
    (world.settings.folder / "archive").unlink()
    assert world.run(END + 3 * HOUR).ok
    exactly_once(world, counted)


def test_bundles_stay_small_enough_for_the_collector() -> None:
    record = "x" * 50_000
    bundle = [(number, record) for number in range(100)]
    assert len(fitting(bundle)) == BUNDLE_CHARACTERS // 50_000
    assert len(fitting([(1, "x" * 2 * BUNDLE_CHARACTERS)])) == 1
    assert fitting([]) == []


@pytest.mark.parametrize(
    "status, text, fate",
    [
        (200, "OK", Fate.TAKEN), (200, "OK ", Fate.LATER), (200, "O", Fate.LATER), (200, "", Fate.LATER),
        (200, "<html>OK</html>", Fate.LATER), (200, "Error", Fate.LATER), (201, "OK", Fate.LATER),
        (302, "OK", Fate.LATER), (400, "error unmarshalling xml", Fate.REFUSED), (413, "", Fate.REFUSED),
        (401, "", Fate.LATER), (403, "", Fate.LATER), (404, "", Fate.LATER), (500, "", Fate.LATER),
        (503, "Service unavailable right now", Fate.LATER),
    ],
)  # fmt: skip
def test_what_an_answer_means(status: int, text: str, fate: Fate) -> None:
    assert judge(status, text).fate is fate


@given(st.text() | st.text(alphabet='<a>/"=:# +%&\n'))
def test_a_form_is_encoded_as_forms_are(value: str) -> None:
    value = value.encode("utf-8", "ignore").decode()  # records hold no halves of characters
    assert encoded(value) == quote_plus(value)


def test_a_bundle_is_archived_while_the_next_one_is_on_its_way(world: World) -> None:
    counted = fill(world)
    waited: list[int] = []

    class Slow(Direct):
        """Answers once the bundle before is in the archive."""

        def send(self, records: Sequence[str], waiting: int) -> Outcome:
            archive = Archive(world.settings.folder)
            deadline = time.monotonic() + 60
            while waited:
                with suppress(AccountingError, sqlite3.OperationalError):
                    archive.get(len(waited))
                    break
                if time.monotonic() > deadline:
                    return Outcome(Fate.LATER, "the bundle before was not archived")
                time.sleep(0.01)
            waited.append(waiting)
            return super().send(records, waiting)

    world.sender = Slow(world.settings.collector, "openstack:cloud.example.org", 10)
    report = world.run(END + 2 * HOUR, bundle_size=10)
    assert report.ok, report.errors
    assert waited[-1] == 0
    assert len(waited) > 3
    exactly_once(world, counted)


def test_a_collector_that_is_not_there_is_told_in_few_words() -> None:
    with direct(f"127.0.0.1:{free_port()}") as sender:
        words = sender.ping().words
    assert words.startswith("the connection failed: ")
    assert "refused" in words
    assert len(words) < 120


def test_an_endless_answer_is_cut() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 999999999\r\n\r\n" + b"x" * 200_000)

        thread = threading.Thread(target=answer)
        thread.start()
        with direct(f"127.0.0.1:{server.getsockname()[1]}") as sender:
            outcome = sender._once(b"x")[0]
        thread.join()
    assert outcome.fate is Fate.LATER
    assert len(outcome.words) < 300


def test_the_form_is_the_one_that_gratia_probes_send(tmp_path: Path) -> None:
    with StandIn(tmp_path) as collector, direct(collector.address) as sender:
        assert sender.send(["<JobUsageRecord/>", "<JobUsageRecord/>"], 5).fate is Fate.TAKEN
        assert json.loads(json.dumps(collector.store.stats()))["Records"] == 2


def direct(address: str) -> Direct:
    return Direct(Collector(address, timeout=30), "openstack:cloud.example.org", 100)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
