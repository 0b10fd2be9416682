"""EC2 tags on what Neutron keeps: each is one Neutron tag, ``ec2:key=value`` with odd characters escaped."""

from __future__ import annotations

from typing import Any, Mapping
from urllib.parse import quote, unquote

from osg_site_iaas.ec2.errors import invalid_value
from osg_site_iaas.ec2.marks import check_tag

PREFIX = "ec2:"
LONGEST = 255  # Neutron's bound on a tag


def encode(key: str, value: str) -> str:
    """The Neutron tag; an error where it does not fit."""
    check_tag(key, value)
    text = f"{PREFIX}{quote(key, safe=' -_.:')}={quote(value, safe=' -_.:')}"
    if len(text) > LONGEST:
        raise invalid_value(
            "Tag.Value", f"{value[:40]}...", "This cloud holds no tag of that length on this resource"
        )
    return text


def tags_of(resource: Mapping[str, Any]) -> dict[str, str]:
    """The EC2 tags of a Neutron resource."""
    tags = {}
    for text in sorted(resource.get("tags") or ()):
        if text.startswith(PREFIX):
            key, _, value = text[len(PREFIX) :].partition("=")
            tags[unquote(key)] = unquote(value)
    return tags
