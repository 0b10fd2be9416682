"""One usage record in XML to the flat fields that GRACC keeps of it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from xml.etree.ElementTree import Element, ParseError, XMLParser, tostring

from osg_site_iaas.errors import SandboxError

Value = str | int | float
Fields = dict[str, Value]

_YEAR, _MONTH, _WEEK, _DAY = 365 * 86400, 30 * 86400, 7 * 86400, 86400
_DURATION = re.compile(r"P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_WEEKS = re.compile(r"P(\d+)W")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)")
_SINGLE_TIMES = ("StartTime", "EndTime", "QueueTime")
_USER = ("GlobalUsername", "LocalUserId", "VOName", "ReportableVOName", "CommonName", "DN")
_ATTRIBUTES = ("description", "unit", "phaseUnit", "storageUnit", "formula", "metric")
_RESOURCES = ("Resource", "ConsumableResource", "PhaseResource", "VolumeResource")
RECORDS = ("UsageRecord", "JobUsageRecord")


class Unreadable(SandboxError):
    """The bundle cannot be read; GRACC refuses all of it."""


def envelope(text: str) -> tuple[list[Element], int]:
    """The usage records of a RecordEnvelope, and how many other elements it holds.

    Raises Unreadable when the text is not such an envelope.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unreadable("a document type is not accepted")
    parser = XMLParser()  # noqa: S314 - entities cannot be declared without the words refused above
    try:
        parser.feed(text)
        root = parser.close()
    except (ParseError, ValueError) as error:
        raise Unreadable(str(error)) from error
    if _name(root.tag) != "RecordEnvelope":
        raise Unreadable(f"{_name(root.tag)} is not RecordEnvelope")
    records = [child for kind in RECORDS for child in root if _name(child.tag) == kind]
    return records, len(root) - len(records)


def flatten(record: Element) -> Fields:
    """The record's fields as GRACC's collector passes them on.

    Namespaces are ignored; of an element that comes twice the last one stays; a duration
    that cannot be read is 0.
    Raises Unreadable for a time that is not RFC 3339 with a zone.
    """
    fields: Fields = {"type": "JobUsageRecord"}
    resources: dict[str, list[Element]] = {kind: [] for kind in _RESOURCES}
    processes: list[str] = []
    fields["CpuDuration"] = fields["WallDuration"] = 0
    for element in record:
        name = _name(element.tag)
        if name == "RecordIdentity":
            _identity(element, fields)
        elif name in ("JobIdentity", "UserIdentity"):
            for part in element:
                part_name, text = _name(part.tag), part.text or ""
                if part_name == "ProcessId":
                    processes.append(text)
                elif text and part_name in ("GlobalJobId", "LocalJobId", *_USER):
                    fields[part_name] = text
        elif name == "CpuDuration":
            _cpu(element, fields)
        elif name == "WallDuration":
            fields[name] = seconds(element.text or "")
            if description := _attribute(element, "description"):
                fields["WallDuration_description"] = description
        elif name in _SINGLE_TIMES:
            fields[name] = instant(element.text or "")
        elif name in ("TimeDuration", "TimeInstant"):
            read = seconds if name == "TimeDuration" else instant
            key = f"{name}_{_key(_attribute(element, 'type'))}"
            fields[key] = read(element.text or "")
            if description := _attribute(element, "description"):
                fields[f"{key}_description"] = description
        elif name in resources:
            resources[name].append(element)
        elif name != "Origin":
            _plain(name, element, fields)
    if len(processes) == 1:
        fields["ProcessId"] = processes[0]
    else:
        fields.update({f"ProcessId{n}": text for n, text in enumerate(processes)})
    if resources["Resource"]:  # the other kinds are dropped unless a plain one is there
        for kind in _RESOURCES:
            for element in resources[kind]:
                key = f"Resource_{_key(_attribute(element, 'description'))}"
                fields[key] = element.text or ""
                for attribute in ("unit", "phaseUnit", "storageUnit"):
                    _put_attribute(element, attribute, key, fields)
    declared = fields.pop("Resource_ResourceType", "")
    fields["ResourceType"] = {"": "Batch", "BatchPilot": "Payload"}.get(str(declared), declared)
    fields["RawXML"] = tostring(record, encoding="unicode")
    return fields


def seconds(text: str) -> int | float:
    """An ISO 8601 duration in seconds, as GRACC reads it: no sign, whole numbers but for seconds; else 0."""
    if weeks := _WEEKS.search(text):
        return int(weeks[1]) * _WEEK
    found = _DURATION.search(text)
    if found is None:
        return 0
    year, month, day, hour, minute = (int(part or 0) for part in found.groups()[:5])
    total = year * _YEAR + month * _MONTH + day * _DAY + hour * 3600 + minute * 60 + float(found[6] or 0)
    return int(total) if total == int(total) else total


def instant(text: str) -> str:
    """An RFC 3339 time with its zone, without a fraction of a second. Raises Unreadable for anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        raise Unreadable(f"{text!r} is not an RFC 3339 time with a zone")
    try:
        moment(found[1] + found[2])
    except ValueError as error:
        raise Unreadable(f"{text!r} is not a time") from error
    return found[1] + ("Z" if found[2] == "+00:00" else found[2])


def moment(text: str) -> datetime:
    """A time as instant() returns it, in UTC."""
    zone = timezone.utc
    if not text.endswith("Z"):
        sign = -1 if text[-6] == "-" else 1
        zone = timezone(sign * timedelta(hours=int(text[-5:-3]), minutes=int(text[-2:])))
    return datetime.fromisoformat(text[:19]).replace(tzinfo=zone).astimezone(timezone.utc)


def _identity(element: Element, fields: Fields) -> None:
    if record_id := _attribute(element, "recordId"):
        fields["RecordId"] = record_id
    created = _attribute(element, "createTime")
    if created is not None:
        fields["CreateTime"] = instant(created)


def _cpu(element: Element, fields: Fields) -> None:
    used = seconds(element.text or "")
    fields["CpuDuration"] = float_or_int(float(fields["CpuDuration"]) + used)
    kind = _attribute(element, "usageType")
    if kind:
        fields[f"CpuDuration_{kind}"] = used
    if description := _attribute(element, "description"):
        fields[f"CpuDuration_{kind or ''}_description"] = description


def _plain(name: str, element: Element, fields: Fields) -> None:
    if element.text:
        fields[name] = element.text
    for attribute in _ATTRIBUTES:
        _put_attribute(element, attribute, name, fields)


def _put_attribute(element: Element, attribute: str, key: str, fields: Fields) -> None:
    if value := _attribute(element, attribute):
        fields[f"{key}_{attribute}"] = seconds(value) if attribute == "phaseUnit" else value


def _attribute(element: Element, name: str) -> str | None:
    for key, value in element.attrib.items():
        if _name(key) == name:
            return value
    return None


def _name(tag: str) -> str:
    return tag.rpartition("}")[2]


def _key(description: str | None) -> str:
    return (description or "unknown").replace(".", "-").replace(" ", "-")


def float_or_int(value: float) -> int | float:
    """The number as JSON writes it: without a fraction where there is none."""
    return int(value) if value == int(value) else value
