"""What the door writes on a server, and EC2's tags: both are Nova metadata, told apart by a prefix."""

from __future__ import annotations

import hashlib
import re
from typing import Mapping, Optional

from osg_site_iaas.ec2.errors import Ec2Error, invalid_value

OWN = "osg-ec2:"
TOKEN = f"{OWN}token"  # ClientToken
REQUEST = f"{OWN}request"  # digest of the parameters it came with
RESERVATION = f"{OWN}reservation"
COUNT = f"{OWN}count"  # MaxCount of the RunInstances
SHUTDOWN = f"{OWN}shutdown"  # InstanceInitiatedShutdownBehavior, where it is terminate
PROTECTED = f"{OWN}protected"  # DisableApiTermination
VOLUMES = f"{OWN}volumes"  # tags that the server's volumes are to have: pending, then tagged
PENDING, TAGGED = "pending", "tagged"
_VOLUME_KEY = f"{OWN}vk-"
_VOLUME_VALUE = f"{OWN}vv-"
_KEY = f"{OWN}k-"
_VALUE = f"{OWN}v-"

MAX_TAGS = 50
_PLAIN = re.compile(r"[A-Za-z0-9_:. -]{1,127}\Z")  # what Nova takes as a key


def token_tag(token: str) -> str:
    """The Nova tag by which servers of a ClientToken are found: tags are indexed, metadata is not."""
    return f"ec2-token:{hashlib.sha256(token.encode()).hexdigest()[:40]}"


def check_tag(key: str, value: str) -> None:
    """Nothing; EC2's error for a tag that EC2 or Nova cannot hold."""
    if not 1 <= len(key) <= 127:
        raise invalid_value("Tag.Key", key[:200], "A tag key has 1 to 127 characters")
    if key.lower().startswith("aws:") or key.startswith(OWN):
        raise invalid_value("Tag.Key", key, "Tag keys starting with 'aws:' or 'osg-ec2:' are reserved")
    if len(value) > 255:
        raise invalid_value(
            "Tag.Value", f"{value[:40]}...", "This cloud holds at most 255 characters in a tag's value"
        )


def tags_as_metadata(tags: Mapping[str, str]) -> dict[str, str]:
    """Nova metadata that holds these tags; a key that Nova would not take is kept beside a digest of it."""
    if len(tags) > MAX_TAGS:
        raise Ec2Error("TagLimitExceeded", f"The maximum number of tags for a resource is {MAX_TAGS}.")
    metadata = {}
    for key, value in tags.items():
        check_tag(key, value)
        for name, text in tag_entries(key).items():
            metadata[name] = value if text is None else text
    return metadata


def tag_entries(key: str) -> dict[str, Optional[str]]:
    """The metadata names that a tag takes; None stands for the tag's value."""
    if _PLAIN.match(key):
        return {key: None}
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return {f"{_KEY}{digest}": key, f"{_VALUE}{digest}": None}


def tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    """The EC2 tags in a server's metadata, by key."""
    tags = {key: value for key, value in metadata.items() if not key.startswith(OWN)}
    for name, key in metadata.items():
        if name.startswith(_KEY):
            tags[key] = metadata.get(f"{_VALUE}{name[len(_KEY) :]}", "")
    return dict(sorted(tags.items()))


def volume_tags_as_metadata(tags: Mapping[str, str]) -> dict[str, str]:
    """What a new server carries of the tags of volumes that Nova is yet to make: it takes none for them itself."""
    metadata = {VOLUMES: PENDING} if tags else {}
    for key, value in tags.items():
        digest = hashlib.sha256(key.encode()).hexdigest()[:16]
        metadata.update({f"{_VOLUME_KEY}{digest}": key, f"{_VOLUME_VALUE}{digest}": value})
    return metadata


def volume_tags_of(metadata: Mapping[str, str]) -> dict[str, str]:
    return {
        key: metadata.get(f"{_VOLUME_VALUE}{name[len(_VOLUME_KEY) :]}", "")
        for name, key in metadata.items()
        if name.startswith(_VOLUME_KEY)
    }


def as_ec2(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def requested_tags(
    specifications: Optional[list[dict[str, object]]], kind: str, others: tuple[str, ...] = ()
) -> dict[str, str]:
    """The tags that a request's TagSpecifications ask for on this kind; a kind that is not served is an error."""
    tags: dict[str, str] = {}
    for one in specifications or ():
        if one.get("ResourceType") in others:
            continue
        if one.get("ResourceType") != kind:
            raise invalid_value(
                "TagSpecification.ResourceType",
                one.get("ResourceType"),
                f"Only {' and '.join((kind, *others))} can be tagged here",
            )
        listed = one.get("Tags")
        for tag in listed if isinstance(listed, list) else ():
            key, value = str(tag.get("Key", "")), str(tag.get("Value", ""))
            if key in tags:
                raise invalid_value("Tag.Key", key, "Duplicate tag keys")
            check_tag(key, value)
            tags[key] = value
    return tags
