"""What only the whole declaration shows to be wrong, or probably not meant.

A problem is certain: OpenStack would refuse it, or it would do something else than it says. What a site may
have a reason for is a warning.
"""

from __future__ import annotations

from typing import Callable, Iterable

from osg_site_iaas.declaration import check_access, check_names, check_networks
from osg_site_iaas.declaration.finder import Finder, Names, broken
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.declaration.read import Document
from osg_site_iaas.errors import Problem

CHECKS: tuple[Callable[[Finder], None], ...] = (
    check_names.references,
    check_names.unique,
    check_names.reserved,
    check_names.flavours,
    check_names.parents,
    check_names.images,
    check_networks.subnets,
    check_networks.networks,
    check_networks.routers,
    check_networks.rules,
    check_access.lines,
    check_access.roles,
    check_access.providers,
    check_access.buckets,
)


def findings(
    site: Site, document: Document, names: Names, known: Iterable[Problem]
) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings of a declaration, out of which what was ``known`` to be wrong has been taken."""
    finder = Finder(site, document, names, broken(known))
    for check in CHECKS:
        check(finder)
    return finder.problems, finder.warnings
