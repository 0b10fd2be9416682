"""From what Nova tells of a server to the intervals of its life. Pure.

A state holds until the action that ends it has finished. What actions cannot tell (a failure, a change without
an action, the size before a resize) comes from sightings of the server's row; docs/accounting.md has every rule.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import NamedTuple, Sequence, TypeVar, Union

from osg_site_iaas.accounting.model import (
    Action,
    Assumed,
    Interval,
    Place,
    Server,
    Sighting,
    Size,
    State,
    in_order,
)

# a delete that ends this close to the server's end was its end; with more between, it was a soft delete
SOFT_DELETE = 60  # seconds
# a launch this long after the create action was set anew by another action, and tells nothing of the first
RELAUNCH = 2  # seconds

_AFTER = {
    "stop": State.STOPPED,
    "start": State.ACTIVE,
    "reboot": State.ACTIVE,  # a hard reboot starts a stopped server too
    "pause": State.PAUSED,
    "unpause": State.ACTIVE,
    "suspend": State.SUSPENDED,
    "resume": State.ACTIVE,
    "rescue": State.RESCUED,
    "unrescue": State.ACTIVE,
    "shelve": State.SHELVED,
    "shelveOffload": State.OFFLOADED,
    "unshelve": State.ACTIVE,
    "restore": State.ACTIVE,
}
_RESIZE = frozenset({"resize", "revertResize"})
_HEAL = frozenset({"rebuild", "evacuate"})  # what is stopped stays so; what is in error runs again
_MOVE = frozenset({"migrate", "live-migration"})
_PROOF = frozenset({"confirmResize", "revertResize"})  # only of a resize that was done
MATTERS = frozenset({"create", "delete", "confirmResize", *_AFTER, *_RESIZE, *_HEAL, *_MOVE})

T = TypeVar("T")
Marks = frozenset[Assumed]
_SURE: Marks = frozenset()
Steps = list[tuple[int, T, Marks]]  # from that time on it is this


class _Placed(NamedTuple):
    """A sighting, the time from which it tells what is, and the number of actions that are behind it."""

    at: int
    done: int
    sighting: Sighting


def history(server: Server, until: int) -> tuple[Interval, ...]:
    """The intervals of the server's life from its creation to its end, or to ``until`` if that comes first.

    They follow one another without a gap or an overlap, and none is empty.
    """
    end = until if server.ended is None else min(until, server.ended)
    if end <= server.created:
        return ()
    actions = _finished(server)
    placed = _place(server.sightings, actions)
    states = _states(server, actions, placed)
    sizes = _sizes(server, actions, placed)
    places: Steps[Place] = [(found.at, found.sighting.place, _SURE) for found in placed]
    cuts = {step[0] for step in states} | {step[0] for step in sizes}
    cuts.update(after[0] for before, after in zip(places, places[1:]) if before[1] != after[1])
    cuts.update(action.finish for action in actions if action.name in _HEAL or action.name in _MOVE)
    bounds = [server.created, *sorted(at for at in cuts if server.created < at < end), end]
    gone = frozenset({Assumed.END}) if server.vanished else _SURE
    out = []
    for start, stop in zip(bounds, bounds[1:]):
        begun, state, doubt = _at(states, start)
        _, size, marks = _at(sizes, start)
        if begun == start:  # only the moment of the change is in doubt, not what follows
            marks |= doubt
        if stop == server.ended:
            marks |= gone
        out.append(Interval(start, stop, state, size, _at(places, start)[1], marks))
    return tuple(out)


def _at(steps: Steps[T], when: int) -> tuple[int, T, Marks]:
    """The step that holds at a time; the first one also before it begins."""
    index = bisect_right([step[0] for step in steps], when)
    return steps[max(index - 1, 0)]


def _finished(server: Server) -> tuple[Action, ...]:
    """The actions that took effect, in order. None ends after the next one began: the clocks of hosts differ.

    One that is under way has no effect yet: Nova's list does not tell its end from its last event's begin.
    """
    known = in_order(a for a in server.actions if a.name in MATTERS and a.name != "confirmResize")
    limits = [action.start for action in known[1:]]
    if server.ended is None and server.sightings[-1].busy and known:
        known.pop()
    out = []
    for index, action in enumerate(known):
        if action.failed and action.name != "create" and not _done_all_the_same(action, server):
            continue
        finish = max(action.finish, action.start)
        if action.name == "create" and server.launched is not None:
            launched = max(server.launched, server.created)
            finish = launched if launched <= finish + RELAUNCH else finish
        finish = min([finish, *limits[index : index + 1]])
        out.append(Action(action.start, finish, action.name, action.request, action.failed))
    if not any(action.name == "create" for action in out) and server.launched is not None:
        begin = min([server.launched, *(action.start for action in out)])
        out.insert(0, Action(server.created, max(begin, server.created), "create"))
    return tuple(out)


def _done_all_the_same(failed: Action, server: Server) -> bool:
    """Whether a resize that Nova calls an error was done: one that a second host took after the first could not is.

    It was if it was confirmed or reverted, or if the server is seen with another size after it than before.
    """
    if failed.name != "resize":
        return False
    others = in_order(a for a in server.actions if a is not failed and a.name in (_RESIZE | _PROOF))
    following = next((a for a in others if a.start >= failed.start), None)
    if following is not None and following.name in _PROOF:
        return True
    quiet = [one for one in server.sightings if not one.busy]
    before = next((one for one in reversed(quiet) if one.at < failed.start), None)
    after = next((one for one in quiet if one.at > failed.start), None)
    if before is None or after is None or before.size == after.size:
        return False
    return not any(before.at <= other.start <= after.at for other in others)


def _place(sightings: Sequence[Sighting], actions: Sequence[Action]) -> tuple[_Placed, ...]:
    """Sightings in order. What was seen while an action's last step was being written is its result: at its end."""
    starts = [action.start for action in actions]
    out: list[_Placed] = []
    for sighting in sightings:
        at = sighting.at
        index = bisect_right(starts, at) - 1
        done = _behind(sighting, actions[: index + 1], out)
        if not sighting.busy and done > index >= 0:
            at = max(at, actions[index].finish)
        out.append(_Placed(at, done, sighting))
    return tuple(sorted(out, key=lambda found: found[:2]))


