"""Tags: Nova's and Cinder's metadata, Glance's properties, Neutron's tags."""

from __future__ import annotations

import json
from typing import Any, Callable, Mapping, Optional

from osg_site_iaas.ec2 import marks, neutron_tags
from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.images import TAG, tags_of_image
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resolve import listed, openstack_id
from osg_site_iaas.ec2.actions.volume_tags import tag_new_volumes
from osg_site_iaas.ec2.backend.http import RefusedError
from osg_site_iaas.ec2.errors import Ec2Error, missing, not_found, unsupported
from osg_site_iaas.ec2.filters import Table, compile_filters, given_filters, page
from osg_site_iaas.ec2.ids import ec2_id, prefix_of, resolve

TYPES = {
    "i": "instance",
    "ami": "image",
    "vol": "volume",
    "snap": "snapshot",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "eni": "network-interface",
    "eipalloc": "elastic-ip",
}
COLLECTIONS = {
    "sg": "security-groups",
    "subnet": "subnets",
    "vpc": "networks",
    "eni": "ports",
    "eipalloc": "floatingips",
}
Wanted = Mapping[str, Optional[str]]  # key → value; None: whatever value


def _network_id(call: Call, prefix: str, given: str) -> str:
    networks = call.lookups.networks(call.cloud, call.project)
    if prefix == "vpc":
        return resolve("vpc", given, networks.networks)
    if prefix == "subnet":
        return resolve("subnet", given, networks.subnets)
    return openstack_id(call, prefix, given)


def _pairs(parameters: Parameters) -> dict[str, Optional[str]]:
    pairs: dict[str, Optional[str]] = {}
    for tag in parameters.get("Tags") or ():
        if not tag.get("Key"):
            raise missing("Tag.Key")
        pairs[tag["Key"]] = tag.get("Value")
    return pairs


def _resources(parameters: Parameters) -> list[str]:
    if not parameters.get("Resources"):
        raise missing("ResourceId")
    for given in parameters["Resources"]:
        if prefix_of(given) not in TYPES:
            raise unsupported(f"{given[:60]} is not a resource that can be tagged in this cloud.")
    return list(dict.fromkeys(parameters["Resources"]))


def _nova_or_cinder(call: Call, prefix: str, given: str) -> tuple[str, str, Mapping[str, str]]:
    """(service, path, metadata) of a server, a volume or a snapshot."""
    if prefix == "i":
        server = next(iter(find_servers(call, [given]).values()))
        if server.get("status") == "DELETED":
            raise not_found("i", given)
        return "compute", f"/servers/{server['id']}/metadata", server["metadata"]
    kind = "volumes" if prefix == "vol" else "snapshots"
    path = f"/{kind}/{openstack_id(call, prefix, given)}/metadata"
    try:
        return "volume", path, call.cloud.get("volume", path)["metadata"]
    except RefusedError as error:
        if error.status == 404:
            raise not_found(prefix, given) from error
        raise


def _changed(call: Call, prefix: str, path: str) -> None:
    if prefix == "i":
        call.store.change(call.project, [path.split("/")[2]])


def _create(call: Call, given: str, tags: Mapping[str, str]) -> Callable[[], None]:
    prefix = str(prefix_of(given))

    def step() -> None:
        if prefix in ("i", "vol", "snap"):
            service, path, before = _nova_or_cinder(call, prefix, given)
            marks.tags_as_metadata({**marks.tags_of(before), **tags})  # the whole must fit
            try:
                call.cloud.request("POST", service, path, body={"metadata": marks.tags_as_metadata(tags)})
            except RefusedError as error:
                if error.status in (403, 413):
                    raise Ec2Error("TagLimitExceeded", error.message) from error
                raise
            _changed(call, prefix, path)
        elif prefix == "ami":
            _patch_image(call, given, {f"{TAG}{key}": value for key, value in tags.items()})
        else:
            _network_tags(call, prefix, given, lambda before: {**before, **tags})

    return step


def _delete(call: Call, given: str, wanted: Wanted) -> Callable[[], None]:
    prefix = str(prefix_of(given))

    def hit(tags: Mapping[str, str]) -> list[str]:
        if not wanted:
            return list(tags)
        return [key for key, value in tags.items() if key in wanted and wanted[key] in (None, value)]

    def step() -> None:
        if prefix in ("i", "vol", "snap"):
            service, path, before = _nova_or_cinder(call, prefix, given)
            for key in hit(marks.tags_of(before)):
                for name in marks.tag_entries(key):
                    call.cloud.request("DELETE", service, f"{path}/{name}")
            _changed(call, prefix, path)
        elif prefix == "ami":
            image = call.cloud.get("image", f"/images/{openstack_id(call, 'ami', given)}")
            _patch_image(call, given, {f"{TAG}{key}": None for key in hit(tags_of_image(image))})
        else:
            _network_tags(
                call,
                prefix,
                given,
                lambda before: {key: value for key, value in before.items() if key not in hit(before)},
            )

    return step


