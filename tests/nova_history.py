"""Histories of servers, and a Nova that tells them as the real one would: for tests and benchmarks.

What a server used is added up while its history is made, second by second of its life and by nothing that the
probe does: it is the hand calculation that the probe's core-hours are compared with.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Callable, Iterator, NamedTuple, Optional, Sequence

from osg_site_iaas.accounting.model import DAY, Action, Place, Sighting, Size, State
from osg_site_iaas.accounting.nova import Page
from osg_site_iaas.accounting.observed import Seen

SIZES = (
    Size("osg.small", 1, 2048, 20),
    Size("osg.medium", 4, 8192, 40),
    Size("osg.large", 16, 65536, 160),
    Size("osg.gpu", 8, 65536, 100, gpus=1),
)
PAGE = 1000
# what can be done in a state, what it leads to, and how long it takes at most
MOVES: dict[State, tuple[tuple[str, Optional[State], int], ...]] = {
    State.ACTIVE: (
        ("stop", State.STOPPED, 60),
        ("suspend", State.SUSPENDED, 30),
        ("pause", State.PAUSED, 1),
        ("shelve", State.SHELVED, 300),
        ("rescue", State.RESCUED, 40),
        ("resize", None, 600),
        ("reboot", State.ACTIVE, 60),
        ("rebuild", State.ACTIVE, 120),
        ("live-migration", State.ACTIVE, 900),
        ("lock", State.ACTIVE, 0),
    ),
    State.STOPPED: (("start", State.ACTIVE, 20), ("resize", None, 600), ("reboot", State.ACTIVE, 60)),
    State.SUSPENDED: (("resume", State.ACTIVE, 30),),
    State.PAUSED: (("unpause", State.ACTIVE, 1),),
    State.SHELVED: (("unshelve", State.ACTIVE, 300), ("shelveOffload", State.OFFLOADED, 10)),
    State.OFFLOADED: (("unshelve", State.ACTIVE, 300),),
    State.RESCUED: (("unrescue", State.ACTIVE, 30),),
}
RELAUNCH = frozenset({"rescue", "rebuild", "unshelve"})  # Nova sets launched_at anew


class Step(NamedTuple):
    """An action, and what the server is once it has finished."""

    name: str
    start: int
    finish: int
    state: State
    size: Size


@dataclass
class Life:
    """One server from its creation on; ``steps[0]`` is the create, and a delete is the last if it ended."""

    uuid: str
    project: str
    created: int
    steps: list[Step]
    ended: Optional[int] = None
    used: Counter[tuple[int, Size]] = field(default_factory=Counter)  # (day, size) -> active seconds

    def begun(self, now: int) -> list[Step]:
        """The steps that had begun at a time."""
        return [step for step in self.steps if step.start <= now]

    def seen(self, now: int) -> Seen:
        """The server's row as Nova shows it at a time, when it exists."""
        begun = self.begun(now)
        done = [step for step in begun if step.finish <= now]
        busy = len(done) < len(begun)
        state, size = (done[-1].state, done[-1].size) if done else (State.BUILDING, self.steps[0].size)
        updated = begun[-1].start if busy else done[-1].finish if done else self.created
        ended = self.ended if self.ended is not None and self.ended <= now else None
        launches = [step.finish for step in done if step.name == "create" or step.name in RELAUNCH]
        known: Optional[State] = state if ended is None else None
        sighting = Sighting(updated, known, size, busy and ended is None, Place("host"))
        launched = launches[-1] if launches else None
        return Seen(
            self.uuid,
            self.project,
            f"user-{self.project}",
            "worker",
            "image",
            self.created,
            sighting,
            launched,
            ended,
        )

    def actions(self, now: int) -> list[Action]:
        """Nova's actions at a time; of one under way, the end is not told."""
        return [
            Action(s.start, s.finish if s.finish <= now else s.start, s.name, f"req-{n}")
            for n, s in enumerate(self.begun(now))
        ]


