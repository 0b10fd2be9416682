"""A project's servers, kept and brought up to date by asking Nova only for what has changed.

Nova's whole list costs milliseconds a server; ``changes-since`` with nothing changed costs the same for any number.
It sees changes of the server's own row. What it cannot see is found by the list that is read whole every
``full_seconds``, and at once where the change was made through the door.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.ec2.backend.http import PAGE, Cloud, RefusedError
from osg_site_iaas.ec2.errors import Ec2Error, unavailable
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.protocol.write import Fragment, Writer
from osg_site_iaas.ec2.states import failed_launch
from osg_site_iaas.ec2.store import Store

LOG = logging.getLogger(__name__)

OVERLAP = 30  # seconds that windows overlap: the clocks of Nova's hosts may differ by this
MAX_SERVERS = 40_000  # kept by one worker, all projects together
SINGLY = 20  # servers read one by one; more are read as a list

Document = dict[str, Any]

# What an answer is built of; the rest of Nova's document is not kept.
FIELDS = (
    "id",
    "name",
    "status",
    "created",
    "updated",
    "metadata",
    "image",
    "flavor",
    "key_name",
    "addresses",
    "security_groups",
    "user_id",
    "tags",
    "fault",
    "config_drive",
    "locked",
    "OS-EXT-STS:task_state",
    "OS-EXT-STS:power_state",
    "OS-EXT-STS:vm_state",
    "OS-EXT-AZ:availability_zone",
    "OS-SRV-USG:launched_at",
    "OS-SRV-USG:terminated_at",
    "os-extended-volumes:volumes_attached",
    "OS-EXT-SRV-ATTR:hostname",
    "OS-EXT-SRV-ATTR:root_device_name",
)


def trim(server: Mapping[str, Any]) -> Document:
    return {name: server[name] for name in FIELDS if name in server}


@dataclass
class View:
    """What one worker knows of a project's servers. ``seen`` is Nova's clock, the other times are monotonic."""

    servers: dict[str, Document] = field(default_factory=dict)
    rendered: dict[str, Any] = field(default_factory=dict)
    seen: Optional[datetime] = None
    at: float = float("-inf")
    whole_at: float = float("-inf")
    number: int = 0  # of the last change through the door that is in
    refreshing: bool = False
    failure: Optional[tuple[float, Exception]] = None  # when the last reading failed, and how
    lock: threading.Lock = field(default_factory=threading.Lock)


def _clock(response: Any) -> datetime:
    """The service's own time, from its answer; ours where it does not say."""
    try:
        moment = parsedate_to_datetime(response.headers["Date"])
    except (KeyError, TypeError, ValueError):
        return datetime.now(timezone.utc)
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)


