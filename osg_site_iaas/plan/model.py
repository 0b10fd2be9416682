"""The values that planning works with: what is wanted, what was seen, what to change.

Everything here is JSON-able apart from references, and nothing here ever holds a secret.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass, field
from typing import AbstractSet as Set
from typing import Any, Callable, Mapping, Optional

from osg_site_iaas.declaration.model import Position

Attrs = Mapping[str, Any]

TAG = "osg-site-iaas"
_MARK = re.compile(r" ?\[" + TAG + r" ([^\[\]]*)\]$")


def marked(description: str, domain: str) -> str:
    """The description with the mark of the site that lives in a Keystone domain.

    For kinds that cannot carry a tag from the moment they are created. The domain is in it, so that two sites of
    one cloud do not take each other's flavours and identity providers for their own leftovers.
    """
    return f"{description} [{TAG} {domain}]".strip()


def is_marked(description: Optional[str], domain: str) -> bool:
    """Whether a description carries that site's mark."""
    return bool(description) and str(description).endswith(f"[{TAG} {domain}]")


def other_site(description: Optional[str], domain: str) -> str:
    """The Keystone domain of the site whose mark a description carries, if that is not ours; else empty."""
    found = _MARK.search(str(description or ""))
    name = found.group(1) if found else ""
    return "" if name == domain else name


def unmarked(description: str) -> str:
    """The description as a person wrote it."""
    return _MARK.sub("", description)


@dataclass(frozen=True, order=True)
class Ref:
    """A name for one object, before it has an id: its kind and its natural key."""

    kind: str
    key: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} {'/'.join(self.key)}"


@dataclass(frozen=True)
class Wanted:
    """One object that site.yml declares. What ``attrs`` differ in can be changed; ``create`` only when it is made.

    ``initial`` is what it gets when it is made because site.yml does not state it; whoever changes that later is right.
    """

    ref: Ref
    attrs: Attrs = field(default_factory=dict)
    create: Attrs = field(default_factory=dict)
    needs: tuple[Ref, ...] = ()
    vo: Optional[str] = None
    at: Position = Position()
    borrowed: bool = False  # may belong to somebody else: used as it is, never changed
    initial: Attrs = field(default_factory=dict)

    @property
    def whole(self) -> Attrs:
        """All the attributes that it is made with."""
        return {**self.initial, **self.attrs}


@dataclass(frozen=True)
class Seen:
    """One object that exists. ``ours`` as the kind's ownership rule has it; ``needs`` are what it hangs on.

    ``contents`` are named only where the object may have to go: looking costs requests.
    """

    ref: Ref
    id: str
    attrs: Attrs = field(default_factory=dict)
    ours: bool = False
    needs: tuple[Ref, ...] = ()
    vo: Optional[str] = None
    contents: Attrs = field(default_factory=dict)  # what a removal would take with it, by name and number
    defaults: Attrs = field(
        default_factory=dict
    )  # what nobody has granted: less than that takes nothing away
    other: str = ""  # the Keystone domain of the site that has made it, where that is not this one
    rivals: int = 0  # how many others have the same name


class Removal(enum.Enum):
    """What happens to an object of ours that is no longer declared."""

    WITHDRAW = "withdraw"  # takes access away: an ordinary change
    PRUNE = "prune"  # holds data or machines: only with --prune
    NEVER = "never"  # has no life of its own


class Op(enum.Enum):
    CREATE = "create"
    ADOPT = "adopt"
    UPDATE = "update"
    DISABLE = "disable"
    REMOVE = "remove"


@dataclass(frozen=True)
class KindRule:
    """What planning must know of a kind."""

    name: str
    removal: Removal
    marks: tuple[
        str, ...
    ] = ()  # the attributes that say it is ours; adopting changes no other, where there are any
    disable: Attrs = field(
        default_factory=dict
    )  # the attributes that put it out of use, where it has such a stage
    limits: bool = False  # its integers are limits: a lower one takes something away; -1 is no limit
    derived: bool = False  # whose it is follows from its ends: it is never in the way of its own accord
    grants: bool = False  # a way in: of what is not ours, the first thing to show
    opens: Mapping[str, tuple[Any, ...]] = field(
        default_factory=dict
    )  # attributes that let more or fewer in: their values, from the most access to the least
    parts: Optional[Callable[[Attrs], Set[str]]] = None  # what counts by itself in an object, for the bound


@dataclass(frozen=True)
class Change:
    """One step. ``before`` and ``after`` hold the attributes that differ; ``create`` those for a creation only."""

    op: Op
    ref: Ref
    before: Attrs = field(default_factory=dict)
    after: Attrs = field(default_factory=dict)
    create: Attrs = field(default_factory=dict)
    id: Optional[str] = None
    needs: tuple[Ref, ...] = ()
    vo: Optional[str] = None
    at: Position = Position()
    takes_away: int = 0  # how many objects, or parts of this one, it takes from somebody
    contents: Attrs = field(default_factory=dict)


@dataclass(frozen=True)
class Held:
    """What waits for a word from the administrator, and why."""

    ref: Ref
    why: str
    vo: Optional[str] = None


@dataclass(frozen=True)
class Conflict:
    """Something declared that cannot be had: its name is taken, or what it needs does not exist."""

    ref: Ref
    why: str
    todo: str
    at: Position = Position()
    vo: Optional[str] = None  # whose it is; None is the site's own


@dataclass(frozen=True)
class Left:
    """What of an object of ours is not as it was made, and stays so: site.yml does not state it."""

    ref: Ref
    attrs: Attrs  # as they are
    vo: Optional[str] = None


@dataclass(frozen=True)
class Plan:
    """Everything between the world and site.yml. ``unknown`` is what may be there, and this login cannot see.

    ``managed`` counts what is ours by kind, as ``takes_away`` does."""

    changes: tuple[Change, ...] = ()
    held: tuple[Held, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    unmanaged: tuple[Ref, ...] = ()
    unknown: tuple[Held, ...] = ()
    managed: Mapping[str, int] = field(default_factory=dict)
    vos_seen: tuple[str, ...] = ()
    vos_wanted: tuple[str, ...] = ()
    left: tuple[Left, ...] = ()

    def count(self, *ops: Op) -> int:
        """How many changes are of one of these operations."""
        return sum(change.op in ops for change in self.changes)


@dataclass(frozen=True)
class Prune:
    """What the administrator allows to be removed: nothing, what is empty, or these VOs with all they hold."""

    enabled: bool = False
    destroy: frozenset[str] = frozenset()
