"""Topology's resources: who a site is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Sequence
from xml.etree.ElementTree import Element

from osg_site_iaas.declaration.topology.document import children, clean, flag, parse, text
from osg_site_iaas.declaration.topology.naming import suggestion
from osg_site_iaas.errors import SiteError

# What a cloud would be registered as, by the names that Topology gives services.
CLOUD_SERVICES = ("Execution Endpoint", "Virtual Machine Host", "CE")
LONGEST = 255  # of a name; a longer one is none
OTHER = "(Other)"  # an owner that is no VO


@dataclass(frozen=True)
class Resource:
    """A Resource of Topology."""

    name: str
    group: str
    facility: Optional[str]
    fqdn: Optional[str]
    aliases: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    owners: tuple[tuple[str, str], ...] = ()  # VO as Topology spells it, and percent; never (Other)
    active: bool = True


def read(data: bytes, where: str) -> tuple[Resource, ...]:
    """Every resource of an rgsummary document, in its order; SiteError if it is no such document."""
    found = []
    for group in children(parse(data, where, "ResourceSummary"), "ResourceGroup"):
        in_use = not flag(group, "Disable", False)
        for element in children(group, "Resources/Resource"):
            resource = _resource(element, group, in_use)
            if resource is not None:
                found.append(resource)
    if not found:
        todo = "get it again from OSG Topology (/rgsummary/xml), without a filter"
        raise SiteError("it has no resource", where=where, todo=todo)
    return tuple(found)


def find(resources: Sequence[Resource], name: str, where: str) -> Resource:
    """The resource of that name, whatever its case, or of that host name; SiteError with the nearest names if none."""
    wanted = clean(name).casefold()
    same = [resource for resource in resources if resource.name == clean(name)]
    alike = same or [resource for resource in resources if resource.name.casefold() == wanted]
    by_host = alike or [r for r in resources if wanted in (host.casefold() for host in _hosts(r))]
    if len(by_host) == 1:
        return by_host[0]
    if by_host:
        names = ", ".join(repr(resource.name) for resource in by_host)
        raise SiteError(
            f"{len(by_host)} resources are {name!r}", where=where, todo=f"give one by name: {names}"
        )
    members = [repr(resource.name) for resource in resources if resource.group.casefold() == wanted]
    if members:
        what = f"{name!r} is a resource group, and usage is accounted to a resource"
        raise SiteError(what, where=where, todo=f"give one of its resources: {', '.join(members)}")
    todo = suggestion(name, [resource.name for resource in resources])
    fallback = "look it up at https://topology.opensciencegrid.org, or register it there first"
    raise SiteError(f"Topology has no resource {name!r}", where=where, todo=todo or fallback)


def _hosts(resource: Resource) -> list[str]:
    return [host for host in (resource.fqdn, *resource.aliases) if host]


def _resource(element: Element, group: Element, in_use: bool) -> Optional[Resource]:
    name, group_name = text(element, "Name"), text(group, "GroupName")
    if name is None or group_name is None or max(len(name), len(group_name)) > LONGEST:
        return None
    services = [text(service, "Name") for service in children(element, "Services/Service")]
    aliases = [text(alias) for alias in children(element, "FQDNAliases/FQDNAlias")]
    owners = []
    for ownership in children(element, "VOOwnership/Ownership"):
        vo = text(ownership, "VO")
        if vo is not None and vo != OTHER:
            owners.append((vo, text(ownership, "Percent") or "?"))
    return Resource(
        name=name,
        group=group_name,
        facility=(text(group, "Facility/Name") or "")[:LONGEST].strip() or None,
        fqdn=text(element, "FQDN"),
        aliases=tuple(alias for alias in aliases if alias),
        services=tuple(service for service in services if service),
        owners=tuple(owners),
        active=in_use and flag(element, "Active", True) and not flag(element, "Disable", False),
    )
