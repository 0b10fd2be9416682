"""The intervals of a server's life: by table, and by any history there could be."""

from __future__ import annotations

import pytest
from histories import BASE, CASES, SIZES, interval, server, until
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.accounting.model import DAY, Action, Place, Server, Sighting, State
from osg_site_iaas.accounting.slices import closed
from osg_site_iaas.accounting.usage import MATTERS, history


@pytest.mark.parametrize("case", CASES, ids=[case["case"] for case in CASES])
def test_history(case: dict[str, object]) -> None:
    expected = tuple(interval(text) for text in case["expect"])  # type: ignore[attr-defined]
    got = history(server(case), until(case))
    assert got == expected


times = st.integers(BASE - DAY, BASE + 3 * DAY)
sizes = st.sampled_from(sorted(SIZES.values()))
actions = st.builds(
    Action,
    start=times,
    finish=times,
    name=st.sampled_from([*sorted(MATTERS), "lock", "confirmResize", "from-a-later-nova"]),
    request=st.uuids().map(str),
    failed=st.booleans(),
)
sightings = st.builds(
    Sighting,
    at=times,
    state=st.none() | st.sampled_from(State),
    size=sizes,
    busy=st.booleans(),
    place=st.builds(Place, st.sampled_from(["", "a", "b"]), st.integers(0, 2), st.integers(0, 2)),
)
servers = st.builds(
    Server,
    uuid=st.just("u"),
    created=times,
    sightings=st.lists(sightings, min_size=1, max_size=6).map(
        lambda found: tuple(sorted(found, key=lambda one: one.at))
    ),
    actions=st.lists(actions, max_size=8).map(lambda found: tuple(sorted(found))),
    ended=st.none() | times,
    launched=st.none() | times,
    vanished=st.booleans(),
)


@given(servers, times)
def test_intervals_tile_the_servers_life(one: Server, until: int) -> None:
    got = history(one, until)
    end = until if one.ended is None else min(until, one.ended)
    assert all(found.seconds > 0 for found in got)
    assert [found.start for found in got[1:]] == [found.end for found in got[:-1]]
    assert (got[0].start, got[-1].end) == (one.created, end) if end > one.created else got == ()


@given(servers, times, st.lists(times, max_size=6))
def test_slices_tile_it_too_however_often_they_are_taken(one: Server, until: int, stops: list[int]) -> None:
    taken = []
    since = one.created
    for stop in [*sorted(stop for stop in stops if stop < until), until]:
        fresh = closed(one, since, stop)
        taken.extend(fresh)
        since = fresh[-1].end if fresh else since
    assert taken == list(closed(one, one.created, until))
    assert [found.start for found in taken[1:]] == [found.end for found in taken[:-1]]
    assert all(found.start // DAY == (found.end - 1) // DAY for found in taken)
    assert all(found.wall + sum(found.others.values()) == found.end - found.start for found in taken)
    if taken:
        assert taken[0].start == one.created


@given(servers)
def test_active_time_is_the_same_in_intervals_and_slices(one: Server) -> None:
    end = BASE + 4 * DAY
    active = sum(found.seconds for found in history(one, end) if found.state is State.ACTIVE)
    assert sum(found.wall for found in closed(one, one.created, end)) == active


@given(servers, times)
def test_a_change_in_what_is_known_never_doubles_what_was_taken(one: Server, since: int) -> None:
    rest = closed(one, since, BASE + 4 * DAY)
    assert all(found.start >= since for found in rest)
    if rest:
        assert rest[0].start == max(since, one.created)
