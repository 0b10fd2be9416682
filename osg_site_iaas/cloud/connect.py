"""One authenticated session to an OpenStack, and plain requests through it.

Requests are made directly rather than through openstacksdk's resource classes: building those costs more client
time than most services need to answer, and a reconciler wants the JSON as it is.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import Counter
from typing import Any, Mapping, Optional, Sequence

from keystoneauth1 import exceptions as ksa
from keystoneauth1 import session as ksa_session
from openstack import config as os_config
from openstack import exceptions as os_exceptions

from osg_site_iaas import __version__
from osg_site_iaas.cloud import logins
from osg_site_iaas.cloud.silence import why_silent
from osg_site_iaas.errors import CloudError

log = logging.getLogger(__name__)

# service -> (service types in catalogues, old ones included; path of its API's root; how to ask for a microversion)
SERVICES: Mapping[str, tuple[Sequence[str], str, str]] = {
    "identity": (("identity",), "/v3", ""),
    "compute": (("compute",), "/v2.1", "compute"),
    "network": (("network",), "/v2.0", ""),
    "image": (("image",), "/v2", ""),
    "volume": (("block-storage", "volumev3", "block-store", "volume"), "/v3", "volume"),
    "object": (("object-store",), "", ""),
    "placement": (("placement",), "", "placement"),
}
_ACCOUNT = re.compile(
    r"/([A-Za-z0-9]*_)?[0-9a-f]{32}$"
)  # a Swift account: the reseller's prefix, and a project
_VERSION = re.compile(r"/v\d+(\.\d+)?(/|$)")
TIMEOUT = 60  # seconds for one answer
ATTEMPTS = 4  # of one request that met a busy service or none at all
BUSY = (429, 502, 503, 504)
LONGEST_PAUSE = 30.0  # seconds between two attempts, whatever the service asks for


class Missing(CloudError):
    """The object asked for does not exist (404)."""


class Forbidden(CloudError):
    """The login lacks a role for this (403)."""


class Conflicting(CloudError):
    """The service refuses since something else is in the way (409)."""


class Cloud:
    """A session to one region of one cloud. Safe to share between threads. Counts its requests by service."""

    def __init__(
        self,
        session: ksa_session.Session,
        *,
        name: str,
        region: str,
        interface: str,
        endpoints: Optional[Mapping[str, str]] = None,
    ) -> None:
        self.session = session
        self.name = name
        self.region = region
        self.interface = interface
        self.attempts = ATTEMPTS  # 1 for who would rather know that it does not answer
        self.requests: Counter[str] = Counter()
        self._overrides = dict(endpoints or {})
        self._endpoints: dict[str, Optional[str]] = {}
        self._account_prefix = "AUTH_"
        self._lock = threading.Lock()

    def login(self) -> Mapping[str, Any]:
        """Authenticate once; what Keystone says of the token (user, project, roles, methods), without the token."""
        try:
            access = self.session.auth.get_access(self.session)
        except ksa.Unauthorized as error:
            raise CloudError(
                f"Keystone refuses the login of clouds.yaml entry {self.name!r}",
                todo="check the user, the password and the project in that entry",
            ) from error
        except (ksa.ClientException, OSError) as error:
            raise CloudError(
                f"cannot log in to cloud {self.name!r}: {_words(error)}",
                todo=f"check auth_url in clouds.yaml ({self._auth_url()}), and that Keystone answers there",
            ) from error
        data: Mapping[str, Any] = access._data["token"]
        return data

    def _auth_url(self) -> str:
        return str(getattr(self.session.auth, "auth_url", "none"))

    def has(self, service: str) -> bool:
        """Whether the catalogue has the service in this region."""
        return self._endpoint(service) is not None

    def endpoint(self, service: str) -> str:
        """The service's URL, up to and with its version, without a slash at the end."""
        url = self._endpoint(service)
        if url is None:
            raise CloudError(
                f"no {SERVICES[service][0][0]} service in the catalogue of cloud {self.name!r} "
                f"(region {self.region}, interface {self.interface})",
                todo="check site.region and cloud.endpoint_type in site.yml, and `openstack catalog list`",
            )
        return url

    def account(self, project: str) -> str:
        """The path of a project's account below the object store's endpoint."""
        self.endpoint("object")
        return f"/{self._account_prefix}{project}"

    def request(
        self,
        method: str,
        service: str,
        path: str,
        *,
        version: Optional[str] = None,
        ok: Sequence[int] = (200, 201, 202, 203, 204),
        hidden: Optional[Sequence[str]] = None,
        **arguments: Any,
    ) -> Any:
        """One request; the ``requests`` response if its status is in ``ok``.

        ``version`` is a microversion. With ``hidden`` neither the request nor its answer is ever logged, and these
        words in it are in no error. Raises Missing, Forbidden, Conflicting or CloudError in the service's words.
        """
        headers = dict(arguments.pop("headers", None) or {})
        if version:
            headers["OpenStack-API-Version"] = f"{SERVICES[service][2]} {version}"
        if hidden is not None:
            arguments["log"] = False
        url = self.endpoint(service) + path
        answer = self._send(service, method, path, url, headers=headers, raise_exc=False, **arguments)
        if answer.status_code in ok:
            return answer
        raise self._refusal(service, method, path, answer, hidden or ())

    def _send(self, service: str, method: str, path: str, url: str, **arguments: Any) -> Any:
        """The answer, after some patience where the same request may be sent again."""
        stream = "data" in arguments
        if stream:  # it cannot be sent twice, and a new login would do that
            arguments["allow_reauth"] = False
        for attempt in range(1, self.attempts + 1):
            self.requests[service] += 1
            try:
                answer = self.session.request(url, method, **arguments)
            except (ksa.ClientException, OSError) as error:
                lost = isinstance(error, ksa.RetriableConnectionFailure)
                # a POST of which nothing is known may have made something: the next plan will tell
                again = lost and not stream and (method != "POST" or _never_sent(error))
                if not again or attempt == self.attempts:
                    raise CloudError(
                        f"{service}: {method} {path}: {_words(error)}",
                        todo=f"check that {url.split('?')[0]} answers, then run the same command again",
                    ) from error
                pause, why = 0.0, "no connection"
            else:
                again = answer.status_code in BUSY and not stream
                if method == "POST" and answer.status_code != 429:
                    again = False
                if not again or attempt == self.attempts:
                    return answer
                asked = str(answer.headers.get("Retry-After", ""))
                pause, why = float(asked) if asked.isdigit() else 0.0, str(answer.status_code)
            pause = min(pause or 0.5 * 2 ** (attempt - 1), LONGEST_PAUSE)
            log.info("%s: %s %s: %s, once more in %.1f s", service, method, path, why, pause)
            time.sleep(pause)
        raise AssertionError("unreachable")

    def get(self, service: str, path: str, **arguments: Any) -> Any:
        """The JSON that a GET answers."""
        answer = self.request("GET", service, path, **arguments)
        try:
            return answer.json()
        except ValueError as error:
            raise CloudError(
                f"{service}: GET {path} did not answer JSON", todo="is the endpoint in the catalogue right?"
            ) from error

    def _endpoint(self, service: str) -> Optional[str]:
        with self._lock:
            if service in self._endpoints:
                return self._endpoints[service]
        types, version, _ = SERVICES[service]
        self.login()
        catalog = self.session.auth.get_access(self.session).service_catalog
        url = self._overrides.get(service)
        for service_type in types if url is None else ():
            # discovery would cost a request a service; catalogue and version path say the same
            found = catalog.get_endpoint_data_list(
                service_type=service_type, interface=self.interface, region_name=self.region
            )
            if found:
                url = found[0].catalog_url
                break
        url = url.rstrip("/") if url else None
        if url is not None and version and not _VERSION.search(url):
            url += version
        if url is not None and service == "object":
            found = _ACCOUNT.search(url)
            if found:
                url, self._account_prefix = url[: found.start()], found.group(1) or ""
        with self._lock:
            self._endpoints[service] = url
        return url

    def _refusal(
        self, service: str, method: str, path: str, answer: Any, hidden: Sequence[str]
    ) -> CloudError:
        kind = {404: Missing, 403: Forbidden, 409: Conflicting}.get(answer.status_code, CloudError)
        request_id = answer.headers.get("x-openstack-request-id") or answer.headers.get("X-Trans-Id", "")
        text = f"{service}: {method} {path}: {answer.status_code} {_message(answer)}".rstrip()
        for word in hidden:
            text = text.replace(word, "***")
        todo = {
            401: "the login ran out or was revoked: log in again",
            403: "the login lacks a role: docs/operations.md lists what is needed",
            413: "it is more than the service takes at once",
            429: "the service limits requests: try again with a smaller --workers",
        }.get(answer.status_code)
        if todo is None and answer.status_code >= 500:
            todo = f"look for {request_id or 'the request'} in the service's log, then run the same command again"
        return kind(text, todo=todo)


