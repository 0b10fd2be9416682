"""Signature version 4: in the Authorization header, or in the query (presigned).

The scope's region and service are the client's: HTCondor derives them from the host's name.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Optional
from urllib.parse import quote, unquote_plus

from osg_site_iaas.ec2.auth.request import MAX_EXPIRES, Claim, HttpRequest, parse_amz_date
from osg_site_iaas.ec2.errors import Ec2Error, auth_failure

ALGORITHM = "AWS4-HMAC-SHA256"
_HEADER = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=([^,\s]{1,512})\s*,\s*SignedHeaders=([a-z0-9;_\-]{1,1024})\s*,"
    r"\s*Signature=([0-9a-f]{64})\s*\Z"
)


def _incomplete(why: str) -> Ec2Error:
    return Ec2Error(
        "IncompleteSignature", f"The request signature does not conform to AWS standards: {why}", 400
    )


def read_v4(request: HttpRequest) -> Optional[Claim]:
    """The claim of a request signed by version 4; None where it carries no such signature."""
    header = request.headers.get("authorization", "")
    if header.startswith("AWS4-"):
        match = _HEADER.match(header)
        if not match:
            raise _incomplete("Authorization header")
        credential, signed, signature = match.groups()
        date_text, expires = _header_date(request), None
        if not {"x-amz-date", "date"} & set(signed.split(";")):
            raise _incomplete("neither x-amz-date nor date is signed")
    elif request.form.get("X-Amz-Algorithm") == ALGORITHM:
        credential = request.form.get("X-Amz-Credential", "")
        signed = request.form.get("X-Amz-SignedHeaders", "").lower()
        signature = request.form.get("X-Amz-Signature", "")
        date_text = request.form.get("X-Amz-Date", "")
        expires = request.form.get("X-Amz-Expires", "")
        if not re.fullmatch(r"[0-9]{1,6}", expires) or not 1 <= int(expires) <= MAX_EXPIRES:
            raise _incomplete("X-Amz-Expires must be from 1 to 604800 seconds")
        if not re.fullmatch(r"[0-9a-f]{64}", signature) or not re.fullmatch(r"[a-z0-9;_\-]{1,1024}", signed):
            raise _incomplete("X-Amz-Signature or X-Amz-SignedHeaders")
    else:
        return None
    headers = tuple(signed.split(";"))
    if "host" not in headers:
        raise _incomplete("the host header is not signed")
    access_key, *scope = credential.split("/")
    if not access_key or len(scope) != 4 or scope[3] != "aws4_request":
        raise _incomplete("Credential must be KEY/date/region/service/aws4_request")
    signed_at = parse_amz_date(date_text)
    if scope[0] != date_text[:8]:
        raise auth_failure("The date of the credential scope is not that of the request.")
    return Claim(
        version=4,
        access_key=access_key,
        signature=signature,
        signed_at=signed_at,
        expires_at=signed_at + timedelta(seconds=int(expires)) if expires else None,
        scope=tuple(scope),
        signed_headers=headers,
        date_text=date_text,
    )


def _header_date(request: HttpRequest) -> str:
    if "x-amz-date" in request.headers:
        return request.headers["x-amz-date"]
    try:
        moment = parsedate_to_datetime(request.headers.get("date", ""))
    except (TypeError, ValueError):
        raise _incomplete("no X-Amz-Date") from None
    return f"{moment:%Y%m%dT%H%M%SZ}"


def _canonical_query(query: str) -> str:
    pairs = []
    for pair in query.split("&"):
        if not pair:
            continue
        name, _, value = pair.partition("=")
        name, value = unquote_plus(name), unquote_plus(value)
        if name != "X-Amz-Signature":
            pairs.append((quote(name, safe="-_.~"), quote(value, safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _canonical_headers(request: HttpRequest, names: tuple[str, ...]) -> str:
    lines = []
    for name in names:
        if name not in request.headers:
            raise auth_failure(f"The signed header {name} is not in the request.")
        lines.append(f"{name}:{' '.join(request.headers[name].split())}\n")
    return "".join(lines)


def _sign(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature_v4(secret: str, claim: Claim, request: HttpRequest) -> str:
    """The signature that the owner of ``secret`` would have made of this request, as 64 hex digits."""
    canonical = "\n".join(
        [
            request.method,
            request.path or "/",
            _canonical_query(request.query),
            _canonical_headers(request, claim.signed_headers),
            ";".join(claim.signed_headers),
            hashlib.sha256(request.body).hexdigest(),
        ]
    )
    text = "\n".join(
        [
            ALGORITHM,
            claim.date_text,
            "/".join(claim.scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in claim.scope:
        key = _sign(key, part)
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
