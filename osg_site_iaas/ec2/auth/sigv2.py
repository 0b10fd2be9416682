"""Signature version 2, which older clients send: parameters signed with a Timestamp or an Expires."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import datetime, timedelta, timezone
from typing import Optional
from urllib.parse import quote

from osg_site_iaas.ec2.auth.request import MAX_EXPIRES, Claim, HttpRequest
from osg_site_iaas.ec2.errors import Ec2Error, auth_failure
from osg_site_iaas.ec2.protocol.parse import parse_timestamp

DIGESTS = {"HmacSHA256": hashlib.sha256, "HmacSHA1": hashlib.sha1}


def read_v2(request: HttpRequest) -> Optional[Claim]:
    """The claim of a request signed by version 2; None where it carries no such signature."""
    form = request.form
    version = form.get("SignatureVersion")
    if version is None or "Signature" not in form:
        return None
    if version != "2":
        raise auth_failure("Only signature versions 2 and 4 are accepted.")
    if form.get("SignatureMethod") not in DIGESTS:
        raise auth_failure("The SignatureMethod must be HmacSHA256 or HmacSHA1.")
    if ("Timestamp" in form) == ("Expires" in form):
        raise Ec2Error("InvalidParameterCombination", "Give one of Timestamp and Expires", 400)
    try:
        moment = parse_timestamp(form.get("Timestamp") or form["Expires"])
    except ValueError:
        raise auth_failure("The Timestamp or Expires is not an ISO 8601 time.") from None
    expires = moment if "Expires" in form else None
    now = datetime.now(timezone.utc)
    if expires is not None and expires > now + timedelta(seconds=MAX_EXPIRES):
        raise auth_failure("The Expires lies more than 7 days ahead.")
    return Claim(
        version=2,
        access_key=form.get("AWSAccessKeyId", ""),
        signature=form["Signature"],
        signed_at=now if expires else moment,
        expires_at=expires,
        method=form["SignatureMethod"],
    )


def signature_v2(secret: str, claim: Claim, request: HttpRequest) -> str:
    """The signature that the owner of ``secret`` would have made of this request, in base64."""
    pairs = sorted((name.encode(), value) for name, value in request.form.items() if name != "Signature")
    query = "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)
    text = f"{request.method}\n{request.headers.get('host', '').lower()}\n{request.path or '/'}\n{query}"
    digest = hmac.new(secret.encode(), text.encode(), DIGESTS[claim.method]).digest()
    return base64.b64encode(digest).decode("ascii")
