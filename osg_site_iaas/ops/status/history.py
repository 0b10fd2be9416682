"""What VOs used and were allowed, over time: a line of JSON for each look, older ones thinned out."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

from osg_site_iaas.errors import SiteError, trouble

FINE = 2 * 86400  # seconds for which every look is kept; then one an hour
HOUR = 3600
SHOWN = ("cores", "instances")


@dataclass(frozen=True)
class Sample:
    """For each VO and limit: what was used, and what was allowed."""

    at: int
    vos: Mapping[str, Mapping[str, tuple[int, int]]]


def read(path: Path) -> list[Sample]:
    """The samples, oldest first; a line that a crash cut off is left out."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        todo = "check its owner; --out and --history name other places"
        raise trouble(error, todo, "the history cannot be read: ", str(path)) from error
    for line in lines:
        try:
            data: Any = json.loads(line)
            vos = {
                vo: {name: (int(pair[0]), int(pair[1])) for name, pair in uses.items()}
                for vo, uses in data["vos"].items()
            }
            found.append(Sample(int(data["at"]), vos))
        except (ValueError, KeyError, TypeError, AttributeError, IndexError):
            continue
    return sorted(found, key=lambda sample: sample.at)


def thin(samples: list[Sample], now: int, days: int) -> list[Sample]:
    """Those that are worth keeping: all of the last two days, the first of each hour before, none older. Pure."""
    kept: list[Sample] = []
    hours: set[int] = set()
    for sample in samples:
        hour = sample.at // HOUR
        if sample.at > now - FINE:
            kept.append(sample)
        elif sample.at >= now - days * 86400 and hour not in hours:
            hours.add(hour)
            kept.append(sample)
    return kept


def take_over(path: Path, old: Path) -> list[Sample]:
    """The samples of the history, and of one that an earlier version kept beside the page; see `forget`."""
    samples = {sample.at: sample for file in (old, path) for sample in read(file)}
    return [samples[at] for at in sorted(samples)]


def forget(old: Path) -> None:
    """Take away what an earlier version kept where a web server may read it."""
    try:
        old.unlink(missing_ok=True)
    except OSError as error:
        raise SiteError(
            f"the history of before cannot be removed: {error.strerror}",
            where=str(old),
            todo="remove it: it is in the new place, and what lies here is served",
        ) from error


def write(path: Path, samples: list[Sample]) -> None:
    """Put the file in place whole or not at all; it is nobody's but its owner's."""
    text = "".join(
        json.dumps({"at": one.at, "vos": one.vos}, separators=(",", ":")) + "\n" for one in samples
    )
    put(path, text, 0o600)


def put(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that nobody ever reads half of it. Root's go to the folder's owner, who writes next."""
    aside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside.unlink(missing_ok=True)
        handle = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            if os.geteuid() == 0:
                folder = path.parent.stat()
                os.fchown(file.fileno(), folder.st_uid, folder.st_gid)
        aside.replace(path)
    except OSError as error:
        raise SiteError(
            f"cannot write: {error.strerror}",
            where=str(path),
            todo="check its owner and the disk; --out and --history name other places",
        ) from error
