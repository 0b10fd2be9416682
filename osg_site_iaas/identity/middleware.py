"""Around Keystone's WSGI application: turns a verified credential into the variables that Keystone's mapping reads.

Those variables are set at a login with the method ``mapped`` only, from a chain that TLS has verified or a token,
and removed from every other request. A client cannot set them: its headers arrive as ``HTTP_*``.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import logging
import os
import re
import threading
from pathlib import Path
from typing import Any, Callable, Iterable, Optional, Sequence

from cryptography import x509

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import welcome
from osg_site_iaas.identity.door import Admitted, Door
from osg_site_iaas.identity.refused import UNREADABLE, Refused, printable
from osg_site_iaas.identity.settings import DEFAULT_FILE, VARIABLE, Settings
from osg_site_iaas.identity.settings import load as load_settings
from osg_site_iaas.identity.watched import Watched
from osg_site_iaas.mapping import keystone

log = logging.getLogger(__name__)
_LOGIN = re.compile(r"(?:/v3)?/OS-FEDERATION/identity_providers/(?P<provider>[^/]+)/protocols/[^/]+/auth/?\Z")
_GENERAL = re.compile(r"(?:/v3)?/auth/tokens/?\Z")
_LARGEST_BODY = 1 << 16  # bytes of a login
_PREFIX = "OSG_SITE_"
PROVIDER_ID = "osg_site_iaas.provider"  # the identity provider of a login that was let in
OUTCOME = "osg_site_iaas.outcome"  # way in and what became of it, of each login that this door has judged
_MOST = 20  # certificates of a chain

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]


class GridIdentity:
    """The application in front of which a door stands. ``settings`` is read again when it changes.

    With ``optional``, there is no door as long as there is no such file.
    """

    def __init__(self, app: App, settings: Path, *, optional: bool = False) -> None:
        self._app = app
        self._file = settings
        self._optional = optional
        self._settings = Watched(settings, load_settings)
        self._lock = threading.Lock()
        self._door: Optional[Door] = None

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        for name in [name for name in environ if name.startswith(_PREFIX) or name in (PROVIDER_ID, OUTCOME)]:
            del environ[name]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        provider, kind = asked_provider(path, environ), None
        if not (provider or path.endswith(welcome.PATH)) or (self._optional and not self._file.exists()):
            return self._app(environ, start_response)
        try:
            door = self._current_door()
            if provider is None:
                return _reply(start_response, "200 OK", welcome.to_data(door.rules.current().site))
            kind = door.provider_type(provider)
            if kind is None:  # somebody else's identity provider: none of our business
                return self._app(environ, start_response)
            admitted = _enter(door, kind, provider, environ)
        except Refused as error:
            environ[OUTCOME] = (kind or "other", "refused")
            log.warning(
                "refused %s from=%s", error.log_line, printable(str(environ.get("REMOTE_ADDR", "-")), 60)
            )
            return _answer(start_response, "401 Unauthorized", error.line)
        except SiteError as error:
            environ[OUTCOME] = (kind or "other", "unavailable")
            log.error("no login is possible: %s", error)
            line = "the site cannot verify credentials now; tell its administrators"
            return _answer(start_response, "503 Service Unavailable", line)
        environ.pop("REMOTE_USER", None)  # it would make Keystone take another way than the mapping
        environ.pop("HTTP_AUTHORIZATION", None)
        environ.update(admitted.environment)
        environ[PROVIDER_ID] = provider
        environ[OUTCOME] = (kind, "admitted")
        return self._app(environ, start_response)

    def _current_door(self) -> Door:
        settings: Settings = self._settings.current()
        door = self._door
        if door is None or door.settings is not settings:
            with self._lock:
                if self._door is None or self._door.settings is not settings:
                    self._door = Door(settings)
                door = self._door
        return door


def asked_provider(path: str, environ: Environ) -> Optional[str]:
    """The identity provider through which a request wants to log in; None for any other request.

    There are two ways: federation's own address, and the general one with the method ``mapped``, which gives a
    token with a project in one step. The body of the latter is read, and put back as it was.
    """
    login = _LOGIN.fullmatch(path)
    if login is not None:
        return login["provider"]
    shows = environ.get("SSL_CLIENT_VERIFY") == "SUCCESS" or environ.get("HTTP_AUTHORIZATION")
    if environ.get("REQUEST_METHOD") != "POST" or not shows or not _GENERAL.fullmatch(path):
        return None
    length = str(environ.get("CONTENT_LENGTH") or "")
    if not length.isdecimal() or int(length) > _LARGEST_BODY:
        return None
    body = environ["wsgi.input"].read(int(length))
    environ["wsgi.input"] = io.BytesIO(body)
    try:
        identity = json.loads(body)["auth"]["identity"]
        provider = identity[keystone.PROTOCOL]["identity_provider"]
        return provider if identity["methods"] == [keystone.PROTOCOL] and isinstance(provider, str) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # Keystone says what is wrong with it


def _enter(door: Door, kind: str, provider: str, environ: Environ) -> Admitted:
    now = dt.datetime.now(dt.timezone.utc)
    if kind == "token":
        return door.token(_bearer(environ), provider, now)
    return door.certificate(client_chain(environ), provider, now)


def _bearer(environ: Environ) -> str:
    scheme, _, token = str(environ.get("HTTP_AUTHORIZATION", "")).partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Refused("no token was presented", todo="send it as `Authorization: Bearer TOKEN`")
    return token.strip()


def client_chain(environ: Environ) -> list[x509.Certificate]:
    """The chain that TLS verified, leaf first, from mod_ssl's variables; Refused if there is none."""
    if environ.get("SSL_CLIENT_VERIFY") != "SUCCESS" or not environ.get("SSL_CLIENT_CERT"):
        raise Refused(
            "no certificate was presented", todo="use a VOMS proxy, over https, at the site's grid address"
        )
    pems = [environ["SSL_CLIENT_CERT"]]
    while len(pems) <= _MOST and environ.get(f"SSL_CLIENT_CERT_CHAIN_{len(pems) - 1}"):
        pems.append(environ[f"SSL_CLIENT_CERT_CHAIN_{len(pems) - 1}"])
    try:
        return [x509.load_pem_x509_certificate(pem.encode("ascii")) for pem in pems]
    except UNREADABLE as error:
        raise Refused("a certificate cannot be read", todo="make a new proxy", detail=str(error)) from error


def _answer(start_response: StartResponse, status: str, line: str) -> Iterable[bytes]:
    """An error in Keystone's own form, which its clients show."""
    code, _, title = status.partition(" ")
    error = {"code": int(code), "title": title, "message": printable(line)}
    more = [("WWW-Authenticate", "Bearer")] if code == "401" else []
    return _reply(start_response, status, {"error": error}, more)


def _reply(
    start_response: StartResponse, status: str, data: Any, more: Sequence[tuple[str, str]] = ()
) -> Iterable[bytes]:
    body = json.dumps(data).encode()
    length = ("Content-Length", str(len(body)))
    start_response(
        status, [("Content-Type", "application/json"), length, ("Cache-Control", "no-store"), *more]
    )
    return [body]


def settings_file() -> Path:
    """The settings' file: named by the environment, or the usual one."""
    return Path(os.environ.get(VARIABLE) or DEFAULT_FILE)


def wrap(app: App) -> GridIdentity:
    """Keystone's application with a door in front."""
    return GridIdentity(app, settings_file())


def wrap_when_configured(app: App) -> GridIdentity:
    """The same for a rehearsal: the application as it is until the settings' file appears."""
    return GridIdentity(app, settings_file(), optional=True)
