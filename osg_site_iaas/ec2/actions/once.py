"""A ClientToken makes a thing once: by the host's own memory, and by what OpenStack itself still knows."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any, Callable, Optional

from osg_site_iaas.ec2.actions.registry import Call, Parameters
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, unavailable

WAIT = 40.0  # seconds that a second request with one ClientToken waits for the first

Things = list[dict[str, Any]]


def digest_of(parameters: Parameters) -> str:
    """What two requests with one token must have in common."""
    kept = {name: value for name, value in parameters.items() if name not in ("ClientToken", "DryRun")}
    return hashlib.sha256(json.dumps(kept, sort_keys=True, default=str).encode()).hexdigest()[:32]


def mismatch() -> Ec2Error:
    return Ec2Error(
        "IdempotentParameterMismatch", "The client token has been used before, with other parameters."
    )


def once(
    call: Call,
    parameters: Parameters,
    find: Callable[[str, str], Things],
    make: Callable[[str], Things],
) -> tuple[Things, bool]:
    """(what was made, whether an earlier request made it).

    ``find`` looks in OpenStack for what carries a token, ``make`` makes it with a digest of the parameters.
    """
    token, digest = parameters.get("ClientToken"), digest_of(parameters)
    if not token:
        return make(digest), False
    if len(token) > 64 or not token.isascii():
        raise invalid_value("ClientToken", token[:100], "It has at most 64 ASCII characters")
    first = call.store.reserve(call.project, token, digest)
    if first is not None:
        return _await(call, token, digest, *first), True
    try:
        found = find(token, digest)
        made = found or make(digest)
    except Ec2Error as error:
        # OpenStack may still have made what it did not answer about: the token stays taken until that can be seen.
        if error.status == 503:
            call.store.doubt(call.project, token)
        else:
            call.store.release(call.project, token)
        raise
    except BaseException:
        call.store.release(call.project, token)
        raise
    call.store.fulfil(call.project, token, made)
    return made, bool(found)


def _await(call: Call, token: str, digest: str, first: str, made: Optional[Things]) -> Things:
    if first != digest:
        raise mismatch()
    limit = time.monotonic() + WAIT
    while made is None:
        if time.monotonic() > limit:
            raise unavailable("compute", "the first request with this client token has not ended")
        time.sleep(0.1)
        found = call.store.reserve(call.project, token, digest)
        if found is None:  # the first has failed and given the token back
            call.store.release(call.project, token)
            raise unavailable("compute", "the first request with this client token has failed; send it again")
        made = found[1]
    return made