def connect(name: str, *, region: Optional[str] = None, interface: str = "public", workers: int = 8) -> Cloud:
    """A session for an entry of clouds.yaml; nothing is sent yet. ``workers`` threads can use it without waiting."""
    try:
        config = os_config.OpenStackConfig(app_name="osg-site-iaas", app_version=__version__)
        entry = config.get_one(cloud=name)
        if _names_version_3(entry):  # so Keystone need not be asked which versions it has
            entry = config.get_one(cloud=name, auth_type="v3password")
        session = entry.get_session()
    except os_exceptions.ConfigException as error:
        raise CloudError(
            f"clouds.yaml has no usable entry {name!r}: {error}",
            todo=logins.advice(os.environ.get(logins.VARIABLE)),
        ) from error
    except (ksa.ClientException, OSError, ValueError) as error:
        raise CloudError(f"clouds.yaml entry {name!r} cannot be used: {_words(error)}") from error
    except (AttributeError, TypeError) as error:  # what openstacksdk makes of `NAME: 5`
        raise CloudError(
            f"clouds.yaml entry {name!r} is not a mapping of settings",
            todo="write it as openstacksdk's documentation shows: `NAME: {auth: {auth_url: ..., ...}}`",
        ) from error
    _same_region(config, entry, name, region)
    session.timeout = session.timeout or TIMEOUT
    for scheme in ("http://", "https://"):
        # so many of each service at once, and all services may be behind one name
        session.session.mount(scheme, ksa_session.TCPKeepAliveAdapter(pool_maxsize=workers * len(SERVICES)))
    return Cloud(
        session,
        name=name,
        region=region or entry.get_region_name() or "RegionOne",
        interface=interface,
        endpoints=_overrides(entry),
    )