def live(
    index: int,
    seed: int,
    begin: int,
    end: int,
    *,
    projects: int = 3,
    moves: float = 4,
    lifetime: int = 2 * DAY,
) -> Life:
    """A server's life, always the same for the same numbers: created in [begin, end), about ``moves`` actions."""
    dice = random.Random(f"{seed}-{index}")
    created = dice.randrange(begin, end)
    size = dice.choice(SIZES)
    at = created + dice.randrange(1, 60)
    life = Life(
        uuid=f"{dice.getrandbits(128):032x}", project=f"p{dice.randrange(projects)}", created=created,
        steps=[Step("create", created, at, State.ACTIVE, size)],
    )  # fmt: skip
    life.uuid = "-".join((life.uuid[:8], life.uuid[8:12], life.uuid[12:16], life.uuid[16:20], life.uuid[20:]))
    state = State.ACTIVE
    death = at + dice.randrange(1, 2 * lifetime)
    while dice.random() < moves / (moves + 1):
        start = at + dice.randrange(1, max(2, int(lifetime / (moves + 1))))
        name, after, most = dice.choice(MOVES[state])
        finish = start + dice.randrange(most + 1)
        if finish >= death:
            break
        if after is None:
            after, new = state, dice.choice([other for other in SIZES if other != size])
        else:
            new = size
        _use(life.used, state, size, at, finish)
        life.steps.append(Step(name, start, finish, after, new))
        state, size, at = after, new, finish
    life.ended = death
    _use(life.used, state, size, at, death)
    life.steps.append(Step("delete", death - 1, death, state, size))
    return life


def _use(used: Counter[tuple[int, Size]], state: State, size: Size, start: int, end: int) -> None:
    while state is State.ACTIVE and start < end:
        stop = min(end, (start // DAY + 1) * DAY)
        used[start // DAY, size] += stop - start
        start = stop


class TellingNova:
    """A Nova that tells of lives as they are at ``now``; set that to go on. It can purge what has ended."""

    def __init__(self, lives: Sequence[Life], now: int) -> None:
        self.lives = {life.uuid: life for life in lives}
        self.now = now
        self.purged: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.fault: Optional[Callable[[str], None]] = None  # called with each request; may raise

    def purge(self) -> None:
        """Forget every server that has ended, as ``nova-manage db archive_deleted_rows`` does."""
        self.purged |= {
            u for u, life in self.lives.items() if life.ended is not None and life.ended <= self.now
        }

    def changed(self, since: int) -> Iterator[Page]:
        found = [life.seen(self.now) for life in self._there()]
        found = sorted((s for s in found if s.sighting.at >= since), key=lambda s: -s.created)
        for first in range(0, max(len(found), 1), PAGE):
            self._ask("changed")
            yield Page(found[first : first + PAGE], self.now)

    def existing(self) -> Iterator[tuple[set[str], int]]:
        self._ask("existing")
        yield {life.uuid for life in self._there() if life.ended is None or life.ended > self.now}, self.now

    def find(self, uuid: str) -> Optional[Seen]:
        self._ask("find")
        return None if uuid in self.purged else self.lives[uuid].seen(self.now)

    def actions(self, wanted: Sequence[tuple[str, int]]) -> list[Optional[Sequence[Action]]]:
        return [self._actions(uuid, since) for uuid, since in wanted]

    def _actions(self, uuid: str, since: int) -> Optional[Sequence[Action]]:
        self._ask("actions")
        if uuid in self.purged:
            return None
        return [action for action in self.lives[uuid].actions(self.now) if action.finish >= since]

    def _there(self) -> Iterator[Life]:
        return (
            life for life in self.lives.values() if life.uuid not in self.purged and life.created <= self.now
        )

    def _ask(self, what: str) -> None:
        self.asked[what] += 1
        if self.fault:
            self.fault(what)


def expected(lives: Sequence[Life], until: int = 1 << 40) -> Counter[int]:
    """Core-seconds by day (since the epoch) that these lives have used in days that end by ``until``."""
    total: Counter[int] = Counter()
    for life in lives:
        for (day, size), seconds in life.used.items():
            if (day + 1) * DAY <= until:
                total[day] += seconds * size.vcpus
    return total
