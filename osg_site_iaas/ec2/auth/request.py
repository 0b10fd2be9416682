"""A request as it came over the wire, and who it claims to be from."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Mapping, Optional

from osg_site_iaas.ec2.errors import Ec2Error, auth_failure, request_expired

SKEW = 300  # seconds that a signer's clock may be off, either way; also how long a signature can be replayed
MAX_EXPIRES = 7 * 24 * 3600  # seconds; the longest presigned request


@dataclass(frozen=True)
class HttpRequest:
    """``path`` and ``query`` are as sent, still percent-encoded; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    form: Mapping[str, str]  # query and body together, decoded


@dataclass(frozen=True)
class Claim:
    """An unverified signature: who is said to have signed, when, and what remains to be compared."""

    version: int  # 2 or 4
    access_key: str
    signature: str
    signed_at: datetime
    expires_at: Optional[datetime] = None  # presigned requests
    scope: tuple[str, ...] = ()  # version 4: date, region, service, aws4_request
    signed_headers: tuple[str, ...] = ()
    method: str = "HmacSHA256"  # version 2
    date_text: str = field(default="", repr=False)


def check_time(claim: Claim, now: datetime) -> None:
    """Nothing; RequestExpired where the signature is too old, from the future or past its expiry."""
    skew = timedelta(seconds=SKEW)
    if claim.signed_at > now + skew:
        raise Ec2Error(
            "SignatureDoesNotMatch",
            f"Signature not yet current: {claim.signed_at:%Y%m%dT%H%M%SZ} is still later than"
            f" {now + skew:%Y%m%dT%H%M%SZ} ({now:%Y%m%dT%H%M%SZ} + 5 min.)",
            403,
        )
    if claim.expires_at is not None:
        if now > claim.expires_at:
            raise request_expired("Request has expired.")
    elif claim.signed_at < now - skew:
        raise request_expired(
            f"Request has expired. It was signed at {claim.signed_at:%Y-%m-%dT%H:%M:%SZ};"
            f" the time here is {now:%Y-%m-%dT%H:%M:%SZ}. Check your clock."
        )


def parse_amz_date(text: str) -> datetime:
    """The aware time of ``20260102T030405Z``; AuthFailure otherwise."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        raise auth_failure("The X-Amz-Date is not of the form YYYYMMDDTHHMMSSZ.") from None


def missing_token() -> Ec2Error:
    return Ec2Error("MissingAuthenticationToken", "The request is not signed.", 403)
