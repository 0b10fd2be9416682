"""Topology's VOs: names, parents, FQANs and token issuers, as Topology writes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional, Sequence
from xml.etree.ElementTree import Element

from osg_site_iaas.declaration.topology.document import children, clean, flag, number, parse, text
from osg_site_iaas.declaration.topology.naming import slug, suggestion
from osg_site_iaas.errors import SiteError

LONGEST = 255  # of a name; a longer one is none


@dataclass(frozen=True)
class Attribute:
    """An FQAN of a reporting group, as two texts that may be written in more than one way."""

    group: str
    role: str  # empty: none
    reporting_group: str


@dataclass(frozen=True)
class Issuer:
    """A token issuer. Without ``subject`` any of its tokens is the VO's."""

    url: str
    subject: Optional[str]
    account: Optional[str]  # Unix account that OSG's compute elements map it to
    description: Optional[str] = None


@dataclass(frozen=True)
class Organisation:
    """A VO of Topology."""

    id: int
    name: str
    long_name: Optional[str] = None
    parent: Optional[str] = None
    active: bool = True
    attributes: tuple[Attribute, ...] = ()
    issuers: tuple[Issuer, ...] = ()


def read(data: bytes, where: str) -> tuple[Organisation, ...]:
    """Every VO of a vosummary document, in its order; SiteError if it is no such document."""
    found: dict[str, Organisation] = {}
    for element in children(parse(data, where, "VOSummary"), "VO"):
        made = _organisation(element)
        if made is not None:
            found.setdefault(made.name, made)
    if not found:
        todo = "get it again from OSG Topology (/vosummary/xml), without a filter"
        raise SiteError("it has no VO", where=where, todo=todo)
    return tuple(found.values())


def find(organisations: Sequence[Organisation], names: Iterable[str], where: str) -> list[Organisation]:
    """The VOs of those names, in any case or as site.yml would write them; SiteError naming every unknown one."""
    chosen, unknown = [], []
    for name in names:
        wanted = clean(name)
        exact = [vo for vo in organisations if vo.name == wanted]
        alike = exact or [vo for vo in organisations if vo.name.casefold() == wanted.casefold()]
        by_slug = alike or [vo for vo in organisations if slug(vo.name) == wanted]
        if len(by_slug) == 1:
            chosen.append(by_slug[0])
        elif by_slug:
            unknown.append(f"{name!r}: which of {', '.join(repr(vo.name) for vo in by_slug)}?")
        else:
            hint = suggestion(name, [vo.name for vo in organisations])
            unknown.append(f"{name!r}: {hint or 'nothing like it'}")
    if unknown:
        todo = "name VOs as Topology does; one that Topology does not know is written into site.yml by hand"
        raise SiteError(f"Topology has no such VO: {'; '.join(unknown)}", where=where, todo=todo)
    return list(dict.fromkeys(chosen))


def _organisation(element: Element) -> Optional[Organisation]:
    name = text(element, "Name")
    if name is None or len(name) > LONGEST:
        return None
    attributes = []
    for group in children(element, "ReportingGroups/ReportingGroup"):
        for fqan in children(group, "FQANs/FQAN"):
            path = text(fqan, "GroupName")
            if path is not None:
                attributes.append(Attribute(path, text(fqan, "Role") or "", text(group, "Name") or ""))
    issuers = []
    for issuer in children(element, "Credentials/TokenIssuers/TokenIssuer"):
        url = text(issuer, "URL")
        if url is not None:
            account, words = text(issuer, "DefaultUnixUser"), text(issuer, "Description")
            issuers.append(Issuer(url, text(issuer, "Subject"), account, words))
    return Organisation(
        id=number(element, "ID"),
        name=name,
        long_name=text(element, "LongName"),
        parent=text(element, "ParentVO/Name"),
        active=flag(element, "Active", True) and not flag(element, "Disable", False),
        attributes=tuple(attributes),
        issuers=tuple(issuers),
    )
