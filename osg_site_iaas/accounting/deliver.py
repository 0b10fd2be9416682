"""From the outbox to the collector: archived before it is forgotten, and what spoils a bundle is found out."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Callable, Optional, Sequence

from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.send import Fate, Outcome, Sender
from osg_site_iaas.accounting.store import Store

log = logging.getLogger(__name__)
# Characters in a bundle at most; encoded for the form it is about half as much again. GRACC takes 10 MB.
BUNDLE_CHARACTERS = 1_200_000
Pending = Sequence[tuple[int, str]]


@dataclass
class Delivered:
    """What was delivered, and the reason why the rest was not, if it was not."""

    sent: int = 0
    bundles: int = 0
    refused: int = 0
    stopped: Optional[str] = None


class Delivery:
    """One emptying of the outbox. A crash anywhere sends a bundle again, and loses none."""

    def __init__(
        self,
        store: Store,
        ledger: Ledger,
        archive: Archive,
        sender: Sender,
        now: datetime,
        progress: Callable[[str, int], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._archive = archive
        self._sender = sender
        self._now = now
        self._progress = progress
        self._waiting = 0
        self.done = Delivered()

    def run(self, bundle_size: int, *, ahead: bool = True) -> Delivered:
        """Send until the outbox is empty or the collector will not take more now.

        ``ahead``: while the collector reads a bundle, the one before it is archived and acknowledged.
        """
        self._waiting = self._store.number("SELECT count(*) FROM slice WHERE state = 'new'")
        with ThreadPoolExecutor(1, thread_name_prefix="sender") as worker:
            taken: Pending = ()
            after = 0
            while bundle := fitting(self._ledger.pending(bundle_size, after=after)):
                after = bundle[-1][0]
                waiting = self._waiting - len(taken) - len(bundle)
                answer = worker.submit(self._send, bundle, waiting) if ahead else None
                self._taken(taken)
                outcome = answer.result() if answer else self._send(bundle, waiting)
                taken = bundle if outcome.fate is Fate.TAKEN else ()
                if not taken:
                    self._settle(bundle, outcome)
                if self.done.stopped is not None:
                    break
            self._taken(taken)
        return self.done

    def _send(self, bundle: Pending, waiting: int) -> Outcome:
        return self._sender.send([record for _, record in bundle], waiting)

    def _settle(self, bundle: Pending, outcome: Outcome) -> None:
        """What follows from the answer to a bundle."""
        if outcome.fate is Fate.TAKEN:
            self._taken(bundle)
        elif outcome.fate is Fate.LATER:
            self.done.stopped = outcome.words
        elif len(bundle) > 1:
            log.info("a bundle of %d was refused (%s): sending halves", len(bundle), outcome.words)
            middle = len(bundle) // 2
            for half in (bundle[:middle], bundle[middle:]):
                if self.done.stopped is None:
                    self._settle(half, self._send(half, self._waiting - len(half)))
        else:
            self._refused(bundle[0][0], outcome.words)

    def _taken(self, bundle: Pending) -> None:
        if not bundle:
            return
        number = (self._store.note("bundle") or 0) + 1
        self._archive.put(number, bundle, self._now)
        self._ledger.acknowledge([slice_number for slice_number, _ in bundle], number)
        self.done.sent += len(bundle)
        self.done.bundles += 1
        self._waiting -= len(bundle)
        self._progress("records sent", len(bundle))

    def _refused(self, number: int, words: str) -> None:
        """One record that the collector does not read; unless it reads nothing at all, and then it is not to blame."""
        ping = self._sender.ping()
        if ping.fate is not Fate.TAKEN:
            self.done.stopped = f"records are refused ({words}), and so is a ping ({ping.words})"
            return
        log.error("the collector refuses the record of slice %d: %s", number, words)
        self._ledger.refuse(number, words)
        self.done.refused += 1
        self._waiting -= 1


def fitting(bundle: Pending) -> Pending:
    """The first records that fit in one bundle; at least one."""
    room = BUNDLE_CHARACTERS
    for index, (_, record) in enumerate(bundle):
        room -= len(record)
        if room < 0:
            return bundle[: max(index, 1)]
    return bundle
