"""By what GRACC knows a record, and what it counts for: its checksum, its day and its core-hours."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from osg_site_iaas.sandbox.collector.record import Fields, Value, moment

# Two records that differ only in these are one record, and the later one replaces the earlier.
NOT_CONTENT = frozenset({
    "RecordId", "CreateTime", "GlobalUsername", "LocalUserId", "VOName", "ReportableVOName", "CommonName",
    "SiteName", "Grid", "RawXML", "type",
})  # fmt: skip
_INTEGERS = ("Processors", "Njobs", "NodeCount")
_FLOATS = ("Memory", "Swap", "Network")
_NUMBER = re.compile(r"\s*([+-]?\d+)(\.\d+)?")
_EPOCH = datetime(1970, 1, 2, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Document:
    """A record as GRACC stores it. ``quarantine`` says why it is kept out of every sum, if it is."""

    checksum: str
    day: str  # UTC day of EndTime, to which all its core-hours are charged
    core_hours: float
    quarantine: str | None
    fields: Fields

    def text(self, name: str) -> str:
        """A field as text; empty if the record has none."""
        return str(self.fields.get(name, ""))


def document(fields: Fields, received: datetime) -> Document:
    """What GRACC makes of a record's fields that arrived at ``received``."""
    kept = dict(fields)
    quarantine = _end_time(kept, received)
    for name in _INTEGERS:
        if name in kept:
            kept[name] = _integer(kept[name])
    for name in _FLOATS:
        if name in kept:
            kept[name] = _float(kept[name])
    known_by = {name: kept[name] for name in sorted(kept) if name not in NOT_CONTENT}
    checksum = hashlib.md5(  # noqa: S324 - the checksum that GRACC uses
        json.dumps(known_by, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    ).hexdigest()
    # a record without processors counts as one; one that says 0 counts nothing
    core_hours = float(kept.get("WallDuration", 0)) * float(kept.get("Processors", 1)) / 3600
    if "StartTime" not in kept:
        quarantine = quarantine or "MissingStartTime"
    elif moment(str(kept["StartTime"])) <= _EPOCH:
        quarantine = quarantine or "EpochStartTime"
    day = moment(str(kept["EndTime"])).date().isoformat() if "EndTime" in kept else ""
    return Document(checksum, day, core_hours, quarantine, kept)


def _end_time(fields: Fields, received: datetime) -> str | None:
    """Put in a missing EndTime, where start and wall time tell it; else the reason for quarantine."""
    if "EndTime" in fields:
        return None
    if "StartTime" not in fields:
        return "MissingEndTime"
    wall = timedelta(seconds=int(float(fields.get("WallDuration", 0))))
    start = moment(str(fields["StartTime"]))
    end = start + wall
    if end > received:
        end = received
        fields["StartTime"] = _text(end - wall)
    fields["EndTime"] = _text(end)
    return None


def _text(when: datetime) -> str:
    return when.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _integer(value: Value) -> int:
    found = _NUMBER.match(str(value))
    return int(found[1]) if found else 0


def _float(value: Value) -> float:
    found = _NUMBER.match(str(value))
    return float(found[0]) if found else 0.0
