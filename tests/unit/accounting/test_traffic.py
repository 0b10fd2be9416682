"""Network counters of hypervisors, added up: never negative, never twice, never more than went through."""

from __future__ import annotations

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Iterator, Optional, Sequence

import pytest
from histories import BASE
from hypothesis import given
from hypothesis import strategies as st
from nova_history import SIZES, Life, Step, TellingNova
from test_run import END, HOUR, lives
from world import World, owners

from osg_site_iaas.accounting import egi, export
from osg_site_iaas.accounting.diagnostics import counters
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.model import DAY, State
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.statement import Month, day_rows, statements
from osg_site_iaas.accounting.statement_html import page
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.traffic import Answers, Octets, Reading, Target, moved, spread

RATE = Octets(1000, 7)  # bytes for each active second
ANEW = {"create", "start", "resume", "resize", "rebuild", "live-migration", "unshelve", "rescue", "unrescue"}

octets = st.builds(Octets, st.integers(0, 1 << 50), st.integers(0, 1 << 50))
steps = st.lists(
    st.tuples(st.sampled_from("ab"), octets, st.sampled_from(["", "", "anew", "gone", "unread"])), max_size=20
)


@given(steps)
def test_what_is_added_up_is_never_more_than_went_through(told: list[tuple[str, Octets, str]]) -> None:
    """Interfaces count, begin anew, go and come back, and some readings do not happen."""
    now: dict[str, Octets] = {}
    before: dict[str, Octets] = {}
    truth = Octets(0, 0)
    total = Octets(0, 0)
    lost = False
    for name, more, event in told:
        if event == "anew":
            now[name] = Octets(0, 0)
        elif event == "gone":
            now.pop(name, None)
        lost |= event != ""
        last = now.get(name, Octets(0, 0))
        now[name] = Octets(last.received + more.received, last.transmitted + more.transmitted)
        truth = Octets(truth.received + more.received, truth.transmitted + more.transmitted)
        if event != "unread":
            came = moved(before, now)
            assert min(came) >= 0
            total = Octets(total.received + came.received, total.transmitted + came.transmitted)
            before = dict(now)
    assert total.received <= truth.received
    assert total.transmitted <= truth.transmitted
    assert lost or total == truth


