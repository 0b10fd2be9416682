"""One run of the probe: read Nova, close slices, empty the outbox. Whatever fails, nothing is lost or doubled."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Callable, ContextManager, Mapping, Optional

from osg_site_iaas.accounting import closing, metrics
from osg_site_iaas.accounting import ledger as states
from osg_site_iaas.accounting.archive import Archive, months_before
from osg_site_iaas.accounting.deliver import Delivered, Delivery
from osg_site_iaas.accounting.diagnostics import Diagnostics
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.model import DAY, epoch, iso
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.opening import locked, open_sender, open_source
from osg_site_iaas.accounting.owners import Owners
from osg_site_iaas.accounting.people import People, forget
from osg_site_iaas.accounting.reading import Pass, Progress, Source, read
from osg_site_iaas.accounting.record import Owner
from osg_site_iaas.accounting.send import Sender
from osg_site_iaas.accounting.settings import Settings, from_site
from osg_site_iaas.accounting.status import status
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.traffic import Meter, Metered, Target, read_traffic
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError

log = logging.getLogger(__name__)
LATE = 7 * DAY  # GRACC makes its summaries of the last seven days by itself, and of no others
SKEW = 300  # seconds between our clock and Nova's that are worth a warning


@dataclass(frozen=True)
class Report:
    """What a run did. ``errors`` say what did not work; what they kept from being done the next run does."""

    at: datetime
    read: Optional[Pass] = None
    requests: int = 0
    metered: Optional[Metered] = None  # None: network counters are not asked for
    closed: Mapping[str, int] = field(default_factory=dict)  # slices by what became of them
    released: int = 0  # held before, and sent now that their VO is known
    delivered: Delivered = field(default_factory=Delivered)
    waiting: Mapping[str, int] = field(default_factory=dict)  # slices by state, after the run
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether everything was done that there was to do."""
        return not self.errors


@dataclass(frozen=True)
class Parts:
    """What a run works with."""

    source: Source
    owners: closing.FindOwners
    sender: Optional[ContextManager[Sender]] = None  # None: what the settings say
    requests: Callable[[], int] = lambda: 0  # made so far
    meter: Optional[Meter] = None  # asked for network counters where the settings want them


def run(
    site: Site,
    cloud: Cloud,
    state_dir: Optional[Path],
    now: datetime,
    *,
    settings: Optional[Settings] = None,
    settle: Optional[int] = None,
    progress: Progress = lambda what, count: None,
) -> Report:
    """Read, close, send. ``settle`` (seconds) overrides the settings: 0 sends what ended just now, as a test does.

    Raises Locked if another run is under way, and AccountingError if the state cannot be used.
    """
    chosen = settings or from_site(site, state_dir)
    with locked(chosen.folder), Store(chosen.folder) as store:
        people = People(store, cloud, site, vo_override=chosen.vo_override, workers=chosen.workers)
        with open_source(chosen, cloud, now) as source:
            parts = Parts(
                source,
                people.owners,
                requests=lambda: sum(cloud.requests.values()),
                meter=Diagnostics(cloud, now, workers=chosen.workers),
            )
            return _Run(store, chosen, parts, now, settle, progress).all()


def perform(
    settings: Settings,
    parts: Parts,
    now: datetime,
    *,
    settle: Optional[int] = None,
    progress: Progress = lambda what, count: None,
) -> Report:
    """The same with parts of one's own."""
    with locked(settings.folder), Store(settings.folder) as store:
        return _Run(store, settings, parts, now, settle, progress).all()


