"""Deletes servers whose guest has shut itself down and which were started to terminate on that.

EC2 terminates such an instance by itself, whether anybody polls or not. Nova only stops it, and it holds its quota.
"""

from __future__ import annotations

import functools
import logging
import secrets
from dataclasses import dataclass
from typing import Any, Callable, Iterable, Mapping, Optional

from keystoneauth1.exceptions.http import Forbidden, Unauthorized
from keystoneauth1.identity.v3 import Token
from keystoneauth1.session import Session

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.backend.http import PAGE, Cloud, Pool, RefusedError
from osg_site_iaas.ec2.errors import Ec2Error

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reaped:
    """What one round did: ids of servers deleted, and of those that could not be, with the reason."""

    deleted: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def is_candidate(server: Mapping[str, Any]) -> bool:
    """Whether a server is stopped, rests, and was started to terminate on shutdown."""
    return (
        server.get("status") == "SHUTOFF"
        and not server.get("OS-EXT-STS:task_state")
        and not server.get("locked")
        and (server.get("metadata") or {}).get(marks.SHUTDOWN) == "terminate"
    )


def stopped_by_guest(actions: Iterable[Mapping[str, Any]]) -> bool:
    """Whether the newest stop was nobody's: Nova records a guest's own shutdown as a stop without a user.

    A server that was stopped through the API (EC2's StopInstances, or Nova's own) has a user there, and is kept.
    """
    stops = [one for one in actions if one.get("action") in ("stop", "start", "reboot")]
    if not stops:
        return False
    newest = max(stops, key=lambda one: str(one.get("start_time")))
    return newest["action"] == "stop" and not newest.get("user_id")


Within = Callable[[str], Optional[Cloud]]


def cloud_of(session: Any, interface: str, region: str, pool: Pool) -> Cloud:
    """Nova, with the token of a session."""
    url = session.get_endpoint(service_type="compute", interface=interface, region_name=region)
    return Cloud(pool, session.get_token(), {"compute": str(url).rstrip("/")}, f"req-{secrets.token_hex(16)}")


def projects_of(session: Any, interface: str, region: str, pool: Pool) -> Within:
    """The reaper in a given project: its token exchanged for one there; None where it has no role there.

    Nova shows a server of another project by its id to administrators only, whatever its policy says.
    """

    @functools.cache
    def within(project: str) -> Optional[Cloud]:
        auth = Token(session.auth.auth_url, token=session.get_token(), project_id=project)
        there = Session(auth=auth, verify=session.verify, cert=session.cert, timeout=session.timeout)
        try:
            return cloud_of(there, interface, region, pool)
        except (Unauthorized, Forbidden) as error:
            LOG.warning("no role in project %s: %s", project, error)
            return None

    return within


def reap(cloud: Cloud, within: Within) -> Reaped:
    """One round over all projects. What fails is tried again in the next one."""
    query = {"all_tenants": 1, "status": "SHUTOFF", "limit": PAGE}
    deleted, failed = [], []
    for server in cloud.pages("compute", "/servers/detail", "servers", query):
        if not is_candidate(server):
            continue
        key = str(server["id"])
        try:
            ended = _end(server, cloud, within)
        except (RefusedError, Ec2Error) as error:
            LOG.warning("server %s cannot be deleted now: %s", key, error)
            failed.append((key, str(error)))
            continue
        if ended:
            LOG.info("deleted server %s: its guest has shut down", key)
            deleted.append(key)
    return Reaped(tuple(deleted), tuple(failed))


def _end(server: Mapping[str, Any], cloud: Cloud, within: Within) -> bool:
    """Delete the server if it was its guest that stopped it: as who the reaper is, else as a user of its project."""
    try:
        return _delete_if_guest_stopped(cloud, str(server["id"]))
    except RefusedError as error:
        if error.status not in (403, 404):
            raise
        there = within(str(server["tenant_id"]))
        if there is None:
            raise
        return _delete_if_guest_stopped(there, str(server["id"]))


def _delete_if_guest_stopped(cloud: Cloud, key: str) -> bool:
    if not stopped_by_guest(cloud.get("compute", f"/servers/{key}/os-instance-actions")["instanceActions"]):
        return False
    cloud.request("DELETE", "compute", f"/servers/{key}")
    return True
