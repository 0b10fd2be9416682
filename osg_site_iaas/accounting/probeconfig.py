"""Reads a gratia-probe ProbeConfig: one XML element whose attributes are the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Mapping
from xml.etree import ElementTree

from osg_site_iaas.errors import AccountingError, trouble

PATH = Path("/etc/gratia/openstack/ProbeConfig")
ROOT = "ProbeConfiguration"


def read_attributes(file: Path) -> Mapping[str, str]:
    """The file's attributes, comments and titles among them. Raises AccountingError in words."""
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        wrong = trouble(error, "name another by --probe-config")
        raise AccountingError(
            f"cannot read the ProbeConfig: {wrong.what}", where=str(file), todo=wrong.todo
        ) from error
    except ValueError as error:
        raise AccountingError("the ProbeConfig is not UTF-8", where=str(file)) from error
    return parse(text, str(file))


def parse(text: str, where: str) -> Mapping[str, str]:
    """The same for text at hand."""
    if "<!DOCTYPE" in text:
        raise AccountingError("a ProbeConfig has no document type", where=where, todo="remove the DOCTYPE")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314 - no document type, so no entities
    except ElementTree.ParseError as error:
        raise AccountingError(
            f"the ProbeConfig is no XML: {error}", where=where, todo='each attribute is written NAME="value"'
        ) from error
    if root.tag != ROOT:
        raise AccountingError(f"the ProbeConfig begins with {root.tag}, not {ROOT}", where=where)
    return dict(root.attrib)
