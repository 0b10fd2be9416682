"""A declaration to be: the resource, its VOs in an order that works, and what a person should look at."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Iterable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.declaration.topology import claims
from osg_site_iaas.declaration.topology.claims import Claims, Line
from osg_site_iaas.declaration.topology.naming import slug, slugs
from osg_site_iaas.declaration.topology.organisations import Organisation
from osg_site_iaas.declaration.topology.resources import CLOUD_SERVICES, Resource
from osg_site_iaas.declaration.topology.voclient import VOClient
from osg_site_iaas.errors import SiteError

_HOST = re.compile(
    r"([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
)
GRID = "grid"  # the identity provider of those who come with a certificate


@dataclass(frozen=True)
class Entry:
    """A VO as site.yml will have it."""

    name: str  # in site.yml
    organisation: Organisation
    parent: Optional[str]  # in site.yml's spelling, whether or not it is in the file
    lines: tuple[Line, ...]
    narrower: tuple[str, ...]
    reviews: tuple[str, ...]
    reason: str = ""  # why it is here


@dataclass(frozen=True)
class Draft:
    """Everything that the text of a first site.yml says."""

    resource: Resource
    fqdn: str
    entries: tuple[Entry, ...]
    issuers: tuple[tuple[str, str], ...]  # name of the identity provider, issuer's URL
    grid: bool  # whether some line needs a grid certificate
    reviews: tuple[str, ...]  # of the site as a whole


def supported(resource: Resource, resources: Sequence[Resource]) -> dict[str, str]:
    """The VOs that own the resource or another one of its group, each with a sentence that says so."""
    found: dict[str, str] = {}
    others = [one for one in resources if one.group == resource.group and one.name != resource.name]
    for one in (resource, *others):
        for vo, percent in one.owners:
            found.setdefault(vo, f"owns {percent} % of {one.name}")
    return found


def draft(
    resource: Resource,
    chosen: Sequence[Organisation],
    organisations: Sequence[Organisation],
    client: VOClient,
    fqdn: Optional[str] = None,
    reasons: Mapping[str, str] = MappingProxyType({}),
) -> Draft:
    """The declaration of a resource for the chosen VOs, who are among all of Topology's ``organisations``.

    A VO's name in site.yml depends on all VOs of Topology, never on who was chosen, so that it is always the same.
    ``reasons`` says of VOs why they are in the file; one that Topology does not know is for a person to look at.
    """
    host = fqdn or resource.fqdn or ""
    if not _HOST.fullmatch(host) or len(host) > 253:
        what = f"its host name {host!r} is none" if host else "it has no host name"
        todo = "give the host name of the cloud with --fqdn"
        raise SiteError(what, where=f"resource {resource.name!r}", todo=todo)
    gathered = claims.gather(organisations, client)
    settled = claims.settle(gathered, chosen)
    names = slugs((one.id, one.name) for one in organisations)
    entries = tuple(
        replace(_entry(one, names, settled[one.name], gathered, chosen), reason=reasons.get(one.name, ""))
        for one in claims.order(settled, chosen)
    )
    strangers = [
        f"{name} {words}, and Topology has no such VO" for name, words in reasons.items() if name not in names
    ]
    urls = dict.fromkeys(line.issuer for entry in entries for line in entry.lines if line.issuer is not None)
    grid = any(line.fqan is not None for entry in entries for line in entry.lines)
    reviews = (*_site_reviews(resource, host, client), *strangers)
    return Draft(resource, host, entries, tuple(_providers(urls)), grid, reviews)


def _providers(urls: Iterable[str]) -> Iterator[tuple[str, str]]:
    """A name for each issuer's identity provider, from its URL; never ``grid``, which is the certificates'."""
    hosts = {url: re.sub("^https://", "", url) for url in urls}
    names = slugs((number, host) for number, host in enumerate(hosts.values()))
    for url, host in hosts.items():
        yield f"{names[host]}-issuer" if names[host] == GRID else names[host], url


def _entry(
    organisation: Organisation,
    names: dict[str, str],
    mine: Claims,
    gathered: dict[str, Claims],
    chosen: Sequence[Organisation],
) -> Entry:
    reviews = list(mine.reviews)
    parent = organisation.parent
    if not organisation.active:
        reviews.insert(0, "Topology calls it inactive: it is switched off here")
    if not gathered[organisation.name].lines:
        guess = _guess(organisation, gathered)
        reviews.append(f"neither Topology nor vo-client says who its members are: nobody gets in{guess}")
    elif not mine.lines:
        reviews.append("nobody gets in")
    here = {one.name for one in chosen}
    guests = [
        name
        for name, theirs in gathered.items()
        if name not in here and claims.covers_any(mine.lines, theirs.lines)
    ]
    if guests:
        reviews.append(f"members of VOs that are not in this file get in here: {', '.join(guests)}")
    return Entry(
        name=names[organisation.name],
        organisation=organisation,
        parent=names.get(parent) if parent is not None and parent != organisation.name else None,
        lines=mine.lines,
        narrower=mine.narrower,
        reviews=tuple(reviews),
    )


def _guess(organisation: Organisation, gathered: dict[str, Claims]) -> str:
    """Where its members may be found, for a VO within another one: in a group of the parent's VOMS server."""
    parent = gathered.get(organisation.parent or "")
    lines = [line.fqan or "" for line in parent.lines] if parent is not None else []
    roots = [line for line in lines if re.fullmatch(r"/[^/*]+/\*", line)]
    return f" (they may be {roots[0][:-1]}{slug(organisation.name)}/*, after its parent)" if roots else ""


def _site_reviews(resource: Resource, host: str, client: VOClient) -> tuple[str, ...]:
    reviews = []
    if not resource.active:
        reviews.append("Topology calls this resource inactive")
    if not any(service in CLOUD_SERVICES for service in resource.services):
        listed = ", ".join(resource.services) or "none"
        reviews.append(f"Topology lists no compute service for this resource (it lists: {listed})")
    if resource.fqdn is not None and host.casefold() != resource.fqdn.casefold():
        reviews.append(f"Topology's host name for this resource is {resource.fqdn}")
    if not client.lines:
        reviews.append("vo-client was not at hand: FQANs are from Topology alone")
    return (*reviews, *(f"left out of vo-client's list: {words}" for words in client.strange))
