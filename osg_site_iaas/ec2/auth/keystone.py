"""EC2 keys as Keystone has them, in one of two modes.

``secrets``: the door may read EC2 secrets and verifies signatures itself; Keystone is asked once in
``grant_seconds``. ``service``: the door holds no secret; every signature is sent to Keystone to be verified. In both a
ban or a revocation takes effect within ``grant_seconds``, and the token for OpenStack is kept for up to half its life
while Keystone confirms the same user, project and roles.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Mapping, Optional

from osg_site_iaas.ec2.auth.credentials import clients_request, own_request
from osg_site_iaas.ec2.auth.request import Claim, HttpRequest
from osg_site_iaas.ec2.auth.verify import matches, verify
from osg_site_iaas.ec2.backend.http import endpoints
from osg_site_iaas.ec2.errors import Ec2Error, auth_failure, internal, signature_mismatch, unavailable

LOG = logging.getLogger(__name__)
KEPT = 10_000  # access keys remembered by one worker, known and unknown
UNKNOWN_SECONDS = 5  # how long an unknown access key is not asked for again


@dataclass(frozen=True)
class Grant:
    """What a verified access key may do, until ``until`` (monotonic seconds)."""

    access_key: str
    user_id: str
    user_name: str
    project_id: str
    project_name: str
    roles: tuple[str, ...]
    token: str = field(repr=False)
    urls: Mapping[str, str] = field(repr=False)
    until: float = 0.0
    token_until: float = 0.0  # the token is replaced then, well before it expires
    secret: Optional[str] = field(default=None, repr=False)


class Keystone:
    """Turns signed requests into grants.

    ``session`` is a keystoneauth session of the door's own user with the role ``service``; ``reader`` one that may
    read credentials (role ``reader`` on the system), for the mode ``secrets``.
    """

    def __init__(
        self,
        session: Any,
        *,
        mode: str,
        grant_seconds: int,
        interface: str,
        region: Optional[str],
        reader: Any = None,
    ) -> None:
        if mode not in ("secrets", "service"):
            raise ValueError(f"no such mode: {mode}")
        self._session = session
        self._reader = reader or session
        self._mode = mode
        self._seconds = grant_seconds
        self._interface = interface
        self._region = region
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lock = threading.Lock()
        self._flights: dict[str, threading.Lock] = {}
        self.asked = 0  # requests to Keystone

    def grant(self, claim: Claim, request: HttpRequest) -> Grant:
        """The grant of the request's signer; EC2's authentication errors otherwise."""
        if self._mode == "service":
            return self._by_keystone(claim, request)
        grant = self._kept(claim.access_key)
        if grant is None:
            with self._flight(claim.access_key):
                grant = self._kept(claim.access_key) or self._fetch(claim, request)
        if grant.secret is None:
            raise internal()
        verify(claim, grant.secret, request)
        return grant

    def forget(self, access_key: str) -> None:
        """Ask Keystone again at the next request, for instance because a service refused the token."""
        with self._lock:
            self._grants.pop(access_key, None)

    def _kept(self, access_key: str) -> Optional[Grant]:
        now = time.monotonic()
        with self._lock:
            grant = self._grants.get(access_key)
            if grant is not None and grant.until > now:
                return grant
            if self._unknown.get(access_key, 0) > now:
                raise auth_failure()
        return None

    def _flight(self, access_key: str) -> threading.Lock:
        with self._lock:
            if len(self._flights) > KEPT:
                self._flights.clear()
            return self._flights.setdefault(access_key, threading.Lock())

    def _keep(self, grant: Grant) -> Grant:
        with self._lock:
            self._grants[grant.access_key] = grant
            self._grants.move_to_end(grant.access_key)
            while len(self._grants) > KEPT:
                self._grants.popitem(last=False)
        return grant

    def _earlier(self, access_key: str) -> Optional[Grant]:
        """The last grant of a key, trusted still or not."""
        with self._lock:
            return self._grants.get(access_key)

    def _renew(self, grant: Grant) -> Grant:
        """Keep a grant. It goes on with the key's last token: a new one would cost each service a request."""
        old, now = self._earlier(grant.access_key), time.monotonic()
        if old is not None and old.token_until > now and _same(old, grant):
            grant = replace(grant, token=old.token, token_until=old.token_until)
        return self._keep(grant)

    def _reject(self, access_key: str) -> Ec2Error:
        with self._lock:
            self._grants.pop(access_key, None)
            self._unknown[access_key] = time.monotonic() + UNKNOWN_SECONDS
            while len(self._unknown) > KEPT:
                self._unknown.popitem(last=False)
        return auth_failure()

    def _fetch(self, claim: Claim, request: HttpRequest) -> Grant:
        old = self._earlier(claim.access_key)
        if old is not None and old.secret is not None and matches(claim, old.secret, request):
            # Keystone still knows the key by this secret, or else it is read anew.
            grant = self._exchange(own_request(claim.access_key, old.secret), claim.access_key)
            if grant is not None:
                return self._renew(replace(grant, secret=old.secret))
        secret = self._secret(claim.access_key)
        verify(claim, secret, request)  # before anything more is spent on it
        grant = self._exchange(own_request(claim.access_key, secret), claim.access_key)
        if grant is None:
            raise self._reject(claim.access_key)
        return self._renew(replace(grant, secret=secret))

    def _by_keystone(self, claim: Claim, request: HttpRequest) -> Grant:
        grant = self._exchange(clients_request(claim, request), claim.access_key)
        if grant is None:
            raise signature_mismatch() if self._kept(claim.access_key) else auth_failure()
        return self._renew(grant)

    def _ask(self, session: Any, method: str, path: str, **options: Any) -> Any:
        from keystoneauth1 import exceptions

        self.asked += 1
        try:
            return session.request(
                f"{session.auth.auth_url.rstrip('/').removesuffix('/v3')}/v3{path}",
                method,
                authenticated=True,
                raise_exc=False,
                connect_retries=1,
                **options,
            )
        except exceptions.Unauthorized as error:
            LOG.error("Keystone refuses the door's own credential")
            raise unavailable("identity", "the door cannot log in to it") from error
        except exceptions.ClientException as error:
            LOG.error("Keystone cannot be asked: %s", type(error).__name__)
            raise unavailable("identity", "it cannot be reached") from error

    def _secret(self, access_key: str) -> str:
        # Keystone's credential id of an EC2 key is a digest of the access key: no list is needed.
        digest = hashlib.sha256(access_key.encode()).hexdigest()
        answer = self._ask(self._reader, "GET", f"/credentials/{digest}")
        if answer.status_code == 404:
            raise self._reject(access_key)
        if answer.status_code != 200:
            LOG.error("Keystone answered %s to the door's reading of a credential", answer.status_code)
            raise unavailable("identity", f"it answered {answer.status_code} to the door")
        credential = answer.json()["credential"]
        if credential.get("type") != "ec2":
            raise self._reject(access_key)
        return str(json.loads(credential["blob"])["secret"])

    def _exchange(self, credentials: Mapping[str, Any], access_key: str) -> Optional[Grant]:
        """The grant that Keystone gives for signed credentials; None where it does not accept them."""
        answer = self._ask(self._session, "POST", "/ec2tokens", json={"credentials": credentials})
        if answer.status_code in (401, 400, 404):
            return None
        if answer.status_code != 200:
            LOG.error("Keystone answered %s to the door's exchange of a signature", answer.status_code)
            raise unavailable("identity", f"it answered {answer.status_code} to the door")
        token = answer.json()["token"]
        now = time.monotonic()
        return Grant(
            access_key=access_key,
            user_id=token["user"]["id"],
            user_name=token["user"]["name"],
            project_id=token["project"]["id"],
            project_name=token["project"]["name"],
            roles=tuple(sorted(role["name"] for role in token.get("roles", ()))),
            token=answer.headers["X-Subject-Token"],
            urls=endpoints(token["catalog"], self._interface, self._region),
            until=now + self._seconds,
            token_until=now + _life(token) / 2,
        )


def _same(old: Grant, new: Grant) -> bool:
    """Whether the old token lets its bearer do what the new one does."""
    return (old.user_id, old.project_id, old.roles, old.urls) == (
        new.user_id,
        new.project_id,
        new.roles,
        new.urls,
    )


def _life(token: Mapping[str, Any]) -> float:
    """Seconds from a token's issue to its end, both by Keystone's clock."""
    try:
        ends, begins = (
            datetime.strptime(token[name], "%Y-%m-%dT%H:%M:%S.%f%z") for name in ("expires_at", "issued_at")
        )
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (ends - begins).total_seconds()
