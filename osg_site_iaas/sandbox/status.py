"""How a sandbox is: what its supervisor writes down, and what everybody else makes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

STARTING, UP, DIED, STOPPED = "starting", "up", "died", "stopped"
FILE = "run/status.json"
LOCK = "run/supervisor.lock"
LAST_LINES = 15


@dataclass
class Seen:
    """What the supervisor knows of one service."""

    state: str = STARTING
    pid: int = 0
    exit: Optional[int] = None
    seconds: float = 0.0


@dataclass(frozen=True)
class ServiceStatus:
    """How one service is; ``seconds`` until it first answered, ``said`` the end of a dead one's log."""

    name: str
    state: str
    pid: int
    exit: Optional[int]
    seconds: float
    url: str
    said: tuple[str, ...] = ()


@dataclass(frozen=True)
class Status:
    """How a sandbox is: ``up``, ``starting``, ``broken`` (some service died), ``down`` or ``absent``."""

    name: str
    folder: Path
    state: str
    pid: Optional[int]
    services: tuple[ServiceStatus, ...]

    @property
    def dead(self) -> tuple[ServiceStatus, ...]:
        """Services that ended by themselves."""
        return tuple(s for s in self.services if s.state == DIED)


def read(folder: Path) -> dict[str, Any]:
    """What the supervisor wrote last; empty before it has."""
    try:
        loaded: dict[str, Any] = json.loads((folder / FILE).read_text())
        return loaded
    except (OSError, ValueError):
        return {}


def tail(path: Path, lines: int = LAST_LINES) -> tuple[str, ...]:
    """The last lines of a log."""
    try:
        return tuple(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ()