def _names_version_3(entry: Any) -> bool:
    """Whether an entry of clouds.yaml is a whole login by password at an address that ends with /v3.

    One without its user's domain is for an older version, as far as it says; ``default_domain`` leaves it open.
    """
    auth = entry.config.get("auth") or {}
    return (
        entry.config.get("auth_type") in (None, "password")
        and str(auth.get("auth_url", "")).rstrip("/").endswith("/v3")
        and any(auth.get(key) for key in ("user_id", "user_domain_id", "user_domain_name"))
        and not any(auth.get(key) for key in ("default_domain_id", "default_domain_name"))
    )


def _same_region(config: Any, entry: Any, name: str, region: Optional[str]) -> None:
    """Raise CloudError where the entry of clouds.yaml is for one other region: each side may be the wrong one."""
    stated = entry.config.get("region_name")
    several = (config.cloud_config.get("clouds") or {}).get(name, {}).get("regions")
    if region and stated and stated != region and not several:
        raise CloudError(
            f"clouds.yaml entry {name!r} is for region {stated!r}, site.yml for {region!r}",
            todo=f"write `region: {stated}` under `site` in site.yml, or correct region_name in clouds.yaml",
        )


def _overrides(entry: Any) -> Mapping[str, str]:
    """Endpoints that the entry names itself, as ``compute_endpoint_override``; they go before the catalogue."""
    found = {}
    for service, (types, _, _) in SERVICES.items():
        for service_type in types:
            name = service_type.replace("-", "_")
            url = entry.config.get(f"{name}_endpoint_override") or entry.config.get(f"{name}_endpoint")
            if url:
                found[service] = str(url)
                break
    return found


def _never_sent(error: BaseException) -> bool:
    """Whether there was not even a connection to send anything through."""
    cause: Optional[BaseException] = error
    while cause is not None:
        reason = getattr(cause.args[0], "reason", None) if cause.args else None
        if type(reason).__name__ in ("NewConnectionError", "ConnectTimeoutError"):  # urllib3's
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def _message(answer: Any) -> str:
    try:
        data = answer.json()
    except ValueError:
        return " ".join(re.sub(r"<[^>]*>", " ", answer.text[:2000]).split())[:300]
    while isinstance(data, dict):
        for name in ("message", "detail"):
            if isinstance(data.get(name), str):
                return " ".join(data[name].split())[:500]
        data = next(iter(data.values()), "")
    return str(data)[:300]


def _words(error: BaseException) -> str:
    return why_silent(error) or " ".join(str(error).split())[:300] or type(error).__name__
