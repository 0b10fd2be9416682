"""What OSG's profile of the usage record asks of a record, in our words: elements, their values, their attributes.

The profile is OGF's usage record 1.0 (GFD-R.098) with the elements that Gratia has added, in any order after the
identities. It says more than GRACC insists on. Where the schema itself is at hand, a test compares the two.
"""

from __future__ import annotations

import re
from typing import Iterator
from xml.etree import ElementTree

SPACE = "{http://www.gridforum.org/2003/ur-wg}"
FIRST = ("RecordIdentity", "JobIdentity", "UserIdentity")
IDENTITIES = {
    "JobIdentity": {"GlobalJobId", "LocalJobId", "ProcessId"},
    "UserIdentity": {"LocalUserId", "GlobalUsername", "DN", "CommonName", "VOName", "ReportableVOName"},
}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?")
DURATION = re.compile(r"-?P(?=.)(\d+Y)?(\d+M)?(\d+D)?(T(?=.)(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?")
POSITIVE = re.compile(r"\+?0*[1-9]\d*")
WHOLE = re.compile(r"\+?\d+")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
ANY = re.compile(r".*", re.DOTALL)
UNITS = re.compile("[KGPEM]?b|[KGPEM]?B")
SIZES = {"description": ANY, "storageUnit": UNITS, "phaseUnit": DURATION, "metric": ANY}
COUNTS = {"description": ANY, "metric": ANY}
TEXT = {"description": ANY}
# an element's value and its attributes
OTHERS: dict[str, tuple[re.Pattern[str], dict[str, re.Pattern[str]]]] = {
    **{name: (NUMBER, {**SIZES, "type": ANY}) for name in ("Disk", "Memory", "Swap")},
    "Network": (NUMBER, SIZES),
    "NodeCount": (POSITIVE, COUNTS),
    "Processors": (POSITIVE, COUNTS),
    "GPUs": (WHOLE, COUNTS),
    "Njobs": (POSITIVE, TEXT),
    "TimeDuration": (DURATION, {"type": ANY, "description": ANY}),
    "TimeInstant": (TIME, {"type": ANY, "description": ANY}),
    "WallDuration": (DURATION, TEXT),
    "CpuDuration": (DURATION, {"description": ANY, "usageType": re.compile("user|system")}),
    **dict.fromkeys(("StartTime", "EndTime", "QueueTime"), (TIME, TEXT)),
    **dict.fromkeys(
        (
            "Resource", "JobName", "Status", "MachineName", "SubmitHost", "Queue", "ProjectName", "ProbeName",
            "SiteName", "Grid", "GratiaVersion",
        ),
        (ANY, TEXT),
    ),
}  # fmt: skip


def problems(xml: str) -> list[str]:
    """What is wrong with a record; nothing of a good one."""
    return list(_problems(ElementTree.fromstring(xml.encode())))


def _problems(root: ElementTree.Element) -> Iterator[str]:
    if root.tag != f"{SPACE}JobUsageRecord":
        yield f"root {root.tag}"
    names = [child.tag.replace(SPACE, "") for child in root]
    present = [name for name in FIRST if name in names]
    if names[: len(present)] != present or len([name for name in names if name in FIRST]) != len(present):
        yield f"identities are not first, once and in order: {names}"
    identity = root.find(f"{SPACE}RecordIdentity")
    if identity is None:
        yield "no RecordIdentity"
    else:
        yield from _attributes(identity, {"recordId": ANY, "createTime": TIME})
        if f"{SPACE}recordId" not in identity.attrib:
            yield "no recordId"
    for child, name in zip(root, names):
        if name in IDENTITIES:
            inner = [one.tag.replace(SPACE, "") for one in child]
            if len(set(inner)) < len(inner) or not set(inner) <= IDENTITIES[name]:
                yield f"{name} has {inner}"
            continue
        if name in FIRST:
            continue
        if name not in OTHERS:
            yield f"{name} is no element of a usage record"
            continue
        form, attributes = OTHERS[name]
        if not form.fullmatch((child.text or "").strip() if form is not ANY else child.text or ""):
            yield f"{name} is {child.text!r}"
        yield from _attributes(child, attributes)


def _attributes(element: ElementTree.Element, known: dict[str, re.Pattern[str]]) -> Iterator[str]:
    for name, value in element.attrib.items():
        form = known.get(name[len(SPACE) :]) if name.startswith(SPACE) else None
        if form is None or not form.fullmatch(value):
            yield f"{element.tag.replace(SPACE, '')} has {name}={value!r}"
