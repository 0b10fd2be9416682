"""Requests to OpenStack in the name of one user: pooled, timed, counted, and their failures told apart."""

from __future__ import annotations

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Callable, Iterator, Mapping, Optional, Sequence, TypeVar

import requests
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from osg_site_iaas.ec2.errors import Ec2Error, combination, internal, throttled, unauthorized, unavailable

T = TypeVar("T")

COMPUTE_MICROVERSION = "2.92"  # Zed's; key pairs are imported only, and a server's flavour is embedded
VOLUME_MICROVERSION = "3.59"
PAGE = 1000  # Nova clamps to it by default

# catalog types by our name of a service, best first
TYPES = {
    "compute": ("compute",),
    "network": ("network",),
    "image": ("image",),
    "volume": ("block-storage", "volumev3", "block-store"),
    "identity": ("identity",),
}


class RefusedError(Exception):
    """OpenStack answered 3xx or 4xx. Actions turn what they expect into EC2's errors, ``translate`` the rest."""

    def __init__(self, service: str, status: int, message: str) -> None:
        super().__init__(f"{service} {status}: {message}")
        self.service = service
        self.status = status
        self.message = message


def translate(error: RefusedError) -> Ec2Error:
    """The EC2 error for a refusal that no action expected."""
    text = error.message
    lower = text.lower()
    if error.status in (429, 413) and "quota" not in lower:
        return throttled(f"The {error.service} service limits the rate of requests.")
    if "quota" in lower or "maximum number of" in lower:
        return quota_error(error)
    if error.status == 401:
        return unavailable(error.service, "it did not accept a token that Keystone has just given")
    if error.status == 403:
        return unauthorized(f"You are not authorized to perform this operation: {text}")
    if error.status == 404:
        return Ec2Error("InvalidParameterValue", f"The {error.service} service knows no such thing: {text}")
    if error.status == 409:
        return Ec2Error("IncorrectState", text)
    return combination(text) if error.status == 400 else internal(text)


def quota_error(error: RefusedError) -> Ec2Error:
    """EC2's limit errors, by the resource that a quota message names."""
    lower = error.message.lower()
    for word, code in (
        ("key pair", "KeyPairLimitExceeded"),
        ("keypair", "KeyPairLimitExceeded"),
        ("metadata", "TagLimitExceeded"),
        ("security_group_rule", "RulesPerSecurityGroupLimitExceeded"),
        ("security_group", "SecurityGroupLimitExceeded"),
        ("floating", "AddressLimitExceeded"),
        ("snapshot", "SnapshotLimitExceeded"),
        ("volume", "VolumeLimitExceeded"),
        ("gigabytes", "VolumeLimitExceeded"),
        ("cores", "VcpuLimitExceeded"),
    ):
        if word in lower:
            return Ec2Error(code, error.message)
    return Ec2Error("InstanceLimitExceeded", error.message)


def _message(response: requests.Response) -> str:
    """The sentence in an OpenStack error, of whichever service; Glance writes HTML into it."""
    return " ".join(re.sub(r"<[^>]{1,40}>", " ", _said(response)).split())


def _said(response: requests.Response) -> str:
    try:
        body = response.json()
    except ValueError:
        return response.reason or f"status {response.status_code}"
    if isinstance(body, Mapping):
        for value in body.values():
            if isinstance(value, Mapping) and "message" in value:
                return str(value["message"])
            if isinstance(value, str):
                return value
    return response.reason or f"status {response.status_code}"


class Pool:
    """The connections of one worker process, shared by its threads."""

    def __init__(self, *, timeout: float = 50.0, verify: Any = True, size: int = 32) -> None:
        self.timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy, no netrc: the services are the site's own
        self.session.verify = verify
        retry = Retry(total=2, connect=2, read=1, status=0, redirect=0, allowed_methods=["GET"])
        adapter = HTTPAdapter(pool_connections=8, pool_maxsize=size, max_retries=retry)
        self.session.mount("http://", adapter)
        self.session.mount("https://", adapter)
        self.threads = ThreadPoolExecutor(max_workers=size, thread_name_prefix="backend")


def endpoints(catalog: Sequence[Mapping[str, Any]], interface: str, region: Optional[str]) -> dict[str, str]:
    """Our service name → URL, from a token's catalog."""
    found: dict[str, str] = {}
    for service, types in TYPES.items():
        for wanted in reversed(types):
            for entry in catalog:
                if entry.get("type") != wanted:
                    continue
                for endpoint in entry.get("endpoints", ()):
                    if endpoint.get("interface") == interface and region in (None, endpoint.get("region")):
                        found[service] = _versioned(service, str(endpoint["url"]).rstrip("/"))
    return found


