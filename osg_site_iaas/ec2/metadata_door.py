"""The metadata door: in place of Nova's behind Neutron's metadata agent, or of both, with the ids of the EC2 API.

Who asks is decided in one place (``metadata_callers``); nothing else of a request is believed.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import sqlite3
import threading
import time
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional
from urllib.parse import quote, unquote, urlsplit

from osg_site_iaas import journal
from osg_site_iaas.ec2.backend.http import Cloud, Pool, RefusedError
from osg_site_iaas.ec2.backend.kept import Networks
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.instances import Around, instance
from osg_site_iaas.ec2.metadata import (
    MAX_TOKEN_SECONDS,
    VERSIONS,
    Node,
    look_up,
    make_token,
    token_is_good,
    tree,
)
from osg_site_iaas.ec2.metadata_callers import by_agent, by_proxy, came_through_neutron
from osg_site_iaas.ec2.store import Store

LOG = logging.getLogger(__name__)
ACCESS = logging.getLogger("osg_site_iaas.ec2.metadata.access")
KEPT, KEPT_SECONDS = 2000, 10.0
OWN = ("/health", "/metrics")
KINDS = ("api", "meta-data", "user-data", "dynamic")  # what is counted by name; api is the session token
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found"}
REASONS.update({405: "Method Not Allowed", 503: "Service Unavailable"})


@dataclass(frozen=True)
class MetadataSettings:
    """``secret`` is what Neutron's agent signs with (its ``metadata_proxy_shared_secret``), and makes session tokens.

    ``behind_agent``: requests come from that agent, else from the proxies that it serves.
    """

    secret: str = field(repr=False)
    behind_agent: bool = True
    region: str = "RegionOne"
    interface: str = "public"
    require_token: bool = False
    with_tags: bool = False


class MetadataDoor:
    """A WSGI application. ``session`` is of a user who may read every server, its user data and its key.

    ``store`` holds the counters of its workers; without one there are none.
    """

    def __init__(
        self,
        settings: MetadataSettings,
        session: Any,
        pool: Optional[Pool] = None,
        store: Optional[Store] = None,
    ) -> None:
        self._settings = settings
        self._session = session
        self._store = store
        self._asked = threading.local()  # clouds and server, of the request that a thread is about
        self._pool = pool or Pool(timeout=10.0)
        self._key = hmac.new(settings.secret.encode(), b"session tokens", hashlib.sha256).digest()
        self._kept: OrderedDict[str, tuple[float, Mapping[str, Node]]] = OrderedDict()
        self._lock = threading.Lock()
        # The agent drops this header of the guest's with all others. Without an answer cloud-init would give up.
        self._unsaid = str(MAX_TOKEN_SECONDS) if settings.behind_agent else ""
        self._caller = by_agent(settings.secret) if settings.behind_agent else by_proxy(self._cloud)

    def __call__(self, environ: Mapping[str, Any], start: Any) -> Iterable[bytes]:
        path = unquote(urlsplit(str(environ.get("RAW_URI") or environ.get("PATH_INFO") or "/")).path)
        method = str(environ["REQUEST_METHOD"])
        started, request_id = time.monotonic(), f"req-{uuid.uuid4()}"
        self._asked.clouds, self._asked.server = [], ""
        token = journal.request_id.set(request_id)
        try:
            status, body, extra = self._answer(method, path, environ)
        except (Ec2Error, RefusedError) as error:
            LOG.warning("the cloud cannot be asked: %s", error)
            status, body, extra = 503, b"the cloud cannot be asked now\n", []
        except Exception:
            LOG.exception("a metadata request failed")
            status, body, extra = 503, b"an internal error has occurred\n", []
        finally:
            journal.request_id.reset(token)
        headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(body))), *extra]
        start(f"{status} {REASONS[status]}", headers)
        if path not in OWN:
            self._tell(request_id, path, status, time.monotonic() - started)
        return [body]

    def _tell(self, request_id: str, path: str, status: int, seconds: float) -> None:
        kind = next((word for word in path.split("/")[2:3] if word in KINDS), "other")
        requests = sum(one.count for one in self._asked.clouds)
        ACCESS.info(
            "%s",
            journal.line(
                time=journal.stamp(),
                request_id=request_id,
                server=self._asked.server,
                kind=kind,
                path=path[:200],
                status=status,
                ms=round(seconds * 1000, 1),
                requests=requests,
            ),
        )
        try:
            if self._store is not None:
                self._store.count(kind, str(status), seconds, requests)
        except sqlite3.Error as error:  # a full disk must not cost an answer that is there
            LOG.error("the store cannot count: %s", error)

    def _answer(
        self, method: str, path: str, environ: Mapping[str, Any]
    ) -> tuple[int, bytes, list[tuple[str, str]]]:
        if method == "GET" and path == "/health":
            return 200, b"ok\n", []
        if method == "GET" and path == "/metrics" and self._store and not came_through_neutron(environ):
            return 200, self._store.metrics("metadata", "requests of guests").encode(), []
        caller = self._caller(environ)
        if caller is None:
            return 403, b"not a request that Neutron has passed on\n", []
        server, project = caller.server, caller.project
        self._asked.server = server
        if path.rstrip("/") == "/latest/api/token":
            return self._token(method, server, environ)
        if method != "GET":
            return 405, b"", []
        token = environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN")
        if token is not None and not token_is_good(self._key, server, str(token)):
            return 401, b"the token is not valid, or has expired\n", []
        if token is None and self._settings.require_token:
            return 401, b"a session token is required: PUT /latest/api/token\n", []
        version, _, below = path.strip("/").partition("/")
        if not version:
            return 200, "\n".join(VERSIONS).encode(), []
        if version not in VERSIONS and not _is_date(version):
            return 404, b"", []
        root = self._tree(server, project)
        found = look_up(root, below) if root is not None else None
        return (404, b"", []) if found is None else (200, found, [])

    def _token(
        self, method: str, server: str, environ: Mapping[str, Any]
    ) -> tuple[int, bytes, list[tuple[str, str]]]:
        if method != "PUT":
            return 405, b"", []
        # The agent's own proxy adds one address. More of them: somebody forwards requests of others.
        if "," in str(environ.get("HTTP_X_FORWARDED_FOR") or ""):
            return 403, b"a token is not given through a proxy\n", []
        given = str(environ.get("HTTP_X_AWS_EC2_METADATA_TOKEN_TTL_SECONDS", self._unsaid))
        if (
            not given.isascii()
            or not given.isdigit()
            or not 1 <= int(given[:6]) <= MAX_TOKEN_SECONDS
            or len(given) > 6
        ):
            return 400, b"X-aws-ec2-metadata-token-ttl-seconds must be from 1 to 21600\n", []
        token = make_token(self._key, server, int(given))
        return 200, token.encode(), [("X-aws-ec2-metadata-token-ttl-seconds", given)]

    def _tree(self, server: str, project: str) -> Optional[Mapping[str, Node]]:
        with self._lock:
            found = self._kept.get(server)
        if found is not None and found[0] > time.monotonic():
            return found[1]
        made = self._read(server, project)
        if made is not None:
            with self._lock:
                self._kept[server] = (time.monotonic() + KEPT_SECONDS, made)
                while len(self._kept) > KEPT:
                    self._kept.popitem(last=False)
        return made

    def _cloud(self) -> Cloud:
        urls = {}
        for service, kind in (("compute", "compute"), ("network", "network")):
            url = self._session.get_endpoint(
                service_type=kind, interface=self._settings.interface, region_name=self._settings.region
            )
            if url:
                urls[service] = str(url).rstrip("/")
        if "network" in urls and not urls["network"].endswith("/v2.0"):
            urls["network"] += "/v2.0"
        cloud = Cloud(self._pool, self._session.get_token(), urls, journal.request_id.get())
        self._asked.clouds.append(cloud)
        return cloud

    def _read(self, key: str, project: str) -> Optional[Mapping[str, Node]]:
        cloud = self._cloud()
        try:
            server = cloud.get("compute", f"/servers/{key}")["server"]
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        if project and server.get("tenant_id") != project:
            return None  # the agent's word on the project does not fit: nobody is told anything
        account = str(server["tenant_id"])
        one = instance(server, Around(account, {}, Networks({}, {}, 0), self._public(cloud, key, account)))
        return tree(
            server,
            one,
            account,
            self._settings.region,
            self._public_key(cloud, server),
            with_tags=self._settings.with_tags,
        )

    def _public(self, cloud: Cloud, key: str, project: str) -> Mapping[str, str]:
        if not cloud.has("network"):
            return {}
        for one in cloud.pages("network", "/floatingips", "floatingips", {"project_id": project}):
            if (one.get("port_details") or {}).get("device_id") == key:
                return {key: one["floating_ip_address"]}
        return {}

    def _public_key(self, cloud: Cloud, server: Mapping[str, Any]) -> Optional[str]:
        """The key that the server was started with; it may be gone from Nova since."""
        if not server.get("key_name"):
            return None
        path = f"/os-keypairs/{quote(str(server['key_name']), safe='')}"
        try:
            found = cloud.get("compute", path, {"user_id": server["user_id"]})
        except RefusedError as error:
            if error.status == 404:
                return None
            raise
        return str(found["keypair"]["public_key"])


def _is_date(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-" and text.replace("-", "").isdigit()
