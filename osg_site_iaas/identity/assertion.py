"""What the door tells a Keystone that it does not wrap: a signed token that lives for a minute.

Its claims are the variables that the door would set inside Keystone, without their prefix. mod_auth_openidc in front
of Keystone checks the signature against the keys published here, and sets the variables.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import keystone

JWKS_PATH = "/.well-known/osg-site-iaas/jwks"
ALGORITHM = "RS256"
LIFETIME = dt.timedelta(seconds=60)
_BITS = 3072
PREFIX = "OSG_SITE_"


@dataclass(frozen=True)
class Signer:
    """The door's key, and the words that stand in ``iss`` and ``aud``."""

    key: rsa.RSAPrivateKey
    issuer: str
    audience: str

    @property
    def kid(self) -> str:
        """The key's id: a digest of its public half."""
        public = self.key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return hashlib.sha256(public).hexdigest()[:16]

    def jwks(self) -> dict[str, Any]:
        """The public half, for whoever checks the tokens."""
        numbers = self.key.public_key().public_numbers()
        one = {"kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": self.kid}
        return {"keys": [{**one, "n": _number(numbers.n), "e": _number(numbers.e)}]}

    def sign(self, environment: Mapping[str, str], now: dt.datetime) -> str:
        """A token that says what the environment says. ``sub`` is no name that a local user could have."""
        told = {name[len(PREFIX) :]: value for name, value in environment.items() if name.startswith(PREFIX)}
        claims = {
            **told,
            "iss": self.issuer,
            "aud": self.audience,
            "sub": environment[keystone.USER_ID],
            "iat": now,
            "nbf": now - dt.timedelta(seconds=5),  # clocks differ
            "exp": now + LIFETIME,
            "jti": uuid.uuid4().hex,
        }
        return str(jwt.encode(claims, self.key, ALGORITHM, {"kid": self.kid}))


def kept_key(file: Path) -> rsa.RSAPrivateKey:
    """The same, read again only when the file has changed."""
    try:
        return _load_once(file, file.stat().st_mtime_ns)
    except FileNotFoundError:
        return load_key(file)


@functools.lru_cache(maxsize=4)
def _load_once(file: Path, changed: int) -> rsa.RSAPrivateKey:
    return load_key(file)


def load_key(file: Path) -> rsa.RSAPrivateKey:
    """The key in a file; made the first time, by whichever process comes first. SiteError if it cannot be used."""
    try:
        if not file.exists():
            _make(file)
        if file.stat().st_mode & 0o077:
            raise SiteError("the door's signing key can be read by others", where=str(file), todo="chmod 600")
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise SiteError(f"the door's signing key cannot be used: {error}", where=str(file)) from error
    if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < 2048:
        raise SiteError("the door's signing key is not an RSA key of 2048 bits or more", where=str(file))
    return key


def _make(file: Path) -> None:
    pem = rsa.generate_private_key(65537, _BITS).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
    fresh.touch(mode=0o600)
    fresh.write_bytes(pem)
    try:
        os.link(fresh, file)
    except FileExistsError:
        pass  # another process was faster: its key is the key
    finally:
        fresh.unlink()


def _number(value: int) -> str:
    size = (value.bit_length() + 7) // 8
    return base64.urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()
