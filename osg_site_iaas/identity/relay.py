"""A door beside a Keystone that must not be wrapped: passes requests on, and logins with a token of its own.

It stands where Keystone's application would stand behind the middleware. What the middleware lets in arrives here
with its variables set; they are signed (``assertion``) and shown at Keystone's ordinary federation address, which
mod_auth_openidc guards. Everything else is passed on as it came. The door has no account at Keystone.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional, Union
from urllib.parse import quote

import requests

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import middleware
from osg_site_iaas.identity.assertion import JWKS_PATH, PREFIX, Signer, kept_key
from osg_site_iaas.identity.settings import Settings
from osg_site_iaas.identity.settings import load as load_settings
from osg_site_iaas.identity.watched import Watched
from osg_site_iaas.mapping import keystone

log = logging.getLogger(__name__)
_LARGEST_BODY = 1 << 20
_TIMEOUT = (5, 60)
# Of one connection, or for one that checks a token which this door alone may show.
_NOT_PASSED = {
    "connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "host", "content-length",
    "authorization", "proxy-authorization", "accept-encoding", "expect",
}  # fmt: skip
_NOT_BACK = {
    "connection", "keep-alive", "transfer-encoding", "content-length", "content-encoding", "date", "server",
}  # fmt: skip


@dataclass(frozen=True)
class Answer:
    """What Keystone said."""

    status: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class Relay:
    """The application behind the middleware; ``settings`` must name ``keystone``."""

    def __init__(self, settings: Path) -> None:
        self._settings = Watched(settings, load_settings)

    def __call__(
        self, environ: middleware.Environ, start_response: middleware.StartResponse
    ) -> Iterable[bytes]:
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        try:
            told = self._settings.current()
            if told.keystone is None:
                raise SiteError("the settings name no `keystone` to pass logins on to")
            if path == JWKS_PATH:
                answer = _json("200 OK", signer(told).jwks())
            elif keystone.USER_ID in environ:
                answer = _login(environ, path, told)
            else:
                answer = _send(
                    told, environ["REQUEST_METHOD"], _target(path, environ), _headers(environ), _body(environ)
                )
        except (SiteError, OSError) as error:
            log.error("nothing was passed on to Keystone: %s", error)
            message = {"code": 502, "title": "Bad Gateway", "message": "Keystone cannot be asked now"}
            answer = _json("502 Bad Gateway", {"error": message})
        length = ("Content-Length", str(len(answer.body)))
        start_response(answer.status, [*answer.headers, length])
        return [answer.body]


def signer(told: Settings) -> Signer:
    """The door's signer; SiteError if it has no usable key."""
    assert told.keystone is not None  # noqa: S101
    return Signer(kept_key(told.signing_key), issuer=told.issuer or told.keystone, audience=told.keystone)


def _json(status: str, data: Any) -> Answer:
    return Answer(status, (("Content-Type", "application/json"),), json.dumps(data).encode())


def _login(environ: middleware.Environ, path: str, told: Settings) -> Answer:
    """Keystone's answer to a login. With a project in one step here, it is two steps there."""
    body = _body(environ)
    provider = environ[middleware.PROVIDER_ID]
    token = signer(told).sign(
        {name: value for name, value in environ.items() if name.startswith(PREFIX)},
        dt.datetime.now(dt.timezone.utc),
    )
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    door = (
        f"/v3/OS-FEDERATION/identity_providers/{quote(provider, safe='')}/protocols/{keystone.PROTOCOL}/auth"
    )
    first = _send(told, "GET", door, headers, b"")
    if not path.rstrip("/").endswith("/auth/tokens") or not first.status.startswith("201"):
        return first
    unscoped = {name.lower(): value for name, value in first.headers}.get("x-subject-token", "")
    asked: Any = json.loads(body)["auth"]  # the middleware has read it before
    auth = {"identity": {"methods": ["token"], "token": {"id": unscoped}}}
    if "scope" in asked:
        auth["scope"] = asked["scope"]
    content = {"Content-Type": "application/json", "Accept": "application/json"}
    return _send(told, "POST", "/v3/auth/tokens", content, json.dumps({"auth": auth}).encode())


def _send(told: Settings, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
    assert told.keystone is not None  # noqa: S101
    verify: Union[bool, str] = str(told.keystone_ca) if told.keystone_ca else True
    base = told.keystone[: -len("/v3")] if told.keystone.endswith("/v3") else told.keystone
    with requests.Session() as session:
        session.trust_env = False  # no proxy between, and no .netrc
        found = session.request(
            method, base + target, headers={**headers, "Accept-Encoding": "identity"}, data=body or None,
            verify=verify, timeout=_TIMEOUT, allow_redirects=False,
        )  # fmt: skip
    back = tuple((name, value) for name, value in found.headers.items() if name.lower() not in _NOT_BACK)
    return Answer(f"{found.status_code} {found.reason or 'Answer'}", back, found.content)


def _target(path: str, environ: middleware.Environ) -> str:
    query = environ.get("QUERY_STRING", "")
    return quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _headers(environ: middleware.Environ) -> dict[str, str]:
    found = {
        name[len("HTTP_") :].replace("_", "-"): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        found["Content-Type"] = environ["CONTENT_TYPE"]
    return {name: value for name, value in found.items() if name.lower() not in _NOT_PASSED}


def _body(environ: middleware.Environ) -> bytes:
    length = str(environ.get("CONTENT_LENGTH") or "0")
    if not length.isdecimal() or int(length) > _LARGEST_BODY:
        raise SiteError("a request's body is too large to be passed on")
    return bytes(environ["wsgi.input"].read(int(length))) if int(length) else b""


def application(settings: Optional[Path] = None) -> middleware.GridIdentity:
    """The whole door, for a WSGI server: the middleware around a relay."""
    file = settings or middleware.settings_file()
    return middleware.GridIdentity(Relay(file), file)
