"""Renders what is closed: slices that nothing can change any more become records in the outbox."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import Callable, Iterable, Mapping, Optional, Union

from osg_site_iaas.accounting import ledger as states
from osg_site_iaas.accounting.ledger import Entry, Ledger, Stored
from osg_site_iaas.accounting.model import Slice, midnight_after
from osg_site_iaas.accounting.observed import Known, Observed
from osg_site_iaas.accounting.owners import Nobody, Owners
from osg_site_iaas.accounting.record import Origin, Owner, render
from osg_site_iaas.accounting.settings import Settings
from osg_site_iaas.accounting.slices import closed

FindOwners = Callable[[Iterable[str]], Owners]
PAGE = 500  # servers whose slices are stored together


@dataclass(frozen=True)
class Limits:
    """Up to when slices are closed: of servers that have ended, and of those known to exist still."""

    ended: int
    open: int
    late: int = 0  # records of what ended before are too old for the collector's own summaries


def close(
    observed: Observed, ledger: Ledger, find_owners: FindOwners, settings: Settings, limits: Limits
) -> Mapping[str, int]:
    """Store every slice that is closed by now; how many of each state, and ``late`` for the collector."""
    counts: Counter[str] = Counter()
    after = 0
    while page := observed.due(limits.ended, after=after, count=PAGE):
        after = page[-1].id
        taken = [(known, _closed(known, settings, limits)) for known in page]
        owners = find_owners({known.user for known, slices in taken if slices})
        batches = []
        for known, slices in taken:
            owner = owners.owner(known.project, known.user)
            origin = Origin(known.name, known.image)
            entries = [entry(found, origin, owner, settings) for found in slices]
            counts.update(one.state for one in entries)
            counts["late"] += sum(one.state == states.NEW and one.found.end < limits.late for one in entries)
            rendered = slices[-1].end if slices else max(known.rendered, _passed(known, settings.start))
            batches.append((known, entries, rendered, _due(known.server.ended, rendered)))
        ledger.add(batches)
    return dict(counts)  # dataclasses.asdict, by which it becomes JSON, makes nonsense of a Counter


def release(ledger: Ledger, find_owners: FindOwners, settings: Settings) -> int:
    """Make the records of slices that were held back and whose project belongs to a VO by now; how many."""
    count = 0
    page: list[Stored] = []
    anybody: Optional[Owners] = None

    def flush() -> int:
        owners = find_owners({stored.user for stored in page})
        entries = []
        for stored in page:
            owner = owners.owner(stored.project, stored.user)
            entries.append((stored.id, entry(stored.found, _origin(stored), owner, settings)))
        ledger.release(entries)
        page.clear()
        return len(entries)

    for stored in ledger.kept(states.HELD):
        anybody = anybody or find_owners(())  # whether the project has a VO needs no user's name
        made = entry(stored.found, _origin(stored), anybody.owner(stored.project, stored.user), settings)
        if made.state == states.HELD:
            continue
        page.append(stored)
        if len(page) == PAGE:
            count += flush()
    return count + flush() if page else count


def entry(found: Slice, origin: Origin, owner: Union[Owner, Nobody], settings: Settings) -> Entry:
    """What becomes of a slice: a record for the outbox, or the reason why there is none. Pure."""
    vo = owner.vo if isinstance(owner, Owner) else ""
    if found.wall == 0 and not settings.send_idle:
        return Entry(found, vo, states.IDLE)
    if settings.suppress_local and settings.probe.grid == "Local":
        return Entry(found, vo, states.SUPPRESSED, why="SuppressGridLocalRecords")
    if isinstance(owner, Nobody):
        if settings.suppress_unknown_vo:
            return Entry(found, vo, states.SUPPRESSED, why=f"SuppressUnknownVORecords: {owner.why}")
        if settings.quarantine_unknown_vo:
            return Entry(found, vo, states.HELD, why=owner.why)
        owner = owner.anybody
    if settings.suppress_no_dn and not owner.dn:
        return Entry(found, vo, states.SUPPRESSED, why="SuppressNoDNRecords")
    return Entry(found, vo, states.NEW, render(found, origin, owner, settings.probe))


def _closed(known: Known, settings: Settings, limits: Limits) -> tuple[Slice, ...]:
    until = limits.open if known.server.ended is None else limits.ended
    server = known.server
    if server.ended is not None and server.ended < known.rendered:
        # the end was read after the time was charged, as with a clock set back: what was charged stays
        server = replace(server, ended=known.rendered)
    return closed(server, max(known.rendered, settings.start), until)


def _passed(known: Known, start: int) -> int:
    """Up to when nothing of the server is to be sent, since the probe was told to start later."""
    ended = known.server.ended
    return start if ended is None else min(start, ended)


def _origin(stored: Stored) -> Origin:
    return Origin(stored.name, stored.image)


def _due(ended: Optional[int], rendered: int) -> Optional[int]:
    """When to look at a server again; None: never, it is done."""
    if ended is None:
        return midnight_after(rendered)
    return None if rendered >= ended else min(ended, midnight_after(rendered))
