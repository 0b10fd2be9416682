"""SciTokens and WLCG tokens: whether one is good here, and what it says.

The signature is PyJWT's work; the rules of the two profiles are here. What a token's groups and scopes open is
the mapping table's to say, except that a token which is only for storage opens no cloud.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any, Mapping, Optional

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from osg_site_iaas.identity.issuer_keys import Jwk, KeyCache
from osg_site_iaas.identity.refused import Refused

LARGEST = 16 << 10  # bytes of a token
SKEW = dt.timedelta(seconds=60)  # how far an issuer's clock may be ahead of ours
SMALLEST_RSA = 2048
_ALGORITHMS = {
    "RSA": ("RS256", "RS384", "RS512"),
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
}
_STORAGE = re.compile(r"(storage\.\w+|read|write|stage)(:.*)?\Z")
_COMPUTE = re.compile(r"compute\.\w+(:.*)?\Z")
_RENEW = "get a new token from your VO's issuer"


@dataclass(frozen=True)
class TrustedIssuer:
    """An issuer that site.yml names, and the values of ``aud`` that mean this site."""

    issuer: str
    audiences: frozenset[str]


@dataclass(frozen=True)
class VerifiedToken:
    """What a verified token says. ``not_after`` is aware UTC."""

    issuer: str
    subject: str
    profile: str  # wlcg or scitokens
    groups: tuple[str, ...]  # wlcg.groups
    scopes: tuple[str, ...]
    not_after: dt.datetime
    id: Optional[str] = None  # jti


def verify(
    token: str, issuers: Mapping[str, TrustedIssuer], keys: KeyCache, *, now: dt.datetime
) -> VerifiedToken:
    """What the token says, if a trusted issuer signed it for this site and this moment; else Refused."""
    header, claims = _peek(token)
    issuer = claims.get("iss")
    trusted = issuers.get(issuer) if isinstance(issuer, str) else None
    if trusted is None:
        raise Refused(
            "the token's issuer is not one that this site accepts",
            todo="ask the site",
            detail=f"issuer={issuer}",
        )
    _check_signature(token, header, trusted.issuer, keys)
    subject = claims.get("sub")
    named = f"{issuer} sub={subject}"
    try:
        return _check_claims(claims, trusted, now)
    except Refused as error:
        error.subject = named
        raise


def _peek(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, not yet believed."""
    if len(token) > LARGEST:
        raise Refused("the token is too large", todo=_RENEW)
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise Refused("the token cannot be read", todo=_RENEW, detail=str(error)) from error
    if not isinstance(claims, dict) or "crit" in header or "b64" in header:
        raise Refused("the token has a header that is not supported", todo=_RENEW)
    return header, claims


def _check_signature(token: str, header: Mapping[str, Any], issuer: str, keys: KeyCache) -> None:
    kid, algorithm = header.get("kid"), header.get("alg")
    if kid is not None and not isinstance(kid, str):
        raise Refused("the token's key id is not a text", todo=_RENEW, subject=issuer)
    found = keys.find(issuer, kid)
    if not found:
        raise Refused(
            "the token's issuer does not know the key it is signed with", todo=_RENEW, subject=issuer
        )
    for jwk in found:
        allowed = _algorithms(jwk)
        if algorithm not in allowed:
            continue
        try:
            key = jwt.PyJWK.from_dict(dict(jwk), algorithm=str(algorithm)).key
            if isinstance(key, rsa.RSAPublicKey) and key.key_size < SMALLEST_RSA:
                continue
            if not isinstance(key, (rsa.RSAPublicKey, ec.EllipticCurvePublicKey)):
                continue
            jwt.api_jws.PyJWS().decode_complete(token, key, algorithms=[str(algorithm)])
            return
        except (jwt.PyJWTError, ValueError, TypeError):
            continue
    raise Refused("the token's signature is wrong", todo=_RENEW, subject=issuer, detail=f"alg={algorithm}")


def _algorithms(jwk: Jwk) -> tuple[str, ...]:
    """What a key may sign with: never an algorithm that the token alone chooses."""
    kind = "RSA" if jwk.get("kty") == "RSA" else str(jwk.get("crv"))
    allowed = _ALGORITHMS.get(kind, ())
    own = jwk.get("alg")
    return allowed if own is None else tuple(a for a in allowed if a == own)


def _check_claims(claims: Mapping[str, Any], trusted: TrustedIssuer, now: dt.datetime) -> VerifiedToken:
    profile = _profile(claims)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= 255 or not subject.isprintable():
        raise Refused("the token names no subject", todo=_RENEW)
    until = _time(claims, "exp")
    if until is None:
        raise Refused("the token never expires, which is not accepted", todo=_RENEW)
    if now >= until:
        raise Refused(f"the token expired at {until:%Y-%m-%d %H:%M:%S} UTC", todo=_RENEW)
    for name in ("nbf", "iat"):
        start = _time(claims, name)
        if start is not None and now < start - SKEW:
            raise Refused(
                f"the token is not valid before {start:%Y-%m-%d %H:%M:%S} UTC", todo="check the clock"
            )
    if not set(_texts(claims, "aud")) & trusted.audiences:
        raise Refused(
            "the token is meant for another service",
            todo=f"ask your issuer for one with the audience {_one_of(trusted.audiences)}",
            detail=f"aud={claims.get('aud')}",
        )
    scopes = tuple(_text(claims, "scope").split())
    if any(map(_STORAGE.match, scopes)) and not any(map(_COMPUTE.match, scopes)):
        raise Refused("the token is for storage only", todo="ask your issuer for one with compute scopes")
    jti = claims.get("jti")
    return VerifiedToken(
        issuer=trusted.issuer,
        subject=subject,
        profile=profile,
        groups=_texts(claims, "wlcg.groups") if profile == "wlcg" else (),
        scopes=scopes,
        not_after=until,
        id=jti if isinstance(jti, str) else None,
    )


def _profile(claims: Mapping[str, Any]) -> str:
    if "wlcg.ver" in claims:
        if re.fullmatch(r"1\.\d+", str(claims["wlcg.ver"])):
            return "wlcg"
    elif re.fullmatch(r"scitokens?:2\.\d+", str(claims.get("ver"))):
        return "scitokens"
    raise Refused("the token is of no known profile", todo="use a WLCG 1.x token or a SciToken 2.x")


def _time(claims: Mapping[str, Any], name: str) -> Optional[dt.datetime]:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1 << 40:
        raise Refused(f"the token's {name} is not a time", todo=_RENEW)
    try:
        return dt.datetime.fromtimestamp(value, dt.timezone.utc)
    except (OverflowError, ValueError, OSError) as error:
        raise Refused(f"the token's {name} is not a time", todo=_RENEW) from error


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"the token's {name} is not a text", todo=_RENEW)
    return value


def _texts(claims: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """A text, or a list of texts."""
    value = claims.get(name, [])
    values = [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(v, str) and len(v) <= 1024 for v in values):
        raise Refused(f"the token's {name} is not a list of texts", todo=_RENEW)
    return tuple(values)


def _one_of(audiences: frozenset[str]) -> str:
    return json.dumps(min(audiences, key=len)) if audiences else "that the site must first declare"
