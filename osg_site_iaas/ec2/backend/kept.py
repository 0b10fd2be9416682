"""What rarely changes, kept for a short and stated time: flavours, images' ids, networks, group names, zones."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Callable, Mapping, TypeVar

from osg_site_iaas.ec2.backend.http import Cloud
from osg_site_iaas.ec2.store import Store

T = TypeVar("T")

ADDRESSES = 5.0  # seconds that floating addresses are kept: at most this, whatever the setting says
KEPT = 2000  # lists in one worker, all projects together


@dataclass(frozen=True)
class Networks:
    """The networks a project sees. ``generation`` changes whenever the content does."""

    networks: Mapping[str, Mapping[str, Any]]  # by id
    subnets: Mapping[str, Mapping[str, Any]]
    generation: int


class Lookups:
    """Lists kept by (project, kind) for so many seconds; a change made through the door is seen at once.

    One thread fetches; the others that want the same wait for it.
    """

    def __init__(self, store: Store, seconds: float) -> None:
        self._store = store
        self._seconds = seconds
        self._kept: OrderedDict[tuple[str, str], tuple[float, int, Any]] = OrderedDict()
        self._locks: dict[tuple[str, str], threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, cloud: Cloud, project: str, kind: str, fetch: Callable[[], T], *, older: float = 0.0) -> T:
        """The kept list of this kind, or what ``fetch`` gives; a fetch that fails keeps nothing.

        ``older``: how much longer than usual it may have been kept. The call is told where it was answered from
        memory: see ``Cloud.recalled``.
        """
        key = (project, kind)
        version = self._store.version(project, kind)
        with self._lock:
            found = self._kept.get(key)
            if found is not None and found[0] + older > time.monotonic() and found[1] == version:
                cloud.recalled.add(kind)
                return found[2]  # type: ignore[no-any-return]
            if len(self._locks) > KEPT:
                self._locks.clear()
            single = self._locks.setdefault(key, threading.Lock())
        with single:
            with self._lock:
                found = self._kept.get(key)
                if found is not None and found[0] + older > time.monotonic() and found[1] == version:
                    return found[2]  # type: ignore[no-any-return]
            value = fetch()
            seconds = min(self._seconds, ADDRESSES) if kind == "addresses" else self._seconds
            with self._lock:
                self._kept[key] = (time.monotonic() + seconds, version, value)
                self._kept.move_to_end(key)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
            return value

    def forget(self, project: str, kind: str) -> None:
        """Read this list anew the next time: it was changed through the door, or did not hold what it should."""
        self._store.bump(project, kind)

    def flavours(self, cloud: Cloud, project: str, *, older: float = 0.0) -> Mapping[str, Mapping[str, Any]]:
        """The flavours that the project may use, by name."""

        def fetch() -> Mapping[str, Mapping[str, Any]]:
            listed = cloud.pages("compute", "/flavors/detail", "flavors", {"limit": 1000})
            return {one["name"]: one for one in listed}

        return self.get(cloud, project, "flavours", fetch, older=older)

    def networks(self, cloud: Cloud, project: str, *, older: float = 0.0) -> Networks:
        """The networks and subnets that the project sees; empty where the cloud has no network service."""

        def fetch() -> Networks:
            if not cloud.has("network"):
                return Networks({}, {}, 0)
            listed = cloud.gather(
                lambda: list(cloud.pages("network", "/networks", "networks")),
                lambda: list(cloud.pages("network", "/subnets", "subnets")),
            )
            networks = {one["id"]: one for one in listed[0]}
            subnets = {one["id"]: one for one in listed[1]}
            names = [(one["id"], one["name"]) for one in networks.values()]
            cidrs = [(one["id"], one["cidr"], one["network_id"]) for one in subnets.values()]
            return Networks(networks, subnets, hash((tuple(sorted(names)), tuple(sorted(cidrs)))))

        return self.get(cloud, project, "networks", fetch, older=older)

    def groups(self, cloud: Cloud, project: str, *, older: float = 0.0) -> Mapping[str, str]:
        """Security group name → id, of the project's own; of two with one name, the lower id."""

        def fetch() -> Mapping[str, str]:
            if not cloud.has("network"):
                return {}
            query = {"fields": ["id", "name"], "project_id": project}
            listed = sorted(
                cloud.pages("network", "/security-groups", "security_groups", query),
                key=lambda one: one["id"],
            )
            return {one["name"]: one["id"] for one in reversed(listed)}

        return self.get(cloud, project, "groups", fetch, older=older)

    def addresses(self, cloud: Cloud, project: str) -> Mapping[str, str]:
        """Server id → floating address, as Neutron has it: Nova learns of a new one late, or not at all."""

        def fetch() -> Mapping[str, str]:
            if not cloud.has("network"):
                return {}
            listed = cloud.pages("network", "/floatingips", "floatingips", {"project_id": project})
            return {
                (one.get("port_details") or {}).get("device_id") or "": one["floating_ip_address"]
                for one in sorted(listed, key=lambda one: str(one["id"]))
                if one.get("port_id")
            }

        return self.get(cloud, project, "addresses", fetch)

    def zones(self, cloud: Cloud, project: str) -> list[Mapping[str, Any]]:
        """The availability zones for servers, as Nova lists them."""
        return self.get(
            cloud,
            project,
            "zones",
            lambda: list(cloud.get("compute", "/os-availability-zone")["availabilityZoneInfo"]),
        )
