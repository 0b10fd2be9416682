"""One pass over Nova: what has changed since the last one, the actions that tell how, and who has gone."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import islice
from typing import Callable, Iterator, Optional, Protocol, Sequence

from osg_site_iaas.accounting.model import Action, iso, midnight_after
from osg_site_iaas.accounting.nova import Page
from osg_site_iaas.accounting.observed import Observed, Seen
from osg_site_iaas.accounting.store import Store

log = logging.getLogger(__name__)
# Rows become visible a little after the time they carry, and the clocks of Nova's hosts differ: read that again.
OVERLAP = 600  # seconds
CHUNK = 200  # servers whose actions are stored together
Progress = Callable[[str, int], None]


class Source(Protocol):
    """Where usage is read from: NovaApi, or Nova's databases."""

    def changed(self, since: int) -> Iterator[Page]:
        """Every server whose row has changed since a time."""

    def existing(self) -> Iterator[tuple[set[str], int]]:
        """The ids of all servers that are not deleted."""

    def find(self, uuid: str) -> Optional[Seen]:
        """A server, deleted ones too; None if Nova knows nothing of it any more."""

    def actions(self, wanted: Sequence[tuple[str, int]]) -> list[Optional[Sequence[Action]]]:
        """The actions of servers that changed since a time; None for one that Nova has forgotten."""


@dataclass(frozen=True)
class Pass:
    """What a pass has found. ``read_at`` is when it began, ``checked`` when all servers were last looked for."""

    read_at: int
    checked: int
    changed: int = 0
    actions_read: int = 0
    vanished: tuple[str, ...] = ()


def read(store: Store, observed: Observed, source: Source, *, settle: int, progress: Progress) -> Pass:
    """Read what has changed. It counts only when all of it was read: the next pass begins where this one began.

    What was read until an error stays stored.
    """
    last = store.note("read")
    first_at = 0
    changed = 0
    for page in source.changed(max(last - OVERLAP, 0) if last is not None else 0):
        first_at = first_at or page.read_at
        changed += observed.see(page.servers, page.read_at)
        progress("servers read", len(page.servers))
    checked = store.note("checked")
    vanished: tuple[str, ...] = ()
    if last is None:
        checked = first_at  # the first pass has seen all there are
    elif checked is None or midnight_after(checked - settle) <= first_at - settle:
        vanished, checked = _check(observed, source, checked or last, progress)
    actions_read = _read_actions(observed, source, first_at, progress)
    with store.transaction():
        store.keep("read", first_at)
        store.keep("checked", checked)
    log.info("read Nova as of %s: %d servers changed", iso(first_at), changed)
    return Pass(first_at, checked, changed, actions_read, vanished)


def _read_actions(observed: Observed, source: Source, read_at: int, progress: Progress) -> int:
    count = 0
    unread = observed.unread()
    while chunk := list(islice(unread, CHUNK)):
        answers = source.actions(chunk)
        observed.learn((uuid, found, read_at) for (uuid, _), found in zip(chunk, answers))
        count += len(chunk)
        progress("actions read", len(chunk))
    return count


def _check(observed: Observed, source: Source, last: int, progress: Progress) -> tuple[tuple[str, ...], int]:
    """Which servers that should be there Nova has forgotten, and as of when.

    Some that are missing were deleted just now, or are hidden as soft-deleted ones are; and a server that was
    deleted before it was ever built does not show among what has changed.
    """
    missing = observed.open_uuids()
    checked = 0
    for uuids, read_at in source.existing():
        missing -= uuids
        checked = checked or read_at
        progress("servers looked for", len(uuids))
    gone = []
    for uuid in sorted(missing):
        found = source.find(uuid)
        if found is not None:
            observed.see([found], checked)
            continue
        log.warning("server %s was purged before its end was read; it counts to %s", uuid, iso(last))
        observed.vanish(uuid, last)
        gone.append(uuid)
    return tuple(gone), checked
