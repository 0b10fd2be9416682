"""What a project still holds, counted and, when an administrator says so by name, destroyed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial
from typing import Any, Callable, Iterator, Mapping
from urllib.parse import quote

from osg_site_iaas.cloud.connect import Cloud, Conflicting, Forbidden, Missing
from osg_site_iaas.cloud.kind import Work
from osg_site_iaas.cloud.reader import Reader, pages
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import is_marked

PATIENCE = 300  # seconds for servers and volumes to be gone before the project is
UNSEEN = "account in the object store that this login may not look at"
BATCH = 1000  # objects that are listed at once


@dataclass(frozen=True)
class Holding:
    """One sort of thing in a project: how all of them are listed, and how one is removed."""

    name: str
    service: str
    list_path: str
    member: str
    delete_path: str
    query: str = "project_id"
    paged: bool = True
    slow: bool = False  # gone some time after the service has said yes
    counts: bool = True  # a project that has only others of these is empty
    marked: bool = (
        False  # the site makes such things there too; elsewhere our mark is a word of the VO's members
    )


HOLDINGS = (
    Holding("servers", "compute", "/servers?all_tenants=1", "servers", "/servers/{id}", slow=True),
    Holding("backups", "volume", "/backups?all_tenants=1", "backups", "/backups/{id}", slow=True),
    Holding("snapshots", "volume", "/snapshots?all_tenants=1", "snapshots", "/snapshots/{id}", slow=True),
    Holding(
        "volumes", "volume", "/volumes?all_tenants=1", "volumes", "/volumes/{id}?cascade=true", slow=True
    ),
    Holding("images", "image", "/images?visibility=all", "images", "/images/{id}", query="owner"),
    Holding("floating IPs", "network", "/floatingips", "floatingips", "/floatingips/{id}", paged=False),
    Holding("routers", "network", "/routers", "routers", "/routers/{id}", paged=False, marked=True),
    Holding("ports", "network", "/ports", "ports", "/ports/{id}", paged=False),
    Holding("networks", "network", "/networks", "networks", "/networks/{id}", paged=False, marked=True),
    # every project that was ever looked at has one
    Holding(
        "security groups",
        "network",
        "/security-groups",
        "security_groups",
        "/security-groups/{id}",
        paged=False,
        counts=False,
        marked=True,
    ),
)


class NotEmpty(CloudError):
    """A container that was to go holds objects."""


def count(reader: Reader, project: str) -> Mapping[str, int]:
    """How many things of each sort are in the project that are not ours to remove; one request a sort."""
    domain = reader.site.cloud.domain
    found = {}
    for holding in HOLDINGS:
        if holding.counts:
            items = _list(reader.cloud, holding, project)
            found[holding.name] = sum(
                not (holding.marked and is_marked(item.get("description"), domain)) for item in items
            )
    if reader.cloud.has("object"):
        try:
            found["objects"] = _objects(reader, project)
        except Forbidden:  # not known is not none: it is held, and the rest of the plan goes on
            found[UNSEEN] = 1
    return found


def _objects(reader: Reader, project: str) -> int:
    """How many objects the account holds: more than none if any of its containers says so.

    An account hears of its containers' objects late (a daemon tells it), so its own "none" proves nothing.
    """
    account = reader.cloud.account(project)
    headers = reader.head("object", account)
    if headers is None:
        return 0
    objects = int(headers.get("X-Account-Object-Count", 0))
    if objects == 0:
        for container in _containers(reader.cloud, account):
            held = reader.head("object", f"{account}/{quote(container, safe='')}") or {}
            objects += int(held.get("X-Container-Object-Count", 0))
    return objects


def _containers(cloud: Cloud, account: str) -> Iterator[str]:
    """The names of all containers of an account."""
    marker = ""
    while True:
        page = cloud.get("object", f"{account}?format=json&limit={BATCH}&marker={quote(marker, safe='')}")
        for item in page:
            yield item["name"]
        if not page:
            return
        marker = page[-1]["name"]


def destroy(work: Work, project: str) -> None:
    """Delete everything in the project, and wait until it is gone. Repeating it goes on where it stopped."""
    for holding in HOLDINGS:
        for item in _list(work.cloud, holding, project):
            if holding.name == "routers":
                _unplug(work.cloud, item["id"])
            if holding.name == "images" and item.get("protected"):
                _unprotect(work.cloud, item["id"])
            _delete(work.cloud, holding.service, holding.delete_path.format(id=item["id"]))
        if holding.slow:
            _wait(partial(_list, work.cloud, holding, project), f"{holding.name} of project {project}")
    if work.cloud.has("object"):
        _empty_account(work.cloud, project, objects=True)


def tidy(work: Work, project: str, name: str) -> None:
    """Remove what an empty project would leave behind in services that do not hear of its end.

    That is empty containers, its default security group, and its limits, which a project made anew must not
    inherit. What cannot be removed is said, and does no harm; but a container with objects in it is an error, since
    nobody could reach them once their project is gone.
    """
    cloud = work.cloud

    def groups() -> None:
        for holding in HOLDINGS:
            if not holding.counts:
                for item in _list(cloud, holding, project):
                    _delete(cloud, holding.service, holding.delete_path.format(id=item["id"]))

    steps: tuple[tuple[str, str, Callable[[], None]], ...] = (
        ("object", "containers", lambda: _empty_account(cloud, project, objects=False)),
        ("network", "security groups", groups),
        ("network", "limits", lambda: _delete(cloud, "network", f"/quotas/{project}")),
        ("compute", "limits", lambda: _delete(cloud, "compute", f"/os-quota-sets/{project}")),
        ("volume", "limits", lambda: _delete(cloud, "volume", f"/os-quota-sets/{project}")),
    )
    for service, what, step in steps:
        if cloud.has(service):
            try:
                step()
            except NotEmpty:
                raise
            except CloudError as error:
                work.say(f"{name}: its {service} {what} stay behind: {error.what}")


def _list(cloud: Cloud, holding: Holding, project: str) -> list[dict[str, Any]]:
    """All of one sort, but for ports that come and go with their router or network."""
    if not cloud.has(holding.service):
        return []
    mark = "&" if "?" in holding.list_path else "?"
    path = f"{holding.list_path}{mark}{holding.query}={project}"
    found = pages(cloud, holding.service, path, holding.member, paged=holding.paged)
    return [item for item in found if not item.get("device_owner", "").startswith("network:")]


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


def _unprotect(cloud: Cloud, image: str) -> None:
    patch = [{"op": "replace", "path": "/protected", "value": False}]
    kind = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    cloud.request("PATCH", "image", f"/images/{image}", json=patch, headers=kind)


def _empty_account(cloud: Cloud, project: str, *, objects: bool) -> None:
    root = cloud.account(project)
    while True:
        try:
            containers = cloud.get("object", f"{root}?format=json&limit={BATCH}")
        except Missing:
            return
        if not containers:
            return
        for container in containers:
            path = f"{root}/{quote(container['name'], safe='')}"
            if objects:
                empty(cloud, path)
            try:
                _delete(cloud, "object", path)
            except Conflicting as error:
                raise NotEmpty(
                    f"bucket {container['name']} has objects in it"
                    + (" again: somebody fills it while it is emptied" if objects else ""),
                    todo="run the same command again"
                    + ("" if objects else ": the plan will show what the project holds"),
                ) from error


def empty(cloud: Cloud, bucket: str) -> None:
    """Delete every object in a bucket, by its path below the object store's endpoint."""
    while True:
        objects = cloud.get("object", f"{bucket}?format=json&limit={BATCH}")
        for item in objects:
            _delete(cloud, "object", f"{bucket}/{quote(item['name'], safe='/')}")
        if not objects:
            return


def _wait(left: Callable[[], list[dict[str, Any]]], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    pause = 0.1
    while left():
        if time.monotonic() > deadline:
            raise CloudError(f"{what} are still there after {PATIENCE} s", todo="run the same command again")
        time.sleep(pause)
        pause = min(pause * 1.5, 3.0)
