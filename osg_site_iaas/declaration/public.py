"""A declaration as plain data for programs: the shape of site.yml, sizes as numbers, and nothing secret."""

from __future__ import annotations

import dataclasses
import enum
from pathlib import Path
from typing import Any, Mapping

from osg_site_iaas.declaration.model import VO, Network, Position, Secret, Site
from osg_site_iaas.errors import SiteError

_LEFT_OUT = ("at", "positions", "file", "secrets", "stated")
_SITE = (
    "vos",
    "flavours",
    "networks",
    "routers",
    "security_groups",
    "images",
    "identity_providers",
    "caches",
)
_BY_NAME: Mapping[type, tuple[str, ...]] = {
    Site: _SITE,
    Network: ("subnets",),
    VO: ("service_users", "buckets"),
}


def public(site: Site) -> dict[str, Any]:
    """The whole declaration: defaults filled in, what is not said left out, named things by their names.

    RAM is in MiB, disks and volumes in GiB, buckets and accounts in bytes; -1 is unlimited. Secrets and where they
    are kept are left out.
    """
    return _entry(site)


def at(data: Mapping[str, Any], path: str) -> Any:
    """What stands at a dotted path such as ``vos.cms.quota.compute``; SiteError says how far the path holds.

    Names may hold dots themselves; the longest that fits is taken.
    """
    value: Any = data
    said = ""
    rest = path
    while rest:
        step = _step(value, rest)
        if step is None:
            known = ", ".join(str(name) for name in _names(value)[:12])
            raise SiteError(
                f"the declaration has no {rest.partition('.')[0]!r} at {said or 'its top'}",
                todo=f"known there: {known}" if known else "nothing is below that",
            )
        value = value[int(step) if isinstance(value, list) else step]
        said = f"{said}.{step}" if said else step
        rest = rest[len(step) + 1 :]
    return value


def _step(value: Any, rest: str) -> Any:
    names = [str(name) for name in _names(value)]
    return max((name for name in names if rest == name or rest.startswith(f"{name}.")), key=len, default=None)


def _names(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return list(value)
    return list(range(len(value))) if isinstance(value, list) else []


def _entry(value: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        item = getattr(value, field.name)
        if field.name in _LEFT_OUT or item is None or isinstance(item, (Position, Secret, enum.Enum)):
            continue
        if field.name in _BY_NAME.get(type(value), ()):
            found[field.name] = {part.name: _entry(part) for part in item}
        else:
            found[field.name] = _plain(item)
    return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return _entry(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value
