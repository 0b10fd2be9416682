"""Runs of the probe from a Nova that tells histories to a real collector stand-in: every core-hour once."""

from __future__ import annotations

import pytest
from histories import BASE
from nova_history import Life, expected, live
from world import World

from osg_site_iaas.accounting.ledger import HELD
from osg_site_iaas.accounting.model import DAY, iso
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.errors import Locked, SiteError

HOUR = 3600
END = BASE + 6 * DAY


def lives(count: int = 40, seed: int = 1, **more: object) -> list[Life]:
    made = [live(n, seed, BASE, BASE + 2 * DAY, lifetime=DAY, **more) for n in range(count)]  # type: ignore[arg-type]
    return [life for life in made if life.ended is not None and life.ended < END - 2 * HOUR]


def steady(count: int = 40, seed: int = 1) -> list[Life]:
    """Lives without a resize, which only frequent runs can charge exactly."""
    return [life for life in lives(count, seed) if all(step.name != "resize" for step in life.steps)]


def test_every_core_second_is_counted_on_its_day(world: World) -> None:
    told = steady()
    world.live(told)
    for now in range(BASE + HOUR, END + HOUR, 4 * HOUR):
        assert world.run(now).ok
    assert world.core_seconds() == dict(expected(told))
    assert world.collector.store.duplicates() == []
    assert world.collector.store.totals()["arrivals"] == world.collector.store.totals()["documents"]


def test_one_run_at_the_end_sends_what_many_would_have_sent(world: World) -> None:
    told = steady()
    world.live(told)
    assert world.run(END + HOUR).ok
    assert world.core_seconds() == dict(expected(told))


def test_wall_time_is_exact_with_resizes_too_and_core_time_wherever_it_is_not_marked(world: World) -> None:
    told = lives(60, seed=2, moves=8)
    world.live(told)
    for now in range(BASE + HOUR, END + HOUR, 2 * HOUR):
        assert world.run(now).ok
    wall: dict[str, float] = {}
    cores: dict[str, float] = {}
    marked = set()
    for row in world.collector.store.records(limit=10**6):
        fields = row["fields"]
        job = str(fields["LocalJobId"])  # type: ignore[index]
        wall[job] = wall.get(job, 0) + float(str(row["wall"]))
        cores[job] = cores.get(job, 0) + float(str(row["core_hours"])) * HOUR
        if "flavour-before-resize" in str(fields.get("Resource_Assumed")):  # type: ignore[attr-defined]
            marked.add(job)
    assert marked  # else this tests nothing
    assert len(marked) < len(told)
    for life in told:
        assert wall.get(life.uuid, 0) == sum(life.used.values())
        if life.uuid not in marked:
            assert round(cores.get(life.uuid, 0)) == sum(s * size.vcpus for (_, size), s in life.used.items())


def test_a_run_with_nothing_new_asks_once_and_sends_nothing(world: World) -> None:
    world.live(steady())
    world.run(END + HOUR)
    world.nova.asked.clear()
    report = world.run(END + HOUR + 60)
    assert report.ok
    assert report.delivered.sent == 0
    assert dict(world.nova.asked) == {"changed": 1}


def test_a_server_that_has_done_nothing_costs_no_request(world: World) -> None:
    quiet = [life for life in steady(80, seed=3) if life.steps[1].start > END - 4 * DAY]
    assert len(quiet) > 5
    world.live(quiet)
    world.run(END - 4 * DAY)
    assert world.nova.asked["changed"] == 1
    assert world.nova.asked["actions"] == 0


