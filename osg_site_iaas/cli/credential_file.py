"""What a proxy or a token in a file says of itself. Nothing is verified: that is for the doors."""

from __future__ import annotations

import datetime as dt
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

import jwt
from cryptography import x509

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import der, names, proxy, voms
from osg_site_iaas.identity.crl import validity
from osg_site_iaas.identity.find import certificates_in
from osg_site_iaas.mapping.credential import Certificate, Credential, Token

_LARGEST = 1024 * 1024  # bytes


@dataclass(frozen=True)
class Shown:
    """A credential as it presents itself, what is wrong with it at first sight, and for whom a token is."""

    credential: Credential
    notes: tuple[str, ...]
    audiences: Optional[tuple[str, ...]] = None  # of a token


def token(file: str, now: dt.datetime) -> Shown:
    """What the token in a file says, ``-`` being standard input; SiteError if it is none. Its text is never shown."""
    words = _read(file).decode("ascii", "replace").strip()
    words = words[len("Bearer ") :].strip() if words.startswith("Bearer ") else words
    todo = "give a file with one JSON web token (JWT) in it, and nothing else"
    try:
        claims: Any = jwt.decode(words, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise SiteError("it is no token", where=file, todo=todo) from error
    if not isinstance(claims, dict) or not all(isinstance(claims.get(name), str) for name in ("iss", "sub")):
        raise SiteError("the token names no issuer and subject", where=file, todo=todo)
    scopes = claims.get("scope")
    made = Token(
        claims["iss"],
        claims["sub"],
        _texts(claims.get("wlcg.groups")),
        tuple(scopes.split()) if isinstance(scopes, str) else _texts(scopes),
    )
    return Shown(made, tuple(_times(claims, now)), _texts(claims.get("aud")))


def certificate(file: Path, now: dt.datetime) -> Shown:
    """What the certificate or proxy in a file says, its VOMS attributes with it; SiteError if it is none."""
    todo = "give a file that voms-proxy-init made, or a certificate in PEM"
    found = certificates_in(_read(str(file)))
    if not found:
        raise SiteError("there is no certificate in it", where=str(file), todo=todo)
    notes: list[str] = []
    try:
        owner = next((one for one in found if not _is_proxy(one, notes)), None)
        if owner is None:
            raise SiteError("it holds proxies and not their owner's certificate", where=str(file), todo=todo)
        fqans = _fqans(found[: found.index(owner)], now, notes)
        dn = names.slash(owner.subject)
    except ValueError as error:  # a DerError and a ProxyError are ValueErrors too
        raise SiteError(f"it cannot be read: {error}", where=str(file), todo=todo) from error
    end = min(validity(one)[1] for one in found[: found.index(owner) + 1])
    if now >= end:
        notes.append(f"it expired at {end:%Y-%m-%d %H:%M:%S} UTC: no door takes it")
    if not names.unambiguous(owner.subject):
        notes.append("its DN can be read in more than one way: no door takes it")
    return Shown(Certificate(dn, fqans), tuple(notes))


def _is_proxy(one: x509.Certificate, notes: list[str]) -> bool:
    try:
        info = proxy.info(one)
    except proxy.ProxyError as error:
        notes.append(f"{error}: no door takes it")
        return True
    if info is not None and info.kind is proxy.Kind.LIMITED:
        notes.append("it is a limited proxy: a door takes it only if its settings say so")
    return info is not None


def _fqans(proxies: tuple[x509.Certificate, ...], now: dt.datetime, notes: list[str]) -> tuple[str, ...]:
    """The FQANs of the proxy nearest to the leaf that has any."""
    for one in proxies:
        found = proxy.extension(one, voms.EXTENSION)
        if found is None or not isinstance(found.value, x509.UnrecognizedExtension):
            continue
        try:
            attributes = voms.parse_extension(found.value.value)
        except (der.DerError, ValueError, TypeError) as error:
            notes.append(f"its VOMS attributes cannot be read ({error}): no door takes it")
            return ()
        for attribute in attributes:
            if now > attribute.not_after:
                notes.append(f"its VOMS attributes expired at {attribute.not_after:%Y-%m-%d %H:%M:%S} UTC")
            vo = attribute.authority.partition("://")[0]
            outside = [
                fqan for fqan in attribute.fqans if fqan != f"/{vo}" and not fqan.startswith(f"/{vo}/")
            ]
            notes.extend(f"{fqan} is not its VOMS server's to give: no door takes it" for fqan in outside)
        return tuple(fqan for one in attributes for fqan in one.fqans)
    notes.append("it has no VOMS attributes: make one with voms-proxy-init -voms VO")
    return ()


def _times(claims: Mapping[str, Any], now: dt.datetime) -> list[str]:
    notes = []
    end, start = _number(claims.get("exp")), _number(claims.get("nbf"))
    if end is None:
        notes.append("it says no end (exp): no door takes it")
    elif end <= now.timestamp():
        notes.append(f"it expired at {_moment(end)}: no door takes it")
    if start is not None and start > now.timestamp():
        notes.append(f"it is good from {_moment(start)} only: no door takes it before")
    return notes


def _number(value: Any) -> Optional[float]:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _moment(value: float) -> str:
    try:
        return f"{dt.datetime.fromtimestamp(value, dt.timezone.utc):%Y-%m-%d %H:%M:%S} UTC"
    except (ValueError, OverflowError, OSError):
        return "a time that is none"


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(word for word in value if isinstance(word, str)) if isinstance(value, list) else ()


def _read(file: str) -> bytes:
    try:
        if file == "-":
            content = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with Path(file).open("rb") as opened:
                content = opened.read(_LARGEST + 1)
    except OSError as error:
        raise SiteError(f"it cannot be read: {error.strerror or error}", where=file) from error
    if len(content) > _LARGEST:
        raise SiteError(f"it is larger than {_LARGEST // 1024} KiB", where=file)
    return content
