"""EC2 ids to OpenStack's: from what is remembered, else from one list."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from osg_site_iaas.ec2.actions.registry import Call
from osg_site_iaas.ec2.errors import not_found
from osg_site_iaas.ec2.ids import check_id, ec2_id, index, resolve

LISTS = {
    "ami": ("image", "/images", "images"),
    "vol": ("volume", "/volumes/detail", "volumes"),
    "snap": ("volume", "/snapshots/detail", "snapshots"),
    "sg": ("network", "/security-groups", "security_groups"),
    "eni": ("network", "/ports", "ports"),
    "eipalloc": ("network", "/floatingips", "floatingips"),
}


def listed(call: Call, prefix: str) -> list[dict[str, Any]]:
    """Everything of a kind that the project sees; their ids are remembered."""
    service, path, key = LISTS[prefix]
    query: dict[str, Any] = (
        {"limit": 1000} if service in ("image", "volume") else {"project_id": call.project}
    )
    found = list(call.cloud.pages(service, path, key, query))
    call.store.remember(call.project, index(prefix, (str(one["id"]) for one in found)))
    return found


def openstack_id(call: Call, prefix: str, given: str) -> str:
    """The OpenStack id that an EC2 id stands for; the kind's NotFound where it stands for none."""
    check_id(prefix, given)
    known = call.store.known(call.project, given)
    if known is not None:
        return known
    return resolve(prefix, given, [str(one["id"]) for one in listed(call, prefix)])


def image_id(call: Call, given: str) -> str:
    """As ``openstack_id``; community images are found too, which Glance does not list unasked."""
    check_id("ami", given)
    known = call.store.known(call.project, given)
    if known is not None:
        return known
    found = {ec2_id("ami", one["id"]): str(one["id"]) for one in listed(call, "ami")}
    if given not in found:
        query = {"visibility": "community", "limit": 1000}
        community = [str(one["id"]) for one in call.cloud.pages("image", "/images", "images", query)]
        found.update(index("ami", community))
        if given not in found:
            raise not_found("ami", given)
        call.store.remember(call.project, {given: found[given]})
    return found[given]


def _each(call: Call, prefix: str, given: Sequence[Optional[str]]) -> Mapping[str, str]:
    return {one: openstack_id(call, prefix, one) for one in given if one}


def snapshot_ids(call: Call, given: Sequence[Optional[str]]) -> Mapping[str, str]:
    return _each(call, "snap", given)


def port_ids(call: Call, given: Sequence[Optional[str]]) -> Mapping[str, str]:
    return _each(call, "eni", given)
