"""How the probe is doing: what waits, what was done last, and what somebody should look at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Optional

from osg_site_iaas.accounting import ledger as states
from osg_site_iaas.accounting.model import epoch
from osg_site_iaas.accounting.store import Store

STALE = 26 * 3600  # seconds without a success that are worth looking at: a day and a little


KEPT = (
    "SELECT why, count(*) AS slices, sum(wall * vcpus) / 3600.0 AS core_hours FROM slice"
    " JOIN size ON size.id = slice.size WHERE slice.state = '{state}' GROUP BY why ORDER BY core_hours DESC"
)


@dataclass(frozen=True)
class Kept:
    """Slices that are kept back for one reason."""

    state: str
    why: str
    slices: int
    core_hours: float


@dataclass(frozen=True)
class Status:
    """Times are seconds since the epoch; None where it has not happened yet."""

    at: int
    success: Optional[int]  # last run without an error
    read: Optional[int]  # as of when Nova was read, by its own clock
    rendered: Optional[int]  # end of the latest slice
    servers: int  # known
    running: int  # not ended, as far as is known
    pending: int  # records in the outbox
    oldest: Optional[int]  # end of the oldest of them
    sent: int
    kept: tuple[Kept, ...]
    failure: str = ""  # when and why the last run failed; empty if it did not

    @property
    def lag(self) -> Optional[int]:
        """Seconds since Nova was last read whole."""
        return None if self.read is None else max(self.at - self.read, 0)

    @property
    def findings(self) -> tuple[str, ...]:
        """What somebody should look at, in words."""
        found = []
        if self.success is None:
            found.append("no run has ended without an error yet")
        elif self.at - self.success > STALE:
            found.append(f"no run has ended without an error for {(self.at - self.success) // 3600} hours")
        if self.oldest is not None and self.at - self.oldest > STALE + 86400:
            found.append(
                f"{self.pending} records wait, the oldest for {(self.at - self.oldest) // 3600} hours"
            )
        for kept in self.kept:
            found.append(f"{kept.slices} slices ({kept.core_hours:.1f} core-hours) {kept.state}: {kept.why}")
        return tuple(found)


def status(store: Store, now: datetime) -> Status:
    """The state of the store."""
    kept = [
        Kept(state, row["why"], row["slices"], row["core_hours"])
        for state in (states.HELD, states.POISON)
        for row in store.rows(KEPT.format(state=state))
    ]
    return Status(
        at=epoch(now),
        success=store.note("success"),
        read=store.note("read"),
        rendered=_maybe(store, "SELECT max(end) FROM slice"),
        servers=store.number("SELECT count(*) FROM server"),
        running=store.number("SELECT count(*) FROM server WHERE ended IS NULL"),
        pending=store.number("SELECT count(*) FROM slice WHERE state = 'new'"),
        oldest=_maybe(store, "SELECT min(end) FROM slice WHERE state = 'new'"),
        sent=store.note("sent") or 0,
        kept=tuple(kept),
        failure=store.words("failure"),
    )


def _maybe(store: Store, query: str) -> Optional[int]:
    row = store.one(query)
    return None if row is None or row[0] is None else int(row[0])
