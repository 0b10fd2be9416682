"""Signed credentials as Keystone's ``/v3/ec2tokens`` wants them: of a client's request, or of one that we sign."""

from __future__ import annotations

import hashlib
from datetime import datetime, timezone
from typing import Any, Mapping

from osg_site_iaas.ec2.auth.request import Claim, HttpRequest
from osg_site_iaas.ec2.auth.sigv4 import ALGORITHM, signature_v4


def own_request(access_key: str, secret: str) -> dict[str, Any]:
    """Credentials for Keystone that the door signs itself, with a secret that it has just verified."""
    date = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%SZ}"
    scope = (date[:8], "door", "ec2", "aws4_request")
    headers = {"host": "door", "x-amz-date": date}
    claim = Claim(
        version=4,
        access_key=access_key,
        signature="",
        signed_at=datetime.now(timezone.utc),
        scope=scope,
        signed_headers=("host", "x-amz-date"),
        date_text=date,
    )
    signature = signature_v4(secret, claim, HttpRequest("POST", "/", "", headers, b"", {}))
    return _v4(claim, signature, "POST", "/", {"Host": "door", "X-Amz-Date": date}, b"", {})


def _v4(
    claim: Claim,
    signature: str,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    params: Mapping[str, str],
) -> dict[str, Any]:
    authorization = (
        f"{ALGORITHM} Credential={'/'.join((claim.access_key, *claim.scope))},"
        f" SignedHeaders={';'.join(claim.signed_headers)}, Signature={signature}"
    )
    return {
        "access": claim.access_key,
        "signature": signature,
        "host": next((value for name, value in headers.items() if name.lower() == "host"), ""),
        "verb": method,
        "path": path,
        "params": dict(params),
        "headers": {**headers, "Authorization": authorization},
        "body_hash": hashlib.sha256(body).hexdigest(),
    }


def clients_request(claim: Claim, request: HttpRequest) -> dict[str, Any]:
    """The client's own signature, for Keystone to verify."""
    if claim.version == 2:
        params = {name: value for name, value in request.form.items() if name != "Signature"}
        return {
            "access": claim.access_key,
            "signature": claim.signature,
            "host": request.headers.get("host", "").lower(),
            "verb": request.method,
            "path": request.path or "/",
            "params": params,
        }
    # Keystone reads these two by exactly these names; it collapses no spaces, so that is done here.
    headers = {
        name: " ".join(request.headers[name].split())
        for name in claim.signed_headers
        if name in request.headers
    }
    if "x-amz-date" in headers:
        headers["X-Amz-Date"] = headers.pop("x-amz-date")
    headers.setdefault("X-Amz-Date", claim.date_text)
    in_query = claim.expires_at is not None
    params = (
        {name: value for name, value in request.form.items() if name != "X-Amz-Signature"} if in_query else {}
    )
    if request.method != "POST" and not in_query:
        params = dict(request.form)
    return _v4(claim, claim.signature, request.method, request.path or "/", headers, request.body, params)
