"""Reads servers and their actions through Nova's API, in as few requests as they allow."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Iterator, Mapping, NamedTuple, Optional, Sequence

from osg_site_iaas.accounting.model import Action, Place, Sighting, Size, State, epoch, iso
from osg_site_iaas.accounting.observed import Seen
from osg_site_iaas.cloud.connect import Cloud, Forbidden, Missing
from osg_site_iaas.errors import AccountingError

PAGE = 1000  # the most that Nova gives at a time
SERVERS = "2.47"  # the first to show flavours as they were when the server got them; later ones cost more
ACTIONS = "2.58"  # the first to tell when an action last did something

STATES: Mapping[str, Optional[State]] = {
    "active": State.ACTIVE,
    "building": State.BUILDING,
    "paused": State.PAUSED,
    "suspended": State.SUSPENDED,
    "stopped": State.STOPPED,
    "rescued": State.RESCUED,
    "shelved": State.SHELVED,
    "shelved_offloaded": State.OFFLOADED,
    "soft-delete": State.SOFT_DELETED,
    "error": State.ERROR,
    "resized": None,
    "deleted": None,
}
# tasks that end without a change of state, or that no action stands for
CALM = re.compile("image_|updating_password|shelving_offloading")
_GPU = re.compile(r"resources\d*:(?:VGPU|PGPU|CUSTOM_\w*GPU\w*)")


class Page(NamedTuple):
    """Servers of one answer, and when it was given, by Nova's clock."""

    servers: list[Seen]
    read_at: int


class NovaApi:
    """Nova behind a session. ``now`` serves where an answer has no date; ``workers`` requests go at a time."""

    def __init__(self, cloud: Cloud, now: datetime, *, workers: int = 4) -> None:
        self._workers = workers
        self._cloud = cloud
        self._now = epoch(now)

    @property
    def requests(self) -> int:
        """How many requests were made."""
        return sum(self._cloud.requests.values())

    def changed(self, since: int) -> Iterator[Page]:
        """Every server, deleted ones too, whose row has changed since a time; 0 for all there are."""
        for servers, read_at in self._pages(f"/servers/detail?all_tenants=1&changes-since={iso(since)}"):
            yield Page([seen(item) for item in servers], read_at)

    def existing(self) -> Iterator[tuple[set[str], int]]:
        """The ids of all servers that are not deleted, page by page."""
        for servers, read_at in self._pages("/servers?all_tenants=1"):
            yield {item["id"] for item in servers}, read_at

    def find(self, uuid: str) -> Optional[Seen]:
        """A server, deleted ones too; None if Nova knows nothing of it any more."""
        try:
            return seen(self._cloud.get("compute", f"/servers/{uuid}", version=SERVERS)["server"])
        except Missing:  # asked in this order, one that is being deleted just now cannot slip through
            query = f"/servers/detail?all_tenants=1&deleted=true&uuid={uuid}"
            deleted = self._cloud.get("compute", query, version=SERVERS)["servers"]
            return seen(deleted[0]) if deleted else None

    def actions(self, wanted: Sequence[tuple[str, int]]) -> list[Optional[Sequence[Action]]]:
        """The actions of servers that changed since a time, deleted servers' too; None for a forgotten server."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="actions") as pool:
            return list(pool.map(lambda one: self._actions(*one), wanted))

    def _actions(self, uuid: str, since: int) -> Optional[Sequence[Action]]:
        start = f"?changes-since={iso(since)}" if since else "?"
        found: list[Action] = []
        marker = ""
        while True:
            path = f"/servers/{uuid}/os-instance-actions{start}{marker}"
            try:
                answer = self._cloud.get("compute", path.rstrip("?"), version=ACTIONS)
            except Missing:
                return None
            except Forbidden as error:
                raise AccountingError(
                    f"Nova does not let this login read instance actions: {error.what}",
                    todo="give its user the admin role, or what os_compute_api:os-instance-actions:list needs",
                ) from error
            items = answer["instanceActions"]
            found.extend(action(item, -len(found) - number) for number, item in enumerate(items))
            if not any(link["rel"] == "next" for link in answer.get("links", ())):
                return found
            marker = f"&marker={answer['instanceActions'][-1]['request_id']}"

    def _pages(self, path: str) -> Iterator[tuple[list[dict[str, Any]], int]]:
        marker = ""
        while True:
            answer = self._cloud.request("GET", "compute", f"{path}&limit={PAGE}{marker}", version=SERVERS)
            body = answer.json()
            servers = body["servers"]
            yield servers, answered_at(answer, self._now)
            if not any(link["rel"] == "next" for link in body.get("servers_links", ())):
                return
            marker = f"&marker={servers[-1]['id']}"


def seen(item: Mapping[str, Any]) -> Seen:
    """A server of Nova's detailed list. Raises AccountingError for a state that is not known."""
    vm_state = item["OS-EXT-STS:vm_state"]
    state = known_state(item["id"], vm_state)
    task = item.get("OS-EXT-STS:task_state") or ""
    updated = instant(item["updated"])
    ended = None
    if vm_state == "deleted" or item["status"] == "DELETED":
        ended = instant(item.get("OS-SRV-USG:terminated_at") or item["updated"])
    launched = item.get("OS-SRV-USG:launched_at")
    image = item.get("image") or {}
    return Seen(
        uuid=item["id"],
        project=item["tenant_id"],
        user=item["user_id"],
        name=item["name"],
        image=image.get("id", "") if isinstance(image, dict) else "",
        created=instant(item["created"]),
        sighting=Sighting(
            at=updated,
            state=state if ended is None else None,
            size=size(item["flavor"]),
            busy=bool(task) and not CALM.match(task) and ended is None,
            place=Place(
                host=item.get("OS-EXT-SRV-ATTR:host") or "",
                public_ips=sum(
                    address.get("OS-EXT-IPS:type") == "floating"
                    for addresses in item.get("addresses", {}).values()
                    for address in addresses
                ),
                volumes=len(item.get("os-extended-volumes:volumes_attached", ())),
            ),
        ),
        launched=instant(launched) if launched else None,
        ended=ended,
    )