def test_a_day_is_closed_half_an_hour_after_midnight(world: World) -> None:
    (life, *_) = (one for one in steady(80, seed=4) if one.ended and one.ended // DAY > one.created // DAY)
    world.live([life])
    midnight = (life.created // DAY + 1) * DAY
    assert world.run(midnight + 1799).delivered.sent == 0
    assert world.run(midnight + 1800).delivered.sent == 1


def test_a_server_that_has_ended_is_sent_before_midnight(world: World) -> None:
    life = next(
        one for one in steady(80, seed=5) if one.ended and one.ended // DAY == one.created // DAY and one.used
    )
    world.live([life])
    assert life.ended is not None
    assert world.run(life.ended + 1799).delivered.sent == 0
    assert world.run(life.ended + 1800).delivered.sent == 1


@pytest.mark.parametrize("back", [1, HOUR, 3 * DAY])
def test_a_clock_that_is_set_back_doubles_nothing(world: World, back: int) -> None:
    told = steady()
    world.live(told)
    world.run(BASE + 3 * DAY)
    world.run(BASE + 3 * DAY - back)
    world.run(END + HOUR)
    assert world.core_seconds() == dict(expected(told))
    assert world.collector.store.duplicates() == []


def test_a_purge_between_runs_loses_nothing_that_was_read(world: World) -> None:
    told = steady()
    world.live(told)
    world.run(END - HOUR)
    world.nova.purge()
    assert world.run(END + HOUR).ok
    assert world.core_seconds() == dict(expected(told))


def test_a_server_purged_before_its_end_was_read_counts_to_when_it_was_last_seen(world: World) -> None:
    life = next(
        one for one in steady(200, seed=6)
        if one.ended and one.ended > one.created + DAY and len(one.steps) == 2 and one.created % DAY > HOUR
    )  # fmt: skip
    world.live([life])
    last = (life.created // DAY + 1) * DAY + 2 * HOUR  # with the look for all servers once a day
    assert life.ended is not None
    world.run(life.created + HOUR)
    world.run(last)
    world.nova.now = life.ended + 60
    world.nova.purge()
    report = world.run(END + HOUR)
    assert report.read is not None
    assert report.read.vanished == (life.uuid,)
    assert any("purged" in text for text in report.warnings)
    (size,) = {size for _, size in life.used}
    assert sum(world.core_seconds().values()) == (last - life.steps[0].finish) * size.vcpus
    (record,) = world.collector.store.records(day=iso(last)[:10])
    assert "end-of-server" in str(record["fields"])


def test_two_runs_at_once_are_refused(world: World) -> None:
    world.live(steady())
    refused = []

    def meanwhile(what: str) -> None:
        with pytest.raises(Locked) as error:
            world.run(END)
        refused.append(str(error.value))

    world.nova.fault = meanwhile
    assert world.run(END).ok
    assert refused
    assert "another run is under way (process " in refused[0]


def test_a_nova_that_fails_is_told_and_what_waits_is_sent_all_the_same(world: World) -> None:
    told = steady()
    world.live(told)
    world.run(BASE + 2 * DAY, enabled=False)

    def down(what: str) -> None:
        raise SiteError("Nova is down")

    world.nova.fault = down
    report = world.run(BASE + 3 * DAY)
    assert not report.ok
    assert "Nova is down" in report.errors[0]
    assert report.delivered.sent > 0
    world.nova.fault = None
    assert world.run(END + HOUR).ok
    assert world.core_seconds() == dict(expected(told))


def test_a_nova_that_fails_in_the_middle_is_read_on_where_it_failed(world: World) -> None:
    told = steady()
    world.live(told)
    budget = iter(range(15))

    def tired(what: str) -> None:
        if next(budget, None) is None:
            raise SiteError("Nova is tired")

    world.nova.fault = tired
    assert not world.run(END + HOUR).ok
    assert world.collector.store.totals()["documents"] == 0  # nothing is closed on half a reading
    world.nova.fault = None
    assert world.run(END + 2 * HOUR).ok
    assert world.core_seconds() == dict(expected(told))


def test_what_belongs_to_no_vo_is_held_until_it_does(world: World) -> None:
    told = steady()
    world.live(told)
    world.vos = ("cms",)
    report = world.run(END + HOUR)
    held = report.waiting[HELD]
    assert held
    assert any("belong to no VO" in text for text in report.warnings)
    world.vos = ("cms", "icecube", "ligo")
    report = world.run(END + 2 * HOUR)
    assert report.released == report.delivered.sent == held
    assert world.core_seconds() == dict(expected(told))


def test_an_edit_of_the_mapping_does_not_touch_what_was_made(world: World) -> None:
    told = steady()
    world.live(told)
    world.run(BASE + 2 * DAY)
    world.vos = ("cms", "ligo")
    world.run(BASE + 3 * DAY)
    world.vos = ("cms", "icecube", "ligo")
    world.run(END + HOUR)
    assert world.core_seconds() == dict(expected(told))
    assert world.collector.store.duplicates() == []


def test_records_of_more_than_a_week_ago_are_sent_and_reported(world: World) -> None:
    told = steady()
    world.live(told)
    report = world.run(END + 9 * DAY)
    assert world.core_seconds() == dict(expected(told))
    assert any("ask GRACC" in text for text in report.warnings)


def test_what_ended_before_the_start_date_is_not_sent(world: World) -> None:
    told = steady()
    world.live(told)
    world.run(END + HOUR, start=BASE + 2 * DAY)
    first = BASE // DAY + 2
    assert world.core_seconds() == {day: s for day, s in expected(told).items() if day >= first}


def test_what_ended_before_the_start_date_costs_nothing_more(world: World) -> None:
    told = steady()
    world.live(told)
    start = BASE + 2 * DAY
    later = [life for life in told if life.ended is not None and life.ended > start]
    assert 5 < len(later) < len(told) - 5
    world.run(END + HOUR, start=start)
    assert world.nova.asked["actions"] == len(later)
    with Store(world.settings.folder, readonly=True) as store:
        assert store.number("SELECT count(*) FROM server WHERE due IS NOT NULL OR unread") == 0
        assert store.number("SELECT count(*) FROM server") == len(told)


def test_a_first_run_that_breaks_off_costs_no_more_the_second_time(world: World) -> None:
    told = steady()
    world.live(told)
    start = BASE + 2 * DAY
    later = [life for life in told if life.ended is not None and life.ended > start]

    def broken(what: str) -> None:
        if what == "actions":
            raise SiteError("Nova is down")

    world.nova.fault = broken
    assert not world.run(END + HOUR, start=start).ok
    world.nova.fault = None
    world.nova.asked.clear()
    assert world.run(END + 2 * HOUR, start=start).ok
    assert world.nova.asked["actions"] == len(later)


def test_a_server_that_is_seen_again_as_it_started_costs_no_request(world: World) -> None:
    (life,) = [life for life in steady(60) if life.steps[0].finish < life.steps[1].start - 4 * HOUR][:1]
    world.live([life])
    started = life.steps[0].finish
    for now in (started + 30, started + 90, started + HOUR):  # so soon that its row is read again
        assert world.run(now).ok
    assert world.nova.asked["actions"] == 0
    assert world.run(END + HOUR).ok
    assert world.nova.asked["actions"] == 1
    assert world.core_seconds() == dict(expected([life]))
