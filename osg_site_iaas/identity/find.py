"""Where a member's proxy and token lie: the places that grid tools agree on."""

from __future__ import annotations

import datetime as dt
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional

from cryptography import x509

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.crl import validity
from osg_site_iaas.identity.refused import UNREADABLE

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


@dataclass(frozen=True)
class Proxy:
    """A proxy file that can be used: certificates, leaf first, and their earliest end (aware UTC)."""

    file: Path
    certificates: tuple[x509.Certificate, ...]
    not_after: dt.datetime


def proxy_file(environ: Mapping[str, str], uid: int) -> Path:
    """The file that X509_USER_PROXY names, else the usual one of the user; it may not exist."""
    return Path(environ.get("X509_USER_PROXY") or f"/tmp/x509up_u{uid}")  # noqa: S108  # where grid tools put it


def read_proxy(file: Path, now: dt.datetime) -> Proxy:
    """The proxy in a file; SiteError, with what to do, if it is missing, open to others, or over."""
    todo = "make one with voms-proxy-init -voms VO"
    try:
        stat, data = file.stat(), file.read_bytes()
    except OSError as error:
        raise SiteError(f"no proxy: {error.strerror}", where=str(file), todo=todo) from error
    if stat.st_mode & 0o077:
        raise SiteError(
            "the proxy can be read by others", where=str(file), todo=f"chmod 600 {file}; better, {todo}"
        )
    certificates = certificates_in(data)
    if not certificates or b"PRIVATE KEY-----" not in data:
        raise SiteError("not a proxy: it needs a certificate and its key", where=str(file), todo=todo)
    end = min(validity(certificate)[1] for certificate in certificates)
    if now >= end:
        raise SiteError(f"the proxy expired at {end:%Y-%m-%d %H:%M:%S} UTC", where=str(file), todo=todo)
    return Proxy(file, certificates, end)


def certificates_in(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates in PEM text, in its order; SiteError if one is broken."""
    try:
        return tuple(x509.load_pem_x509_certificate(found + b"\n") for found in _CERTIFICATE.findall(pem))
    except UNREADABLE as error:
        raise SiteError(f"a certificate cannot be read: {error}") from error


def bearer_token(environ: Mapping[str, str], uid: int) -> Optional[str]:
    """The token, found in WLCG's order (BEARER_TOKEN, BEARER_TOKEN_FILE, XDG_RUNTIME_DIR, /tmp), or None.

    The first place that there is decides; SiteError if nothing can be read there.
    """
    if environ.get("BEARER_TOKEN", "").strip():
        return environ["BEARER_TOKEN"].strip()
    if environ.get("BEARER_TOKEN_FILE"):
        return _token_in(Path(environ["BEARER_TOKEN_FILE"]))
    places = [Path("/tmp")]  # noqa: S108  # WLCG's last place
    if environ.get("XDG_RUNTIME_DIR"):
        places.insert(0, Path(environ["XDG_RUNTIME_DIR"]))
    for place in places:
        file = place / f"bt_u{uid}"
        # In a folder open to all, somebody else's file could be waiting.
        if file.exists() and file.stat().st_uid == uid:
            return _token_in(file)
    return None


def _token_in(file: Path) -> str:
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"the token cannot be read: {error}", where=str(file)) from error
    if not text:
        raise SiteError(
            "the token's file is empty", where=str(file), todo="get a new token from your VO's issuer"
        )
    return text


def here() -> tuple[Mapping[str, str], int]:
    """This process's environment and user."""
    return os.environ, os.getuid()