class _Run:
    def __init__(
        self,
        store: Store,
        settings: Settings,
        parts: Parts,
        now: datetime,
        settle: Optional[int],
        progress: Progress,
    ) -> None:
        self._store = store
        self._settings = settings
        self._parts = parts
        self._now = now
        self._settle = settings.settle if settle is None else settle
        self._progress = progress
        self._observed = Observed(store, settings.start)
        self._ledger = Ledger(store, self._observed)
        self._warnings: list[str] = []
        self._errors: list[str] = []

    def all(self) -> Report:
        """Do everything; an error in one part does not keep the others from being done."""
        before = self._parts.requests()
        found: Optional[Pass] = None
        metered: Optional[Metered] = None
        closed: Mapping[str, int] = {}
        released = 0
        delivered = Delivered()
        try:
            found = self._read()
            metered = self._meter(found)
            closed = self._close(found)
            released = closing.release(self._ledger, self._parts.owners, self._settings)
        except SiteError as error:
            self._errors.append(str(error))
        try:
            delivered = self._deliver()
        except SiteError as error:
            self._errors.append(str(error))
        if delivered.stopped:
            self._errors.append(
                f"collector {self._settings.collector.url}: {delivered.stopped}\n"
                "  -> nothing is lost: the next run sends what is left"
            )
        self._tell_how_it_went()
        self._tell_metrics()
        return Report(
            at=self._now,
            read=found,
            requests=self._parts.requests() - before,
            metered=metered,
            closed=closed,
            released=released,
            delivered=delivered,
            waiting=self._ledger.waiting(),
            warnings=tuple(self._warnings),
            errors=tuple(self._errors),
        )

    def _read(self) -> Pass:
        found = read(
            self._store, self._observed, self._parts.source, settle=self._settle, progress=self._progress
        )
        if abs(found.read_at - epoch(self._now)) > SKEW:
            self._warnings.append(
                f"this machine says {iso(epoch(self._now))} and Nova says {iso(found.read_at)}: set the clocks"
            )
        for uuid in found.vanished:
            self._warnings.append(
                f"server {uuid} was purged from Nova before its end was read; it is marked so"
            )
        return found

    def _meter(self, found: Pass) -> Optional[Metered]:
        """Read network counters. What that does not give is missing in exports, and no reason to charge nothing."""
        if not self._settings.traffic or self._parts.meter is None:
            return None
        known: Optional[Owners] = self._parts.owners(()) if self._settings.suppress_unknown_vo else None

        def wanted(one: Target) -> bool:  # whether its traffic may ever be told to anybody
            return known is None or isinstance(known.owner(one.project, one.user), Owner)

        metered = read_traffic(self._store, self._parts.meter, wanted, found.read_at, self._progress)
        if metered.why:
            self._warnings.append(f"network traffic is not known of all servers: {metered.why}")
        return metered

    def _close(self, found: Pass) -> Mapping[str, int]:
        # by Nova's clock: ours may be wrong, and it is Nova's times that slices are made of
        limits = closing.Limits(
            ended=found.read_at - self._settle,
            open=min(found.read_at, found.checked) - self._settle,
            late=found.read_at - LATE,
        )
        closed = closing.close(self._observed, self._ledger, self._parts.owners, self._settings, limits)
        if closed.get("late"):
            self._warnings.append(
                f"{closed['late']} records are of more than 7 days ago: ask GRACC to summarise those days again"
            )
        if closed.get(states.HELD):
            self._warnings.append(
                f"{closed[states.HELD]} slices are held back, since their projects belong to no VO: see status"
            )
        return closed

    def _tell_how_it_went(self) -> None:
        if not self._errors:
            with self._store.transaction():
                self._store.keep("success", epoch(self._now))
                self._store.keep_words("failure", "")
            return
        with suppress(SiteError):  # the disk may be why it failed
            first = self._errors[0].splitlines()[0]
            self._store.keep_words("failure", f"{iso(epoch(self._now))} {first}")

    def _tell_metrics(self) -> None:
        if self._settings.metrics is None:
            return
        try:
            told = metrics.text(status(self._store, self._now), failed=bool(self._errors))
            metrics.write(self._settings.metrics, told)
        except SiteError as error:
            self._errors.append(str(error))

    def _deliver(self) -> Delivered:
        if not self._settings.enabled:
            self._warnings.append("accounting is not enabled: records are kept, and not sent")
            return Delivered()
        archive = Archive(self._settings.folder)
        try:
            with self._parts.sender or open_sender(self._settings) as sender:
                delivery = Delivery(self._store, self._ledger, archive, sender, self._now, self._progress)
                # the library of gratia-probe-common sets signals, which only the main thread may
                done = delivery.run(self._settings.bundle_size, ahead=self._settings.sender != "gratia")
        finally:
            archive.close()
        if done.refused:
            self._errors.append(
                f"the collector refuses {done.refused} records: they are kept aside, see status"
            )
        if archive.prune(self._now, self._settings.archive_months):  # a month is gone: so are its people
            forget(self._store, months_before(self._now, self._settings.archive_months))
        return done
