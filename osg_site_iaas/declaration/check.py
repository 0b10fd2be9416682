"""What only the whole declaration shows to be wrong, or probably not meant."""

from __future__ import annotations

from osg_site_iaas.declaration.model import Site
from osg_site_iaas.declaration.read import Document
from osg_site_iaas.errors import Problem


def findings(site: Site, document: Document) -> tuple[list[Problem], list[Problem]]:
    """Problems and warnings of a declaration whose shape is in order."""
    return [], []
