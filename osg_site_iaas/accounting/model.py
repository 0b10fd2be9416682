"""What a server did, as values. Every time here is an int: whole seconds since 1970-01-01T00:00:00Z."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import MappingProxyType
from typing import Iterable, Mapping, Optional

DAY = 86400


class State(enum.Enum):
    """What a server is; the value names it in records. Only ACTIVE is charged as wall time."""

    BUILDING = "Building"
    ACTIVE = "Active"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    SUSPENDED = "Suspended"
    RESCUED = "Rescued"
    SHELVED = "Shelved"
    OFFLOADED = "ShelvedOffloaded"
    SOFT_DELETED = "SoftDeleted"
    ERROR = "Error"


class Assumed(enum.Enum):
    """What a slice says without anybody having seen it; the value goes into the record."""

    SIZE = "flavour-before-resize"  # a resize nobody saw the old flavour of: the next known one is charged
    STATE = "time-of-state-change"  # a change without an action: it counts from the row's update
    START = "start-of-server"  # no create action: the server counts from its launch or creation
    END = "end-of-server"  # purged before it was read: it counts to when it was last known to exist


@dataclass(frozen=True, order=True)
class Size:
    """What a server has of the machine. Two servers of one flavour may differ: flavours are edited."""

    flavour: str
    vcpus: int
    memory: int  # MiB
    disk: int = 0  # GiB, root and ephemeral
    gpus: int = 0


@dataclass(frozen=True, order=True)
class Action:
    """One of Nova's instance actions. ``finish`` is when its last event ended, or began if none has ended.

    ``rank`` orders those that began in the same second: Nova's databases keep no parts of one.
    """

    start: int
    finish: int
    name: str
    request: str = ""
    failed: bool = False
    rank: int = field(default=0, compare=False)


def in_order(actions: Iterable[Action]) -> list[Action]:
    """Actions as they began."""
    return sorted(actions, key=lambda action: (action.start, action.rank, action.finish, action.name))


@dataclass(frozen=True)
class Place:
    """What a server had around it. Nova keeps no history of it, so it is in exports only, never in a record."""

    host: str = ""
    public_ips: int = 0
    volumes: int = 0  # attached


@dataclass(frozen=True)
class Sighting:
    """A server's row as a read showed it; ``at`` is when Nova last changed the row, not when it was read."""

    at: int
    state: Optional[State]  # None: resized, which may run or not, or deleted
    size: Size
    busy: bool = False  # an action was under way
    place: Place = Place()


@dataclass(frozen=True)
class Server:
    """All that is known of one server. ``sightings`` and ``actions`` are in the order of time."""

    uuid: str
    created: int
    sightings: tuple[Sighting, ...]
    actions: tuple[Action, ...] = ()
    ended: Optional[int] = None
    launched: Optional[int] = None  # the first launch seen; Nova sets it anew at rescue, rebuild and unshelve
    vanished: bool = False  # Nova forgot it before its end was read; ``ended`` is when it was last seen


@dataclass(frozen=True)
class Interval:
    """A stretch of a server's life in which nothing changed: [start, end), never empty."""

    start: int
    end: int
    state: State
    size: Size
    place: Place = Place()
    assumed: frozenset[Assumed] = frozenset()

    @property
    def seconds(self) -> int:
        """Its length."""
        return self.end - self.start


@dataclass(frozen=True)
class Slice:
    """What one usage record tells: a server at one size within one UTC day, [start, end)."""

    uuid: str
    start: int
    end: int
    size: Size
    wall: int  # active seconds
    others: Mapping[State, int] = field(
        default_factory=lambda: MappingProxyType({})
    )  # seconds, none of them 0
    last: State = State.ACTIVE
    final: bool = False  # the server ends here
    assumed: frozenset[Assumed] = frozenset()
    public_ips: int = 0  # the most there were
    volumes: int = 0
    received: Optional[int] = (
        None  # bytes of network traffic, where hypervisors were asked: never in a record
    )
    transmitted: Optional[int] = None

    @property
    def core_seconds(self) -> int:
        """What it counts for."""
        return self.wall * self.size.vcpus


def epoch(when: datetime) -> int:
    """An aware time as whole seconds, rounded down."""
    if when.tzinfo is None:
        raise ValueError("a time without a zone")
    return int(when.timestamp() // 1)


def moment(seconds: int) -> datetime:
    """Seconds as an aware UTC time."""
    return datetime.fromtimestamp(seconds, timezone.utc)


def iso(seconds: int) -> str:
    """Seconds as RFC 3339 in UTC."""
    return moment(seconds).strftime("%Y-%m-%dT%H:%M:%SZ")


def midnight_after(seconds: int) -> int:
    """The next 00:00 UTC, later than ``seconds``."""
    return (seconds // DAY + 1) * DAY
