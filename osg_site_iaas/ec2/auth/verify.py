"""One claim from a request, and whether a secret made it."""

from __future__ import annotations

import hmac
from datetime import datetime

from osg_site_iaas.ec2.auth.request import Claim, HttpRequest, check_time, missing_token
from osg_site_iaas.ec2.auth.sigv2 import read_v2, signature_v2
from osg_site_iaas.ec2.auth.sigv4 import read_v4, signature_v4
from osg_site_iaas.ec2.errors import Ec2Error, auth_failure, signature_mismatch

MAX_ACCESS_KEY = 128


def read_claim(request: HttpRequest, now: datetime) -> Claim:
    """The claim of a request, checked in form and time; the signature itself is still to be verified."""
    claim = read_v4(request) or read_v2(request)
    if claim is None:
        raise missing_token()
    if not claim.access_key or len(claim.access_key) > MAX_ACCESS_KEY or not claim.access_key.isprintable():
        raise auth_failure("The access key is not valid.")
    if request.form.get("X-Amz-Security-Token") or request.form.get("SecurityToken"):
        raise _no_session_tokens()
    if request.headers.get("x-amz-security-token"):
        raise _no_session_tokens()
    check_time(claim, now)
    return claim


def matches(claim: Claim, secret: str, request: HttpRequest) -> bool:
    """Whether ``secret`` made the signature. Compared in constant time."""
    make = signature_v4 if claim.version == 4 else signature_v2
    return hmac.compare_digest(make(secret, claim, request).encode(), claim.signature.encode())


def verify(claim: Claim, secret: str, request: HttpRequest) -> None:
    """Nothing; SignatureDoesNotMatch unless ``secret`` made the signature."""
    if not matches(claim, secret, request):
        raise signature_mismatch()


def _no_session_tokens() -> Ec2Error:
    return Ec2Error("InvalidClientTokenId", "Session tokens are not given by this cloud.", 403)