@given(octets, st.integers(BASE, BASE + 9 * DAY), st.integers(BASE, BASE + 9 * DAY))
def test_days_share_what_went_through_and_lose_no_byte(what: Octets, since: int, until: int) -> None:
    days = dict(spread(what, since, until))
    assert sum(part.received for part in days.values()) == what.received
    assert sum(part.transmitted for part in days.values()) == what.transmitted
    assert all(min(part) >= 0 for part in days.values())
    assert list(days) == sorted(days)
    assert list(days)[-1] in {until // DAY, (until - 1) // DAY}


def test_what_lies_across_midnight_is_shared_by_time() -> None:
    midnight = BASE + DAY
    assert list(spread(Octets(400, 4), midnight - 30, midnight + 10)) == [
        (midnight // DAY - 1, Octets(300, 3)),
        (midnight // DAY, Octets(100, 1)),
    ]


def nic(mac: Optional[str], rx: object, tx: object) -> dict[str, object]:
    return {"mac_address": mac, "rx_octets": rx, "tx_octets": tx}


def test_counters_are_read_as_drivers_give_them() -> None:
    found = counters({
        "nic_details": [
            nic("fa:16:3e:00:00:01", 10, 1),
            nic("fa:16:3e:00:00:02", None, None),  # passed through: the host sees nothing of it
            nic("fa:16:3e:00:00:03", -1, 1),
            nic("fa:16:3e:00:00:04", 1 << 63, 1),
            nic(None, 5, 2),
        ]
    })  # fmt: skip
    assert found == {"fa:16:3e:00:00:01": (10, 1), "#4": (5, 2)}
    for nonsense in ([], {}, {"nic_details": None}, {"nic_details": [None]}):
        with pytest.raises(ValueError, match="nic_details"):
            counters(nonsense)  # type: ignore[arg-type]


class Hypervisors:
    """Count of each server's network what it moves, from when it last began to run; some do not answer."""

    def __init__(self, nova: TellingNova) -> None:
        self.nova = nova
        self.silent: set[str] = set()
        self.last: dict[str, int] = {}  # when a server was last read
        self.asked = 0

    def __call__(self, targets: Sequence[Target]) -> Answers:
        self.asked += len(targets)
        readings = []
        for target in targets:
            if target.uuid in self.silent:
                continue
            seconds = active_since(self.nova.lives[target.uuid], self.nova.now)
            count = Octets(RATE.received * seconds, RATE.transmitted * seconds)
            self.last[target.uuid] = self.nova.now
            readings.append(Reading(target.uuid, self.nova.now, {"mac": count}))
        return readings, "host h: it does not answer" if self.silent else "", True


def stretches(life: Life, now: int) -> Iterator[tuple[int, int, bool]]:
    """When it was active, and whether counters began anew there."""
    for step, following in zip(life.steps, [*life.steps[1:], None]):
        end = min(now, following.finish if following else now)
        if step.name != "delete" and step.state is State.ACTIVE and step.finish < end:
            yield step.finish, end, step.name in ANEW


def active_since(life: Life, now: int) -> int:
    total = 0
    for start, end, anew in stretches(life, now):
        total = end - start if anew else total + end - start
    return total


@pytest.fixture
def metered(world: World) -> World:
    world.live(lives(30, seed=5))
    world.meter = Hypervisors(world.nova)
    return world


def by_server(folder: Path) -> Counter[str]:
    """What slices have received, by server."""
    with Store(folder, readonly=True) as store:
        total: Counter[str] = Counter()
        for found in Ledger(store, Observed(store)).slices(0, 1 << 40):
            if found.found.received is not None:
                total[found.found.uuid] += found.found.received
        return total


def test_slices_get_what_went_through_once(metered: World) -> None:
    for now in range(BASE, END + 2 * HOUR, HOUR):
        assert metered.run(now, traffic=True).ok
    got = by_server(metered.settings.folder)
    exact = 0
    for uuid, life in metered.nova.lives.items():
        truth = RATE.received * sum(end - start for start, end, _ in stretches(life, END))
        assert 0 <= got[uuid] <= truth
        if not {step.name for step in life.steps[1:]} & ANEW and uuid in metered.meter.last:
            read = RATE.received * sum(e - s for s, e, _ in stretches(life, metered.meter.last[uuid]))
            assert got[uuid] == read
            exact += 1
        assert truth - got[uuid] <= RATE.received * (len(life.steps)) * HOUR  # at most an hour for each stop
    assert exact > 5
    with Store(metered.settings.folder, readonly=True) as store:
        assert store.number("SELECT count(*) FROM traffic") == 0
        assert store.number("SELECT count(*) FROM interface") == 0


def test_a_server_that_vanishes_and_comes_back_counts_on(world: World) -> None:
    """As after the restore of Nova's database from a backup."""
    at = BASE + 2 * HOUR
    steps = [
        Step(name, at + start * HOUR, at + start * HOUR + 9, State.ACTIVE, SIZES[0])
        for name, start in (("create", 0), ("reboot", 40), ("delete", 60))
    ]
    life = Life("6f1c7f0c-0000-4000-8000-000000000001", "p0", at, steps, steps[-1].finish)
    world.live([life])
    world.meter = Hypervisors(world.nova)
    vanished = 0
    for now in range(BASE, at + 64 * HOUR, HOUR):
        world.nova.purged = {life.uuid} if at + 9 * HOUR < now < at + 39 * HOUR else set()
        report = world.run(now, traffic=True)
        assert report.ok
        assert report.read is not None
        vanished += len(report.read.vanished)
    assert vanished == 1
    assert world.meter.last[life.uuid] > at + 50 * HOUR  # it was read again
    read = sum(end - start for start, end, _ in stretches(life, world.meter.last[life.uuid]))
    assert by_server(world.settings.folder)[life.uuid] == RATE.received * read


def test_records_are_the_same_with_it_and_without(metered: World) -> None:
    for now in (BASE + DAY, BASE + 2 * DAY, END + HOUR):
        assert metered.run(now, traffic=True).ok
    documents = metered.collector.store.totals()["documents"]
    for now in (BASE + DAY, BASE + 2 * DAY, END + HOUR):
        assert metered.run(now, folder=metered.settings.folder / "other").ok
    assert metered.collector.store.totals()["documents"] == documents


def test_what_was_counted_before_the_first_reading_is_nobodys(metered: World) -> None:
    assert metered.run(BASE + 2 * DAY, traffic=True).ok
    assert metered.meter.last
    assert metered.run(BASE + 2 * DAY + HOUR, traffic=True).ok
    got = by_server(metered.settings.folder)
    assert all(got[uuid] <= RATE.received * HOUR for uuid in metered.meter.last)


def test_a_hypervisor_that_is_silent_costs_nothing_but_time(metered: World) -> None:
    assert metered.run(BASE, traffic=True).ok
    quiet = [u for u, life in metered.nova.lives.items() if not {s.name for s in life.steps[1:]} & ANEW]
    metered.meter.silent.update(quiet)
    report = metered.run(BASE + DAY, traffic=True)
    assert report.ok
    assert any("network traffic is not known of all servers: host h" in text for text in report.warnings)
    metered.meter.silent.clear()
    for now in range(BASE + DAY + HOUR, END + HOUR, HOUR):
        assert metered.run(now, traffic=True).ok
    got = by_server(metered.settings.folder)
    caught_up = [uuid for uuid in quiet if uuid in metered.meter.last]
    assert caught_up
    for uuid in caught_up:
        life = metered.nova.lives[uuid]
        read = sum(e - s for s, e, _ in stretches(life, metered.meter.last[uuid]))
        assert got[uuid] == RATE.received * read


def test_nobody_is_asked_unless_that_is_wanted(metered: World) -> None:
    report = metered.run(BASE + DAY)
    assert (report.metered, metered.meter.asked) == (None, 0)
    metered.vos = ()
    report = metered.run(BASE + DAY + HOUR, traffic=True, suppress_unknown_vo=True)
    assert report.metered is not None
    assert (report.metered.asked, metered.meter.asked) == (0, 0)


def test_exports_and_statements_tell_it(metered: World) -> None:
    for now in range(BASE, END + HOUR, 6 * HOUR):
        assert metered.run(now, traffic=True).ok
    month = Month.of("2026-11")
    with Store(metered.settings.folder, readonly=True) as store:
        ledger = Ledger(store, Observed(store))
        total = sum(by_server(metered.settings.folder).values())
        file = io.StringIO()
        export.write_csv(file, export.rows(ledger.slices(month.start, month.end), {}, {}))
        rows = list(csv.DictReader(io.StringIO(file.getvalue())))
        assert sum(int(row["network_received_bytes"] or 0) for row in rows) == total
        assert "" in {row["network_received_bytes"] for row in rows}  # it ended before anybody asked
        machines = list(egi.machines(Observed(store), ledger, lambda users: owners(), BASE, END + DAY))
        assert sum(one.octets.received for one in machines if one.octets) == total
        told = [egi.fields(one, "SITE", "s") for one in machines if one.octets]
        assert {int(one["NetworkInbound"]) for one in told} >= {0}
        found = statements(ledger.slices(month.start, month.end), month, {})
        assert sum(s.total.octets.received for s in found.values() if s.total.octets) == total
        for statement in found.values():
            text = page(statement, site="S", collector="c", closed=END)
            assert "GB received" in text
            assert "not reported to OSG" in text
            assert any(row["gb_received"] for row in day_rows(statement))
