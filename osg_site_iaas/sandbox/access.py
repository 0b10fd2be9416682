"""Reads what the services were asked, from their access logs: how many requests did that cost?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Iterable, Mapping, Optional

Mark = Mapping[str, int]
_PREFIX = "access-"


@dataclass(frozen=True)
class Request:
    """One request that a service answered; ``ms`` until the answer began, ``path`` with its query."""

    service: str
    at: datetime
    method: str
    path: str
    status: int
    ms: float
    agent: str


def mark(logs: Path) -> Mark:
    """The end of every access log, now. What was answered before is before it."""
    return {path.name: path.stat().st_size for path in logs.glob(f"{_PREFIX}*.log")}


def requests(logs: Path, since: Mark, until: Optional[Mark] = None) -> list[Request]:
    """Requests between two marks, oldest first; logs that appeared in between count whole."""
    found = []
    for name, end in (mark(logs) if until is None else until).items():
        with open(logs / name, "rb") as file:
            file.seek(since.get(name, 0))
            lines = file.read(max(0, end - since.get(name, 0))).decode(errors="replace").splitlines()
        found.extend(parse(name[len(_PREFIX) : -len(".log")], lines))
    return sorted(found, key=lambda request: request.at)


def parse(service: str, lines: Iterable[str]) -> list[Request]:
    """Requests from the lines of one access log."""
    found = []
    for line in lines:
        at, method, path, status, ms, agent = line.split("\t")
        found.append(
            Request(service, datetime.fromisoformat(at), method, path, int(status), float(ms), agent)
        )
    return found
