"""Ways to misbehave, switched on by tests: each for a number of bundles, or until it is switched off."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Mapping

KINDS: Mapping[str, str] = {
    "unavailable": "answer 503 and keep nothing",
    "html": "answer 200 with an HTML error page and keep nothing",
    "error": "answer 200 with the word Error and keep nothing",
    "slow": "wait `seconds`, then go on as usual",
    "drop": "close the connection without an answer and keep nothing",
    "lost": "keep the records, then close the connection without an answer",
    "half": "keep the records, then send half of the answer and close the connection",
    "poison": "refuse, as unreadable, every bundle that contains `match`",
}


@dataclass(frozen=True)
class Fault:
    """One way to misbehave; ``count`` is how many bundles are still to suffer it, -1 means all."""

    kind: str
    count: int = 1
    seconds: float = 0
    match: str = ""


class Faults:
    """The faults that are switched on, at most one of each kind. Safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._on: dict[str, Fault] = {}

    def switch(self, fault: Fault) -> None:
        """Switch a fault on; with ``count`` 0, off. Raises ValueError for a kind that is not in KINDS."""
        if fault.kind not in KINDS:
            raise ValueError(f"{fault.kind!r} is no fault; there are {', '.join(KINDS)}")
        with self._lock:
            self._on.pop(fault.kind, None)
            if fault.count:
                self._on[fault.kind] = fault

    def clear(self) -> None:
        """Behave."""
        with self._lock:
            self._on.clear()

    def all(self) -> list[Fault]:
        """What is switched on."""
        with self._lock:
            return list(self._on.values())

    def suffer(self, text: str) -> dict[str, Fault]:
        """The faults that this bundle suffers, by kind; each is used up by one."""
        with self._lock:
            hit = {kind: fault for kind, fault in self._on.items() if fault.match in text}
            for kind, fault in hit.items():
                if fault.count == 1:
                    del self._on[kind]
                elif fault.count > 0:
                    self._on[kind] = replace(fault, count=fault.count - 1)
            return hit