def _patch_image(call: Call, given: str, properties: Mapping[str, Optional[str]]) -> None:
    path = f"/images/{openstack_id(call, 'ami', given)}"
    image = call.cloud.get("image", path)
    changes = []
    for name, value in properties.items():
        pointer = "/" + name.replace("~", "~0").replace("/", "~1")
        if value is None:
            changes.append({"op": "remove", "path": pointer})
        else:
            changes.append({"op": "replace" if name in image else "add", "path": pointer, "value": value})
    if changes:
        kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        call.cloud.request("PATCH", "image", path, data=json.dumps(changes), headers=kind)


def _network_tags(
    call: Call, prefix: str, given: str, change: Callable[[Mapping[str, str]], Mapping[str, str]]
) -> None:
    """One write of all tags of a resource; those that are not EC2's stay."""
    path = f"/{COLLECTIONS[prefix]}/{_network_id(call, prefix, given)}/tags"
    try:
        before = call.cloud.get("network", path)["tags"]
    except RefusedError as error:
        if error.status == 404:
            raise not_found(prefix, given) from error
        raise
    others = [tag for tag in before if not tag.startswith(neutron_tags.PREFIX)]
    after = change(neutron_tags.tags_of({"tags": before}))
    tags = others + [neutron_tags.encode(key, value) for key, value in after.items()]
    call.cloud.request("PUT", "network", path, body={"tags": tags})
    call.lookups.forget(call.project, "networks")


@action(
    "Resources Tags.Key Tags.Value",
    requests="2 a resource",
    notes="Instances, images, volumes, snapshots, security groups, subnets, VPCs, interfaces and addresses."
    " Values of up to 255 characters (EC2: 256).",
)
def create_tags(call: Call, parameters: Parameters) -> Answer:
    tags = {key: value or "" for key, value in _pairs(parameters).items()}
    if not tags:
        raise missing("Tag")
    for key, value in tags.items():
        marks.check_tag(key, value)
    for given in _resources(parameters):
        _create(call, given, tags)()
    return None


@action("Resources Tags.Key Tags.Value", requests="2 a resource; servers and volumes 1 and one a tag")
def delete_tags(call: Call, parameters: Parameters) -> Answer:
    for given in _resources(parameters):
        _delete(call, given, _pairs(parameters))()
    return None


FILTERS: Table = {
    "key": lambda one: one["Key"],
    "resource-id": lambda one: one["ResourceId"],
    "resource-type": lambda one: one["ResourceType"],
    "value": lambda one: one["Value"],
}


def _tagged(call: Call, prefix: str) -> dict[str, Mapping[str, str]]:
    """EC2 id → tags of everything of a kind."""
    if prefix == "i":
        servers = find_servers(call, None).values()
        return {ec2_id("i", one["id"]): marks.tags_of(one.get("metadata") or {}) for one in servers}
    if prefix in ("vol", "snap"):
        if not call.cloud.has("volume"):
            return {}
        if prefix == "vol":
            tag_new_volumes(call)
        found = listed(call, prefix)
        return {ec2_id(prefix, one["id"]): marks.tags_of(one.get("metadata") or {}) for one in found}
    if prefix == "ami":
        return {
            ec2_id("ami", one["id"]): tags_of_image(one)
            for one in listed(call, "ami")
            if one.get("owner") == call.account
        }
    if prefix in ("vpc", "subnet"):
        networks = call.lookups.networks(call.cloud, call.project)
        kept: Mapping[str, Mapping[str, Any]] = networks.networks if prefix == "vpc" else networks.subnets
        return {ec2_id(prefix, key): neutron_tags.tags_of(one) for key, one in kept.items()}
    if not call.cloud.has("network"):
        return {}
    return {ec2_id(prefix, one["id"]): neutron_tags.tags_of(one) for one in listed(call, prefix)}


@action(
    "MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    requests="up to 7; a filter for resource types or ids asks only for those",
)
def describe_tags(call: Call, parameters: Parameters) -> Answer:
    passes = compile_filters(parameters, FILTERS, lambda one: {one["Key"]: one["Value"]})
    prefixes = set(TYPES)
    for name, values in given_filters(parameters):
        plain = not any(set(value) & set("*?\\") for value in values)
        if name == "resource-type" and plain:
            prefixes &= {prefix for prefix, kind in TYPES.items() if kind in values}
        elif name == "resource-id" and plain:
            prefixes &= {str(prefix_of(value)) for value in values}
    every = [
        {"ResourceId": resource, "ResourceType": TYPES[prefix], "Key": key, "Value": value}
        for prefix in sorted(prefixes)
        for resource, tags in _tagged(call, prefix).items()
        for key, value in tags.items()
    ]

    def order(one: Mapping[str, str]) -> str:
        return f"{one['ResourceId']} {one['Key']}"

    chosen, token = page(parameters, sorted((one for one in every if passes(one)), key=order), order)
    return {"Tags": chosen, "NextToken": token}
