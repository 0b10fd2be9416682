"""Another instance type: EC2 changes it at once, Nova by a resize that has to be confirmed."""

from __future__ import annotations

import time
from typing import Any, Mapping

from osg_site_iaas.ec2.actions.registry import Call
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.backend.servers import Document
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.states import state_of

WAIT = 40.0  # seconds that a call waits for Nova to move the disk; clients give a call a minute
PAUSE = 0.5


def _incorrect(server: Mapping[str, Any], why: str) -> Ec2Error:
    return Ec2Error("IncorrectInstanceState", f"The instance '{ec2_id('i', server['id'])}' {why}.")


def _act(call: Call, server: Mapping[str, Any], body: Mapping[str, Any]) -> None:
    try:
        call.cloud.request("POST", "compute", f"/servers/{server['id']}/action", body=body)
    except RefusedError as error:
        if error.status in (400, 409):
            raise Ec2Error("IncorrectInstanceState", error.message) from error
        raise translate(error) from error


def resize(call: Call, server: Document, name: str) -> None:
    """Give a stopped server another flavour, and confirm it as soon as Nova has moved it.

    Where that takes longer than a call may, it goes on: StartInstances confirms what is there then.
    """
    if state_of(server).name != "stopped":
        raise _incorrect(server, "is not in the 'stopped' state")
    flavours = call.lookups.flavours(call.cloud, call.project)
    if name not in flavours:
        raise invalid_value("instanceType", name[:60], "It is none of this cloud's")
    if (server.get("flavor") or {}).get("original_name") == name:
        return
    _act(call, server, {"resize": {"flavorRef": flavours[name]["id"]}})
    settled = settle(call, server)
    if settled["status"] == "ERROR":
        raise Ec2Error("InternalError", "The instance could not be moved to the other type.", 500)
    if settled["status"] == "SHUTOFF" and (settled.get("flavor") or {}).get("original_name") != name:
        raise Ec2Error("InsufficientInstanceCapacity", f"No host has room for an instance of {name}.", 500)


def settle(call: Call, server: Document) -> Document:
    """The server when Nova is done with its resize, which is confirmed; as it is where that takes too long."""
    limit, confirmed = time.monotonic() + WAIT, False
    while time.monotonic() < limit:
        found = call.views.one(call.cloud, server["id"])
        if found is None:
            raise _incorrect(server, "is terminated")
        busy = found["status"] == "RESIZE" or found.get("OS-EXT-STS:task_state")
        if found["status"] == "VERIFY_RESIZE" and not busy and not confirmed:
            _act(call, server, {"confirmResize": None})
            confirmed = True
        elif not busy and found["status"] != "VERIFY_RESIZE":
            return found
        time.sleep(PAUSE)
    return call.views.one(call.cloud, server["id"]) or server
