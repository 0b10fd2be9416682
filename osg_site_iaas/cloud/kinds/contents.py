"""What a project still holds, counted and, when an administrator says so by name, destroyed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Mapping
from urllib.parse import quote

from osg_site_iaas.cloud.connect import Cloud, Conflicting, Missing
from osg_site_iaas.cloud.kind import Work
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.errors import CloudError

PATIENCE = 300  # seconds for servers and volumes to be gone before the project is


@dataclass(frozen=True)
class Holding:
    """One sort of thing in a project: how all of them are listed, and how one is removed."""

    name: str
    service: str
    list_path: str
    member: str
    delete_path: str
    query: str = "project_id"


HOLDINGS = (
    Holding("servers", "compute", "/servers?all_tenants=1", "servers", "/servers/{id}"),
    Holding("snapshots", "volume", "/snapshots?all_tenants=1", "snapshots", "/snapshots/{id}?force=true"),
    Holding(
        "volumes", "volume", "/volumes?all_tenants=1", "volumes", "/volumes/{id}?cascade=true&force=true"
    ),
    Holding("images", "image", "/images?visibility=all", "images", "/images/{id}", query="owner"),
    Holding("floating IPs", "network", "/floatingips?", "floatingips", "/floatingips/{id}"),
    Holding("routers", "network", "/routers?", "routers", "/routers/{id}"),
    Holding("ports", "network", "/ports?", "ports", "/ports/{id}"),
    Holding("networks", "network", "/networks?", "networks", "/networks/{id}"),
)


def count(reader: Reader, project: str) -> Mapping[str, int]:
    """How many things of each sort are in the project; one request a sort."""
    found = {holding.name: len(_list(reader.cloud, holding, project)) for holding in HOLDINGS}
    if reader.cloud.has("object"):
        headers = reader.head("object", reader.cloud.account(project))
        found["objects"] = int(headers.get("X-Account-Object-Count", 0)) if headers else 0
    return found


def destroy(work: Work, project: str) -> None:
    """Delete everything in the project, and wait until it is gone. Repeating it goes on where it stopped."""
    for holding in HOLDINGS:
        for item in _list(work.cloud, holding, project):
            if holding.name == "routers":
                _unplug(work.cloud, item["id"])
            if holding.name == "ports" and item["device_owner"].startswith("network:"):
                continue  # goes with its router or network
            if holding.name == "images" and item.get("protected"):
                patch = [{"op": "replace", "path": "/protected", "value": False}]
                kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
                work.cloud.request("PATCH", "image", f"/images/{item['id']}", json=patch, headers=kind)
            _delete(work.cloud, holding.service, holding.delete_path.format(id=item["id"]))
        if holding.name in ("servers", "volumes", "snapshots"):
            _wait(partial(_list, work.cloud, holding, project), f"{holding.name} of project {project}")
    if work.cloud.has("object"):
        _empty_account(work.cloud, project)


def _list(cloud: Cloud, holding: Holding, project: str) -> list[dict[str, Any]]:
    if not cloud.has(holding.service):
        return []
    mark = "" if holding.list_path.endswith("?") else "&"
    items: list[dict[str, Any]] = cloud.get(
        holding.service, f"{holding.list_path}{mark}{holding.query}={project}"
    )[holding.member]
    return items


def _delete(cloud: Cloud, service: str, path: str) -> None:
    try:
        cloud.request("DELETE", service, path)
    except Missing:
        return


def _unplug(cloud: Cloud, router: str) -> None:
    cloud.request("PUT", "network", f"/routers/{router}", json={"router": {"external_gateway_info": None}})
    for port in cloud.get("network", f"/ports?device_id={router}")["ports"]:
        if port["device_owner"].startswith("network:router_interface"):
            body = {"port_id": port["id"]}
            cloud.request("PUT", "network", f"/routers/{router}/remove_router_interface", json=body)


def _empty_account(cloud: Cloud, project: str) -> None:
    root = cloud.account(project)
    try:
        containers = cloud.get("object", f"{root}?format=json")
    except Missing:
        return
    for container in containers:
        path = f"{root}/{quote(container['name'], safe='')}"
        while True:
            objects = cloud.get("object", f"{path}?format=json&limit=1000")
            for item in objects:
                _delete(cloud, "object", f"{path}/{quote(item['name'], safe='/')}")
            if len(objects) < 1000:
                break
        try:
            _delete(cloud, "object", path)
        except Conflicting as error:
            raise CloudError(
                f"bucket {container['name']} filled up again while it was emptied",
                todo="run the same command again",
            ) from error


def _wait(left: Callable[[], list[dict[str, Any]]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while left():
        if time.monotonic() > deadline:
            raise CloudError(f"{what} are still there after {PATIENCE} s", todo="run the same command again")
        time.sleep(1)
