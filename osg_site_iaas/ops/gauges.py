"""What doctor and the status page have seen, as Prometheus text for node_exporter's textfile collector."""

from __future__ import annotations

from typing import Iterable, Mapping, Optional, Sequence

from osg_site_iaas.ops.finding import FOUND, SKIPPED, UNKNOWN, Result
from osg_site_iaas.ops.usage import Use

PREFIX = "osg_site_iaas"
Line = tuple[Mapping[str, str], float]


def text(
    results: Sequence[Result],
    at: int,
    vos: Optional[Mapping[str, Sequence[Use]]] = None,
    *,
    whole: bool = True,
) -> str:
    """The metrics. ``whole``: every check was made, so that the time counts as that of an examination."""
    seen = [one for one in results if one.state != SKIPPED]
    uses = [(vo, use) for vo, found in (vos or {}).items() for use in found]
    out = [
        _metric(
            "doctor_findings",
            "What a check has found, as a number; a check with nothing to look at here has none.",
            [({"check": one.check}, _count(one)) for one in seen],
        ),
        _metric(
            "doctor_unknown",
            "1 if a check could not be made.",
            [({"check": one.check}, int(one.state == UNKNOWN)) for one in seen],
        ),
    ]
    if whole:
        out.append(_metric("doctor_timestamp_seconds", "When all checks were last made.", [({}, at)]))
    out.append(
        _metric(
            "quota_used",
            "What a VO uses of a quota, in the quota's own unit (instances, cores, MiB of ram, GiB of gigabytes).",
            [(_of(vo, use), use.used) for vo, use in uses],
        )
    )
    out.append(
        _metric(
            "quota_limit",
            "The quota; one without a bound has none.",
            [(_of(vo, use), use.limit) for vo, use in uses if use.limit >= 0],
        )
    )
    return "".join(out)


def _count(one: Result) -> int:
    """How many findings; of a public page, which says no more than that there is something, one."""
    return len(one.findings) or int(one.state == FOUND)


def _of(vo: str, use: Use) -> dict[str, str]:
    return {"vo": vo, "service": use.service, "resource": use.name}


def _metric(name: str, help_text: str, lines: Iterable[Line]) -> str:
    rows = [f"{PREFIX}_{name}{_labels(labels)} {value}\n" for labels, value in lines]
    if not rows:
        return ""
    return f"# HELP {PREFIX}_{name} {help_text}\n# TYPE {PREFIX}_{name} gauge\n" + "".join(rows)


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