def _behind(sighting: Sighting, begun: Sequence[Action], placed: Sequence[_Placed]) -> int:
    """How many of the actions that had begun by the row's update the row is the result of."""
    done = len(begun)
    if sighting.busy and done and sighting.at <= begun[-1].finish:
        done -= 1
    while done:
        last = begun[done - 1]
        if last.finish < sighting.at or _is_result(sighting, last, placed, begun[: done - 1]):
            return done
        if last.start < sighting.at:
            return done - 1
        done -= 1
    return 0


def _is_result(
    sighting: Sighting, action: Action, placed: Sequence[_Placed], earlier: Sequence[Action]
) -> bool:
    """Whether a row at rest, written between an action's start and its end, is as the action has left it.

    Times are whole seconds, so a row written just before the action may carry the second in which it began; then
    what the row says decides.
    """
    if sighting.state is State.BUILDING:
        return False  # at rest for a moment, between the steps of a create
    if action.name == "resize":
        # a resize always changes the size, if there was none since the sighting before
        last = next((found for found in reversed(placed) if not found.sighting.busy), None)
        if last is not None and last.done > len(earlier):
            return True
        if last is not None and not any(a.name in _RESIZE and a.finish >= last.at for a in earlier):
            return last.sighting.size != sighting.size
    if sighting.at > action.start and not sighting.busy:
        return True
    if action.name == "resize":
        return sighting.state is None
    if action.name == "revertResize":
        return sighting.state is not None
    if action.name in _AFTER:
        return sighting.state is _AFTER[action.name]
    return sighting.state is not State.ERROR


def _states(server: Server, actions: Sequence[Action], placed: Sequence[_Placed]) -> Steps[State]:
    """What the server is, from when on."""
    steps: Steps[State] = [(server.created, State.BUILDING, _SURE)]
    recorded = {action.request for action in server.actions if action.name == "create"}
    changes: list[tuple[int, int, Union[Action, Sighting]]] = [
        *((action.finish, 2 * index + 1, action) for index, action in enumerate(actions)),
        *((found.at, 2 * found.done, found.sighting) for found in placed),
    ]
    for at, _, change in sorted(changes, key=lambda change: change[:2]):
        state = steps[-1][1]
        marks = _SURE
        if isinstance(change, Action):
            after = _after(change, state, server)
            if change.name == "create" and not recorded:
                marks = frozenset({Assumed.START})
        else:
            after = change.state or state
            if after is not State.OFFLOADED:  # Nova offloads by itself, after a time
                marks = frozenset({Assumed.STATE})
        if after is not state:
            steps.append((max(at, server.created), after, marks))
    return steps


def _after(action: Action, state: State, server: Server) -> State:
    """What the server is when an action has succeeded."""
    if action.name == "create":
        if server.launched is not None:
            return State.ACTIVE  # even if the action failed: on another host it did not
        return State.ERROR if action.failed else State.BUILDING
    if action.name == "delete":
        ends = server.ended is not None and server.ended - action.finish <= SOFT_DELETE
        return state if ends else State.SOFT_DELETED
    if action.name in _HEAL:
        return state if state is State.STOPPED else State.ACTIVE
    return _AFTER.get(action.name, state)


def _sizes(server: Server, actions: Sequence[Action], placed: Sequence[_Placed]) -> Steps[Size]:
    """What the server has, from when on. Between two resizes nobody looked between, it is assumed."""
    numbers = [index for index, action in enumerate(actions) if action.name in _RESIZE]
    resizes = [actions[index] for index in numbers]
    begins = [server.created, *(action.finish for action in resizes)]
    stretches: list[Steps[Size]] = [[] for _ in begins]
    for found in placed:
        # while a resize is under way the row shows the old size or the new one
        if found.sighting.busy and any(a.start <= found.at <= a.finish for a in resizes):
            continue
        index = bisect_left(numbers, found.done)
        steps = stretches[index]
        if not steps:
            steps.append((begins[index], found.sighting.size, _SURE))
        elif steps[-1][1] != found.sighting.size:
            steps.append((found.at, found.sighting.size, frozenset({Assumed.STATE})))
    for index, action in enumerate(resizes):
        # what is reverted is as it was before the resize: one of the two tells the other
        if action.name == "revertResize" and index >= 1 and resizes[index - 1].name == "resize":
            before, after = stretches[index - 1], stretches[index + 1]
            if before and not after:
                after.append((begins[index + 1], before[-1][1], _SURE))
            elif after and not before:
                before.append((begins[index - 1], after[0][1], _SURE))
    latest = server.sightings[-1].size
    for index in reversed(range(len(stretches))):
        if not stretches[index]:
            stretches[index].append((begins[index], latest, frozenset({Assumed.SIZE})))
        latest = stretches[index][0][1]
    return [step for steps in stretches for step in steps]