def known_state(uuid: str, vm_state: str) -> Optional[State]:
    """What one of Nova's states is here; None for those that say nothing of whether the server runs."""
    if vm_state not in STATES:
        raise AccountingError(
            f"server {uuid} is in state {vm_state!r}, which this program does not know",
            todo="is there a later release? Nothing is lost until then",
        )
    return STATES[vm_state]


def size(flavor: Mapping[str, Any]) -> Size:
    """A flavour as it is embedded in a server."""
    return Size(
        flavour=flavor["original_name"],
        vcpus=int(flavor["vcpus"]),
        memory=int(flavor["ram"]),
        disk=int(flavor["disk"]) + int(flavor.get("ephemeral") or 0),
        gpus=gpus(flavor.get("extra_specs") or {}),
    )


def gpus(extra_specs: Mapping[str, Any]) -> int:
    """How many GPUs a flavour has: as placement resources, or as PCI aliases with gpu in their name."""
    total = sum(int(value) for name, value in extra_specs.items() if _GPU.fullmatch(name))
    for alias in str(extra_specs.get("pci_passthrough:alias", "")).split(","):
        name, _, count = alias.strip().partition(":")
        if "gpu" in name.lower():
            total += int(count or 1)
    return total


def action(item: Mapping[str, Any], rank: int = 0) -> Action:
    """An instance action of Nova's list, which begins with the latest."""
    start = instant(item["start_time"])
    return Action(
        start=start,
        finish=instant(item["updated_at"]) if item.get("updated_at") else start,
        name=item["action"],
        request=item["request_id"],
        failed=item.get("message") == "Error",
        rank=rank,
    )


def instant(text: str) -> int:
    """A time as OpenStack writes it, which is UTC with or without saying so; rounded down to a second."""
    return epoch(datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc))


def answered_at(answer: Any, otherwise: int) -> int:
    """When Nova gave an answer, by its own clock; where the answer does not say, ``otherwise``."""
    header = answer.headers.get("Date")
    try:
        return epoch(parsedate_to_datetime(header)) if header else otherwise
    except (ValueError, TypeError):
        return otherwise