class Views:
    """The views of one worker, by project and roles: what a role may not list is not answered from another's."""

    def __init__(self, store: Store, *, fresh_seconds: float, full_seconds: float) -> None:
        self._store = store
        self._fresh = fresh_seconds
        self._full = full_seconds
        self._views: OrderedDict[tuple[str, tuple[str, ...]], View] = OrderedDict()
        self._lock = threading.Lock()

    def _view(self, project: str, roles: tuple[str, ...]) -> View:
        with self._lock:
            view = self._views.setdefault((project, roles), View())
            self._views.move_to_end((project, roles))
            held = sum(len(one.servers) for one in self._views.values())
            while held > MAX_SERVERS and len(self._views) > 1:
                _, dropped = self._views.popitem(last=False)
                held -= len(dropped.servers)
            return view

    def is_loaded(self, project: str, roles: tuple[str, ...]) -> bool:
        """Whether a list is kept, however old."""
        with self._lock:
            view = self._views.get((project, roles))
        return view is not None and view.seen is not None

    def is_fresh(self, project: str, roles: tuple[str, ...]) -> bool:
        """Whether the view can be answered from without a request."""
        with self._lock:
            view = self._views.get((project, roles))
        if view is None or time.monotonic() - view.at > self._fresh:
            return False
        return not self._store.changes(project, view.number)[1]

    def rendered(self, project: str, roles: tuple[str, ...]) -> dict[str, Any]:
        """What was made of the servers for earlier answers, kept as long as the servers are."""
        return self._view(project, roles).rendered

    def fragment(self, writer: Writer, one: dict[str, Any]) -> Fragment:
        """The XML of a described instance, kept with it."""
        found = one.get("")
        if not isinstance(found, Fragment):
            shown = {key: value for key, value in one.items() if key not in ("ReservationId", "OwnerId", "")}
            found = one[""] = writer.fragment("Instance", shown)
        return found

    def all(self, cloud: Cloud, project: str, roles: tuple[str, ...]) -> dict[str, Document]:
        """Every server, up to date. Whatever fails in that raises: no old or short list is passed on."""
        view, asked = self._view(project, roles), time.monotonic()
        with view.lock:
            if view.failure is not None and view.failure[0] > asked:
                # Nova was asked while this request waited: asking again would hold the next one for as long.
                raise view.failure[1]
            try:
                return self._refreshed(cloud, project, view)
            except (Ec2Error, RefusedError) as error:
                view.failure = (time.monotonic(), error)
                raise

    def _refreshed(self, cloud: Cloud, project: str, view: View) -> dict[str, Document]:
        newest, changed = self._store.changes(project, view.number)
        now = time.monotonic()
        if view.seen is None or now - view.whole_at > 2 * self._full:
            self._read_whole(cloud, project, view)
        elif changed or now - view.at > self._fresh:
            self._read_changes(cloud, project, view, changed)
            if now - view.whole_at > self._full and not view.refreshing:
                view.refreshing = True
                cloud.pool.threads.submit(self._behind, cloud, project, view)
        view.number = newest
        return dict(view.servers)

    def _behind(self, cloud: Cloud, project: str, view: View) -> None:
        try:
            with view.lock:
                self._read_whole(cloud, project, view)
        except (Ec2Error, RefusedError) as error:
            LOG.warning("the whole list could not be read in the background: %s", error)
        finally:
            view.refreshing = False

    def _read_whole(self, cloud: Cloud, project: str, view: View) -> None:
        started = time.monotonic()
        response = cloud.request("GET", "compute", "/servers/detail", params={"limit": PAGE})
        seen = _clock(response) - timedelta(seconds=time.monotonic() - started)
        servers: dict[str, Document] = {}
        answer = response.json()
        for server in self._rest(cloud, answer):
            servers[server["id"]] = self._complete(server, view)
        self._bury(project, {key: one for key, one in view.servers.items() if key not in servers})
        self._store.remember(project, {ec2_id("i", key): key for key in servers if key not in view.servers})
        view.servers = servers
        view.rendered = {key: one for key, one in view.rendered.items() if key in servers}
        view.seen, view.at, view.whole_at = seen, started, started

    def _rest(self, cloud: Cloud, answer: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
        while True:
            yield from answer["servers"]
            following = [link["href"] for link in answer.get("servers_links", ()) if link["rel"] == "next"]
            if not following:
                return
            answer = cloud.get("compute", f"/servers/detail?{following[0].partition('?')[2]}")

    def _complete(self, server: Mapping[str, Any], view: View) -> Document:
        """The document to keep. Nova lists servers of a cell that is down with next to nothing in them."""
        if "flavor" in server and "metadata" in server:
            return trim(server)
        kept = view.servers.get(server["id"])
        if kept is None:
            raise unavailable("compute", "a part of it is down, and the list of servers would not be whole")
        return kept

    def _read_changes(self, cloud: Cloud, project: str, view: View, changed: list[str]) -> None:
        if view.seen is None or len(changed) > SINGLY * 10:
            self._read_whole(cloud, project, view)
            return
        started = time.monotonic()
        since = f"{view.seen - timedelta(seconds=OVERLAP):%Y-%m-%dT%H:%M:%SZ}"
        response = cloud.request(
            "GET", "compute", "/servers/detail", params={"changes-since": since, "limit": PAGE}
        )
        seen = _clock(response) - timedelta(seconds=time.monotonic() - started)
        updates, ended = {}, {}
        for server in self._rest(cloud, response.json()):
            if server.get("status") == "DELETED":
                ended[server["id"]] = trim(server)
            else:
                updates[server["id"]] = self._complete(server, view)
        missing = [server for server in changed if server not in updates and server not in ended]
        if len(missing) > SINGLY:
            self._read_whole(cloud, project, view)
            return
        for key, document in zip(missing, cloud.gather(*(self._reader(cloud, key) for key in missing))):
            if document is None:
                ended[key] = view.servers.get(key, {})
            else:
                updates[key] = document
        self._bury(project, {key: {**one, **view.servers.get(key, {})} for key, one in ended.items()})
        for key in ended:
            view.servers.pop(key, None)
            view.rendered.pop(key, None)
        self._store.remember(project, {ec2_id("i", key): key for key in updates if key not in view.servers})
        for key, document in updates.items():
            if view.servers.get(key) != document:
                view.servers[key] = document
                view.rendered.pop(key, None)
        view.seen, view.at = max(seen, view.seen), started

    @staticmethod
    def _reader(cloud: Cloud, server: str) -> Any:
        def read() -> Optional[Document]:
            try:
                return trim(cloud.get("compute", f"/servers/{server}")["server"])
            except RefusedError as error:
                if error.status == 404:
                    return None
                raise

        return read

    def _bury(self, project: str, ended: Mapping[str, Document]) -> None:
        kept = {key: {**one, "status": "DELETED"} for key, one in ended.items() if one}
        if kept:
            self._store.bury(project, kept)

    def one(self, cloud: Cloud, server: str) -> Optional[Document]:
        """One server, asked of Nova now; None where there is none."""
        found: Optional[Document] = self._reader(cloud, server)()
        return found

    def delete_failed(self, cloud: Cloud, project: str, servers: Iterable[Document]) -> None:
        """Delete what could not be launched: it is reported as terminated, so it must hold no quota."""
        for server in servers:
            if not failed_launch(server) or server.get("OS-EXT-STS:task_state") == "deleting":
                continue
            try:
                cloud.request("DELETE", "compute", f"/servers/{server['id']}")
            except (RefusedError, Ec2Error) as error:
                LOG.warning("server %s failed to launch and cannot be deleted yet: %s", server["id"], error)
                continue
            self._store.bury(project, {server["id"]: server})
            self._store.change(project, [server["id"]])
