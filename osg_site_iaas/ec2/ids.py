"""EC2 ids, derived from OpenStack's UUIDs: a prefix and their first 17 hex digits."""

from __future__ import annotations

import hashlib
import re
import uuid
from typing import Iterable, Mapping, Optional

from osg_site_iaas.ec2.errors import internal, malformed_id, not_found

DIGITS = 17
# 8 digits are what the ids of EC2's first decade had: no such id exists here, but it is well formed.
_ID = re.compile(r"([a-z]+)-([0-9a-f]{8}|[0-9a-f]{17})\Z")


def ec2_id(prefix: str, openstack_id: str) -> str:
    """The EC2 id of an OpenStack object; an id that is no UUID is digested first."""
    try:
        digits = uuid.UUID(openstack_id).hex
    except ValueError:
        digits = hashlib.sha256(openstack_id.encode()).hexdigest()
    return f"{prefix}-{digits[:DIGITS]}"


def key_pair_id(user_id: str, name: str) -> str:
    """The id of a key pair: Nova's are names that are unique to a user."""
    return f"key-{hashlib.sha256(f'{user_id}/{name}'.encode()).hexdigest()[:DIGITS]}"


def check_id(prefix: str, given: str) -> str:
    """``given``; EC2's error for a malformed id where it is not of this kind."""
    match = _ID.match(given)
    if not match or match[1] != prefix:
        raise malformed_id(prefix, given[:100])
    return given


def prefix_of(given: str) -> Optional[str]:
    """The kind of an id, None where it has no id's form."""
    match = _ID.match(given)
    return match[1] if match else None


class Clash(Exception):
    """Two objects with the same EC2 id: 68 bits of their UUIDs agree."""


def resolve(prefix: str, given: str, candidates: Iterable[str]) -> str:
    """The OpenStack id among ``candidates`` that ``given`` stands for; two are an error, not a guess."""
    check_id(prefix, given)
    found = {candidate for candidate in candidates if ec2_id(prefix, candidate) == given}
    if not found:
        raise not_found(prefix, given)
    if len(found) > 1:
        raise internal(f"{given} stands for {len(found)} objects; use OpenStack's own id through its own API")
    return found.pop()


def index(prefix: str, candidates: Iterable[str]) -> Mapping[str, str]:
    """EC2 id → OpenStack id; an id that two objects share raises Clash."""
    found: dict[str, str] = {}
    for candidate in candidates:
        name = ec2_id(prefix, candidate)
        if found.setdefault(name, candidate) != candidate:
            raise Clash(name)
    return found
