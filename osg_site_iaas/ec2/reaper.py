"""Deletes servers whose guest has shut itself down and which were started to terminate on that.

EC2 terminates such an instance by itself, whether anybody polls or not. Nova only stops it, and it holds its quota.
"""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from typing import Any, Iterable, Mapping

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


def cloud_of(session: Any, interface: str, region: str, pool: Pool) -> Cloud:
    """Nova, with the reaper's own token."""
    url = session.get_endpoint(service_type="compute", interface=interface, region_name=region)
    return Cloud(pool, session.get_token(), {"compute": str(url).rstrip("/")}, f"req-{secrets.token_hex(16)}")


def reap(cloud: Cloud) -> Reaped:
    """One round over all projects. What fails is tried again in the next one."""
    query = {"all_tenants": 1, "status": "SHUTOFF", "limit": PAGE}
    deleted, failed = [], []
    for server in cloud.pages("compute", "/servers/detail", "servers", query):
        if not is_candidate(server):
            continue
        key = str(server["id"])
        try:
            actions = cloud.get("compute", f"/servers/{key}/os-instance-actions")["instanceActions"]
            if not stopped_by_guest(actions):
                continue
            cloud.request("DELETE", "compute", f"/servers/{key}")
        except (RefusedError, Ec2Error) as error:
            LOG.warning("server %s cannot be deleted now: %s", key, error)
            failed.append((key, str(error)))
            continue
        LOG.info("deleted server %s: its guest has shut down", key)
        deleted.append(key)
    return Reaped(tuple(deleted), tuple(failed))
