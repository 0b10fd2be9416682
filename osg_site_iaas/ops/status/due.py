"""When the next page is due, and from when on its absence says that nothing makes pages any more."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Optional, Sequence

from osg_site_iaas.ops.status.series import ENOUGH, spacing

TIMER = "osg-site-iaas-status.timer"
LATE = 300  # seconds that a timer's delay and the work may take
_ELAPSES = re.compile(r"(?:Next elapse|Iter(?:\.|ation) #\d+): (\w+ )?(\S+ \S+) UTC$")
_IN_UTC = re.compile(r"\(in UTC\): (\w+ )?(\S+ \S+) UTC$")


@dataclass(frozen=True)
class Due:
    """Seconds since the epoch: when the next page is made, and after when this one is stale."""

    next: int
    stale: int


def due(made: int, times: Sequence[int], every: Optional[int] = None) -> Optional[Due]:
    """By what was asked for (``every``, in seconds), else by the timer, else as so far; None if nothing tells."""
    if every is None:
        for calendar in _calendars():
            found = by_calendar(calendar, made)
            if found is not None:
                return found
        if len(times) > ENOUGH:
            every = spacing(times, made).lately
    return Due(made + every, made + 2 * every + LATE) if every is not None else None


def by_calendar(calendar: str, made: int) -> Optional[Due]:
    """By a time as systemd.time(7) writes it, in this host's zone."""
    elapses = [
        int(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
        for text in _elapses(_say("systemd-analyze", "calendar", "--iterations=2", f"--base-time=@{made}", calendar))
    ]  # fmt: skip
    return Due(elapses[0], elapses[1] + LATE) if len(elapses) == 2 else None


def _calendars() -> list[str]:
    """When the timer starts the page, if it runs."""
    said = _say("systemctl", "show", TIMER, "--property=ActiveState", "--property=TimersCalendar")
    return re.findall(r"OnCalendar=([^;}]+?) *;", said) if "ActiveState=active" in said else []


def _elapses(said: str) -> list[str]:
    lines = [line.strip() for line in said.splitlines()]
    in_utc = [found[2] for line in lines if (found := _IN_UTC.search(line))]
    return in_utc or [found[2] for line in lines if (found := _ELAPSES.search(line))]


def _say(program: str, *words: str) -> str:
    """What systemd's program says; nothing where there is none, or none that answers."""
    if shutil.which(program) is None:
        return ""
    try:
        said = subprocess.run(
            [program, *words],
            capture_output=True, text=True, timeout=30, check=False, env={**os.environ, "LC_ALL": "C"},
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""  # the page is made without it
    return said.stdout if said.returncode == 0 else ""
