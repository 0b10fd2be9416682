"""The public keys of token issuers: fetched, kept, and used on while an issuer is down."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import logging
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, Union
from urllib.parse import urlsplit

import requests

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.refused import Refused

log = logging.getLogger(__name__)
_LARGEST = 1 << 20  # bytes of a document
_TIMEOUT = (3.05, 5)  # seconds to connect, and between two bytes
_DISCOVERY = (".well-known/openid-configuration", ".well-known/oauth-authorization-server")

Jwk = Mapping[str, Any]
Fetch = Callable[[str], tuple[Jwk, ...]]


class IssuerDown(SiteError):
    """An issuer's keys could not be fetched."""


@dataclass(frozen=True)
class Known:
    """What an issuer published, and when it was fetched (seconds since 1970)."""

    keys: tuple[Jwk, ...]
    fetched: float

    def named(self, kid: Optional[str]) -> tuple[Jwk, ...]:
        """The keys of that id; all, for a token that names none."""
        return tuple(k for k in self.keys if kid is None or k.get("kid") == kid)


@dataclass
class KeyCache:
    """Keys by issuer; safe to use from many threads, and shared by processes through ``folder``.

    Keys are fetched again after ``refresh`` seconds, or when a token names one that is not among them (the
    issuer may have rotated) but then at most once in ``retry`` seconds. If that fails, the last known keys are
    good until they are ``lifetime`` seconds old.
    """

    fetch: Fetch
    clock: Callable[[], float]
    folder: Optional[Path] = None
    refresh: float = 3600
    lifetime: float = 4 * 86400
    retry: float = 60
    _known: dict[str, Known] = field(default_factory=dict, repr=False)
    _tried: dict[str, float] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _locks: dict[str, threading.Lock] = field(default_factory=dict, repr=False)

    def find(self, issuer: str, kid: Optional[str]) -> tuple[Jwk, ...]:
        """The issuer's keys of that id, perhaps none; Refused if its keys are not to be had."""
        with self._lock:
            lock = self._locks.setdefault(issuer, threading.Lock())
        with lock:
            known = self._fresh_enough(issuer, kid)
        if known is None:
            raise Refused(
                "the token's issuer cannot be reached to check its signature",
                todo="try again in a few minutes",
                subject=issuer,
            )
        return known.named(kid)

    def _fresh_enough(self, issuer: str, kid: Optional[str]) -> Optional[Known]:
        now = self.clock()
        known = self._known.get(issuer) or self._load(issuer)
        if known and not self._is_due(known, kid, now):
            return known
        if now - self._tried.get(issuer, float("-inf")) >= self.retry:
            self._tried[issuer] = now
            try:
                known = Known(self.fetch(issuer), now)
                self._known[issuer] = known
                self._save(issuer, known)
            except IssuerDown as error:
                log.warning("keys of %s: %s", issuer, error.what)
        if known and now - known.fetched > self.lifetime:
            return None
        return known

    def _is_due(self, known: Known, kid: Optional[str], now: float) -> bool:
        return now - known.fetched > self.refresh or not known.named(kid)

    def _file(self, issuer: str) -> Optional[Path]:
        return (
            self.folder / f"{hashlib.sha256(issuer.encode()).hexdigest()[:32]}.json" if self.folder else None
        )

    def _load(self, issuer: str) -> Optional[Known]:
        """What another process, or this one before it was restarted, has kept."""
        file = self._file(issuer)
        if file is None or not file.exists():
            return None
        try:
            kept = json.loads(file.read_text(encoding="utf-8"))
            if kept["issuer"] != issuer or not 0 < float(kept["fetched"]) <= self.clock():
                return None
            known = Known(check_keys(kept), float(kept["fetched"]))
        except (OSError, ValueError, KeyError, TypeError, IssuerDown) as error:
            log.warning("%s is ignored: %s", file, error)
            return None
        self._known[issuer] = known
        return known

    def _save(self, issuer: str, known: Known) -> None:
        file = self._file(issuer)
        if file is None:
            return
        text = json.dumps({"issuer": issuer, "fetched": known.fetched, "keys": known.keys})
        try:
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = file.with_name(f".{file.name}.{os.getpid()}.{threading.get_ident()}")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(file)
        except OSError as error:
            log.warning("keys of %s cannot be kept: %s", issuer, error)


_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "oth", "k")


def check_keys(document: Any) -> tuple[Jwk, ...]:
    """The signing keys of a JWKS document, without anything private in them; IssuerDown if it is none."""
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise IssuerDown("the document is not a set of keys")
    keys = [
        k
        for k in listed
        if isinstance(k, dict) and k.get("kty") in ("RSA", "EC") and k.get("use", "sig") == "sig"
    ]
    return tuple({name: value for name, value in k.items() if name not in _PRIVATE} for k in keys)


def over_https(verify: Union[bool, str] = True) -> Fetch:
    """A way to fetch an issuer's keys by its discovery document; ``verify`` as in requests."""

    def fetch(issuer: str) -> tuple[Jwk, ...]:
        with requests.Session() as session:
            return check_keys(_get(session, _keys_address(session, issuer, verify), verify))

    return fetch


def _keys_address(session: requests.Session, issuer: str, verify: Union[bool, str]) -> str:
    failure: Optional[IssuerDown] = None
    for path in _DISCOVERY:
        try:
            found = _get(session, f"{issuer.rstrip('/')}/{path}", verify)
        except IssuerDown as error:
            failure = error
            continue
        address = found.get("jwks_uri") if isinstance(found, dict) else None
        if not isinstance(address, str) or found.get("issuer", "").rstrip("/") != issuer.rstrip("/"):
            raise IssuerDown(f"its {path} is for another issuer, or names no keys")
        return address
    raise failure or IssuerDown("it has no discovery document")


def _get(session: requests.Session, address: str, verify: Union[bool, str]) -> Any:
    if urlsplit(address).scheme != "https":
        raise IssuerDown(f"{address} is not https")
    try:
        # verify is given with each request: a session's own gives way to REQUESTS_CA_BUNDLE.
        with session.get(
            address, timeout=_TIMEOUT, allow_redirects=False, stream=True, verify=verify
        ) as answer:
            if answer.status_code != 200:
                raise IssuerDown(f"{address} answers {answer.status_code}")
            body = b""
            for piece in answer.iter_content(1 << 16):
                body += piece
                if len(body) > _LARGEST:
                    raise IssuerDown(f"{address} answers more than 1 MiB")
        return json.loads(body)
    except (
        OSError,
        ValueError,
        RecursionError,
    ) as error:  # OSError: requests' own, and a CA file that is not there
        raise IssuerDown(f"{address}: {error}") from error


def seconds() -> float:
    """The clock of a KeyCache: seconds since 1970."""
    return dt.datetime.now(dt.timezone.utc).timestamp()