def _versioned(service: str, url: str) -> str:
    if service == "network" and not url.endswith("/v2.0"):
        return f"{url}/v2.0"
    if service == "image" and not url.endswith("/v2"):
        return f"{url}/v2"
    return url


@dataclass
class Cloud:
    """OpenStack for the length of one EC2 call, in the user's name; ``count`` requests were made so far.

    ``recalled`` names the lists that were not asked for, because they are kept from an earlier call.
    """

    pool: Pool
    token: str = field(repr=False)
    urls: Mapping[str, str]
    request_id: str
    count: int = 0
    seconds: float = 0.0  # of waiting for answers, those at the same time added up
    log: list[str] = field(default_factory=list)
    recalled: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def has(self, service: str) -> bool:
        return service in self.urls

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        params: Optional[Mapping[str, Any]] = None,
        body: Any = None,
        data: Any = None,
        headers: Optional[Mapping[str, str]] = None,
        microversion: Optional[str] = None,
    ) -> requests.Response:
        """The answer with status below 400; RefusedError for a refusal; an Ec2Error where there is none."""
        if service not in self.urls:
            raise Ec2Error("UnsupportedOperation", f"This cloud has no {service} service.")
        url = path if path.startswith("http") else self.urls[service] + path
        sent = {"X-Auth-Token": self.token, "X-OpenStack-Request-ID": self.request_id, **(headers or {})}
        sent.setdefault("Accept", "application/json")
        if service == "compute":
            sent["OpenStack-API-Version"] = f"compute {microversion or COMPUTE_MICROVERSION}"
        elif service == "volume":
            sent["OpenStack-API-Version"] = f"volume {microversion or VOLUME_MICROVERSION}"
        if body is not None:
            data = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        with self._lock:
            self.count += 1
            self.log.append(f"{method} {service} {path}")
        started = time.monotonic()
        try:
            response = self.pool.session.request(
                method, url, params=params, data=data, headers=sent, timeout=(4, self.pool.timeout)
            )
        except requests.Timeout as error:
            raise unavailable(service, "it did not answer in time") from error
        except requests.RequestException as error:
            raise unavailable(service, "it cannot be reached") from error
        finally:
            with self._lock:
                self.seconds += time.monotonic() - started
        if response.status_code >= 500:
            raise unavailable(service, f"it answered {response.status_code}")
        if response.status_code >= 300:
            raise RefusedError(service, response.status_code, _message(response))
        return response

    def json(self, method: str, service: str, path: str, **options: Any) -> Any:
        """The decoded body; None where there is none."""
        response = self.request(method, service, path, **options)
        if not response.content:
            return None
        try:
            return response.json()
        except ValueError as error:
            raise unavailable(service, "it answered with something that is not JSON") from error

    def get(self, service: str, path: str, params: Optional[Mapping[str, Any]] = None, **options: Any) -> Any:
        return self.json("GET", service, path, params=params, **options)

    def pages(
        self, service: str, path: str, key: str, params: Optional[Mapping[str, Any]] = None
    ) -> Iterator[dict[str, Any]]:
        """Every element of a list; a page that fails fails the whole, so that no list is ever short."""
        answer = self.get(service, path, params)
        while True:
            if not isinstance(answer, Mapping) or not isinstance(answer.get(key), list):
                raise unavailable(service, f"its answer holds no list of {key}")
            yield from answer[key]
            following = answer.get("next")
            for link in answer.get(f"{key}_links", ()):
                if link.get("rel") == "next":
                    following = link["href"]
            if not following:
                return
            answer = self.get(service, self._next(service, str(following)))

    def _next(self, service: str, link: str) -> str:
        """A next link on our own endpoint: services behind a proxy name themselves otherwise."""
        path, _, query = link.partition("?")
        own = self.urls[service]
        tail = path.rsplit("/", 1)[-1]
        if path.endswith("/detail"):
            tail = "/".join(path.rsplit("/", 2)[-2:])
        return f"{own}/{tail}?{query}"

    def gather(self, *work: Callable[[], Any]) -> list[Any]:
        """The results of several reads made at once, in order; the first failure is raised."""
        if len(work) < 2:
            return [step() for step in work]
        futures = [self.pool.threads.submit(step) for step in work[1:]]
        first = work[0]()
        return [first, *(future.result() for future in futures)]
