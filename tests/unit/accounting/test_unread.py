"""Servers of which no actions are asked for: what that can cost, by any history there could be."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Optional

from histories import BASE, SIZES
from hypothesis import assume, given
from hypothesis import strategies as st

from osg_site_iaas.accounting.model import Action, Place, Server, Sighting, Size, State
from osg_site_iaas.accounting.observed import QUIET, SOON, Seen, _quiet
from osg_site_iaas.accounting.usage import history

END = BASE + 86400
# what each leads to from ACTIVE, and what leads back
ROUND = {
    "stop": (State.STOPPED, "start"),
    "suspend": (State.SUSPENDED, "resume"),
    "pause": (State.PAUSED, "unpause"),
    "rescue": (State.RESCUED, "unrescue"),
    "shelve": (State.SHELVED, "unshelve"),
}
RELAUNCH = {"rebuild", "rescue", "unshelve"}  # these set launched_at anew


class Told(NamedTuple):
    """A server that does some things and rests, as Nova has it then."""

    server: Server
    row: Seen


@st.composite
def servers(draw: st.DrawFn, gaps: tuple[int, ...] = (0, 1, 2, 5, 40)) -> Told:
    small, large = sorted(SIZES.values())
    at = BASE + draw(st.integers(0, 90))
    actions = [Action(BASE, at, "create", "req-0")]
    launched, state, size = at, State.ACTIVE, small
    for number in range(draw(st.integers(0, 3))):
        start = at + draw(st.sampled_from(gaps))
        at = start + draw(st.sampled_from(gaps[:3]))
        if state is not State.ACTIVE:
            name, state = ROUND[actions[-1].name][1], State.ACTIVE
        else:
            name = draw(st.sampled_from([*sorted(ROUND), "rebuild", "resize", "reboot", "live-migration"]))
            state = ROUND[name][0] if name in ROUND else State.ACTIVE
        size = (large if size == small else small) if name == "resize" else size
        launched = at if name in RELAUNCH else launched
        actions.append(Action(start, at, name, f"req-{number + 1}", rank=number + 1))
    sighting = Sighting(at, state, size, False, Place())
    first = actions[0].finish
    server = Server(
        "u", BASE, (Sighting(first, State.ACTIVE, small), sighting), tuple(actions), launched=first
    )
    return Told(server, Seen("u", "p", "user", "n", "i", BASE, sighting, launched))


def active(server: Server) -> Counter[Size]:
    used: Counter[Size] = Counter()
    for found in history(server, END):
        if found.state is State.ACTIVE:
            used[found.size] += found.seconds
    return used


def off_by(told: Told) -> int:
    """Seconds charged otherwise if the row alone is believed."""
    row = told.row
    assert row.launched is not None
    create = Action(BASE, row.launched, "create")
    believed = active(Server("u", BASE, (row.sighting,), (create,), launched=row.launched))
    truth = active(told.server)
    return max(abs(believed[size] - truth[size]) for size in SIZES.values())


def slept(told: Told) -> Optional[str]:
    """An action that sets the launch anew, if there was one."""
    return next((a.name for a in told.server.actions if a.name in RELAUNCH), None)


@given(servers(gaps=(0, 1)))  # with more between them few rows are believed
def test_a_row_that_is_believed_is_off_by_two_seconds_at_most(told: Told) -> None:
    assume(_quiet(told.row))
    assert off_by(told) <= (QUIET if slept(told) is None else SOON)


@given(servers())
def test_a_row_is_believed_only_of_what_has_started_and_done_no_more(told: Told) -> None:
    if told.row.sighting.state is not State.ACTIVE or told.row.sighting.at > BASE + SOON + QUIET:
        assert not _quiet(told.row)
    if len(told.server.actions) == 1 and told.row.sighting.at <= BASE + SOON:
        assert _quiet(told.row)
        assert off_by(told) == 0
