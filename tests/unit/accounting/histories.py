"""Reads the histories of tests/cases/accounting/histories.yml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from osg_site_iaas.accounting.model import (
    DAY,
    Action,
    Assumed,
    Interval,
    Place,
    Server,
    Sighting,
    Size,
    State,
)

BASE = 1795305600  # 2026-11-22T00:00:00Z
SIZES = {"small": Size("small", 1, 2048, 20), "large": Size("large", 8, 65536, 80, gpus=1)}
CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases/accounting/histories.yml").read_text()
)


def clock(text: str) -> int:
    """``06:00``, ``06:00:01`` or ``+1 06:00`` in seconds since the epoch."""
    days, _, time = text.strip().rpartition(" ")
    hours, minutes, seconds = (int(part) for part in f"{time}:0".split(":")[:3])
    return BASE + int(days or 0) * DAY + hours * 3600 + minutes * 60 + seconds


def action(text: str) -> Action:
    name, span = text.split(" ", 1)
    start, finish = (clock(part) for part in span.split("-"))
    return Action(start, finish, name.rstrip("!"), f"req-{name}-{start}", name.endswith("!"))


def sighting(text: str) -> Sighting:
    at, state, size, *more = text.split()
    host = next((word[1:] for word in more if word.startswith("@")), "")
    known = None if state == "?" else State(state)
    return Sighting(clock(at), known, SIZES[size], "busy" in more, Place(host))


def server(case: dict[str, Any]) -> Server:
    start, _, end = case["life"].partition(" -")
    return Server(
        uuid="6f1c7f0c-0000-4000-8000-000000000001",
        created=clock(start),
        ended=clock(end) if end.strip() else None,
        launched=clock(case["launched"]) if "launched" in case else None,
        sightings=tuple(sighting(text) for text in case["sightings"]),
        actions=tuple(action(text) for text in case["actions"]),
        vanished=case.get("vanished", False),
    )


def until(case: dict[str, Any]) -> int:
    return clock(case.get("until", "+9 00:00"))


def interval(text: str) -> Interval:
    span, state, size, *more = re.sub(r"(\+\d) ", r"\1_", text).split()
    start, end = (clock(part.replace("_", " ")) for part in span.split("-"))
    host = next((word[1:] for word in more if word.startswith("@")), "")
    assumed = frozenset(Assumed[word[1:]] for word in more if word.startswith("~"))
    return Interval(start, end, State(state), SIZES[size], Place(host), assumed)
