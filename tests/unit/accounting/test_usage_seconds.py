"""Actions within a second of one another, and rows read at any moment: whole seconds have to do."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple, Optional

from histories import BASE, SIZES
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.accounting.model import Action, Assumed, Server, Sighting, Size, State
from osg_site_iaas.accounting.usage import history

SMALL, LARGE = SIZES["small"], SIZES["large"]
# what can be done, and what it leads to; None: resized, until that is confirmed
MOVES = {
    State.ACTIVE: ("stop", "suspend", "pause", "resize", "reboot"),
    State.STOPPED: ("start", "resize"),
    State.SUSPENDED: ("resume",),
    State.PAUSED: ("unpause",),
}
LEADS = {
    "stop": State.STOPPED, "start": State.ACTIVE, "suspend": State.SUSPENDED, "resume": State.ACTIVE,
    "pause": State.PAUSED, "unpause": State.ACTIVE, "reboot": State.ACTIVE,
}  # fmt: skip


class Write(NamedTuple):
    """The row as it is from a moment (in milliseconds) on."""

    at: int
    state: Optional[State]
    size: Size
    busy: bool


class Story(NamedTuple):
    """A server of Nova's to the millisecond, and what it used to the second."""

    writes: list[Write]
    actions: list[Action]
    used: Counter[tuple[State, Size]]
    end: int


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """A server's life. Its row is at rest before the next action can be asked for; its last event may come later."""
    gap = st.integers(200, 2500)
    now = draw(st.integers(0, 999))
    state, size = State.ACTIVE, SMALL
    writes = [Write(now, state, size, False)]
    steps: list[tuple[str, int, int, State, Size]] = [("create", now, now, state, size)]
    for _ in range(draw(st.integers(0, 6))):
        start = now + draw(gap)
        name = draw(st.sampled_from(MOVES[state]))
        writes.append(Write(start + 20, state, size, True))
        if name == "resize":
            size = LARGE if size is SMALL else SMALL
            rest = start + draw(st.integers(1000, 4000))  # nothing is copied in less
            writes.append(Write(rest, None, size, False))
            confirmed = rest + draw(gap)
            steps.append((name, start, rest + draw(st.integers(10, 900)), state, size))
            writes.append(Write(confirmed, state, size, False))
            steps.append(("confirmResize", confirmed - 30, confirmed + 10, state, size))
            now = confirmed
        else:
            state = LEADS[name]
            rest = start + draw(st.integers(100, 2500))
            writes.append(Write(rest, state, size, False))
            steps.append((name, start, rest + draw(st.integers(10, 900)), state, size))
            now = rest
    end = now + draw(gap) + 2000
    actions = [
        Action(BASE + start // 1000, BASE + finish // 1000, name, f"req-{number}", rank=number)
        for number, (name, start, finish, _, _) in enumerate(steps)
    ]
    return Story(writes, actions, _used(steps, end // 1000), BASE + end // 1000)


def _used(steps: list[tuple[str, int, int, State, Size]], end: int) -> Counter[tuple[State, Size]]:
    """By hand: from the second in which an action ended, or the next one began, to that of the next change."""
    counted = [step for step in steps if step[0] != "confirmResize"]
    froms = [
        min([step[2] // 1000, *(later[1] // 1000 for later in counted[index + 1 : index + 2])])
        for index, step in enumerate(counted)
    ]
    used: Counter[tuple[State, Size]] = Counter()
    for (_, _, _, state, size), start, stop in zip(counted, froms, [*froms[1:], end]):
        used[state, size] += stop - start
    return +used


@settings(max_examples=100)
@given(stories(), st.lists(st.integers(0, 1_000_000), max_size=5))
def test_what_was_used_is_exact_to_the_second(story: Story, reads: list[int]) -> None:
    last = (story.end - BASE) * 1000
    seen = {_read(story.writes, story.writes[0].at)}  # the first state of all, and at the end, is known
    seen |= {_read(story.writes, read % last) for read in reads}
    final = _read(story.writes, last)
    sightings = [*sorted(seen, key=lambda write: write.at), final._replace(state=None, busy=False)]
    server = Server(
        uuid="u",
        created=story.actions[0].start,
        sightings=tuple(
            Sighting(BASE + write.at // 1000, write.state, write.size, write.busy) for write in sightings
        ),
        actions=tuple(story.actions),
        ended=story.end,
        launched=story.actions[0].finish,
    )
    got: Counter[tuple[State, Size]] = Counter()
    marked = False
    for one in history(server, story.end):
        got[one.state, one.size] += one.seconds
        marked |= Assumed.SIZE in one.assumed
    if not marked:  # each size was seen
        assert got == story.used
    totals: Counter[State] = Counter()
    for (state, _), seconds in story.used.items():
        totals[state] += seconds
    states: Counter[State] = Counter()
    for (state, _), seconds in got.items():
        states[state] += seconds
    assert states == totals


def _read(writes: list[Write], moment: int) -> Write:
    """The row at a moment."""
    return [write for write in writes if write.at <= moment or write is writes[0]][-1]
