"""Start, stop, reboot and terminate; each says the state before and after."""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping, Optional, Pattern

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.describe import find_servers
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resizing import settle
from osg_site_iaas.ec2.backend.http import RefusedError, translate
from osg_site_iaas.ec2.backend.servers import Document
from osg_site_iaas.ec2.errors import Ec2Error, missing
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.ec2.states import CODES, is_moving_while_off, state_of


def _wanted(call: Call, parameters: Parameters) -> dict[str, Document]:
    ids = parameters.get("InstanceIds")
    if not ids:
        raise missing("InstanceId")
    return find_servers(call, list(dict.fromkeys(ids)))


def _state(name: str) -> dict[str, Any]:
    return {"Code": CODES[name], "Name": name}


def _change(server: Document, current: str) -> dict[str, Any]:
    # libcloud takes the first state in the document for the current one, as AWS orders them.
    return {
        "InstanceId": ec2_id("i", server["id"]),
        "CurrentState": _state(current),
        "PreviousState": state_of(server).as_ec2(),
    }


def _incorrect(server: Document, verb: str, why: str = "") -> Ec2Error:
    name = ec2_id("i", server["id"])
    return Ec2Error(
        "IncorrectInstanceState",
        f"The instance '{name}' is not in a state from which it can be {verb}"
        f" ({why or state_of(server).name}).",
    )


# What Nova says in its refusal of a server that is on its way already to what was asked for, or is there: EC2
# answers such a request as any other. Nova is asked each time, because only it knows how the server is now.
UNDER_WAY: Mapping[str, Pattern[str]] = {
    "rebooted": re.compile(r"task_state reboot"),
    "started": re.compile(r"(task_state powering-on|vm_state active)\b"),
    "stopped": re.compile(r"task_state powering-off\b|vm_state (stopped|paused|suspended|shelved)"),
}


def _act(call: Call, work: Mapping[str, Callable[[], Any]]) -> None:
    """All at once; what was changed is read again by every worker, also where one of them failed."""
    if not work:
        return
    try:
        call.cloud.gather(*work.values())
    finally:
        call.store.change(call.project, list(work))


def _post(call: Call, server: Document, body: Mapping[str, Any], verb: str) -> Callable[[], Any]:
    def step() -> None:
        try:
            call.cloud.request("POST", "compute", f"/servers/{server['id']}/action", body=body)
        except RefusedError as error:
            if error.status != 409:
                raise translate(error) from error
            if not UNDER_WAY[verb].search(error.message):
                raise _incorrect(server, verb, error.message) from error

    return step


@action(
    "InstanceIds",
    only={"Force": (False,), "SkipOsShutdown": (False,)},
    requests="1 an instance, and 1 or 2 to read them (up to 10 where no list is kept)",
    notes="Idempotent: one that is terminated already is answered as such.",
)
def terminate_instances(call: Call, parameters: Parameters) -> Answer:
    servers = _wanted(call, parameters)
    for server in servers.values():
        if (server.get("metadata") or {}).get(marks.PROTECTED) and state_of(server).name != "terminated":
            raise Ec2Error(
                "OperationNotPermitted",
                f"The instance '{ec2_id('i', server['id'])}' may not be terminated. Modify its"
                " 'disableApiTermination' instance attribute and try again.",
            )
    living = {key: one for key, one in servers.items() if state_of(one).name != "terminated"}
    call.store.bury(call.project, {key: {**one, "status": "DELETED"} for key, one in living.items()})
    _act(call, {key: _delete(call, one) for key, one in living.items()})
    return {
        "TerminatingInstances": [
            _change(one, "shutting-down" if key in living else "terminated") for key, one in servers.items()
        ]
    }


def _delete(call: Call, server: Document) -> Callable[[], Any]:
    def step() -> None:
        try:
            call.cloud.request("DELETE", "compute", f"/servers/{server['id']}")
        except RefusedError as error:
            if error.status == 409:
                raise Ec2Error("OperationNotPermitted", error.message) from error
            if error.status != 404:
                raise translate(error) from error

    return step


START: Mapping[str, Mapping[str, Any]] = {
    "SHUTOFF": {"os-start": None},
    "PAUSED": {"unpause": None},
    "SUSPENDED": {"resume": None},
    "SHELVED": {"unshelve": None},
    "SHELVED_OFFLOADED": {"unshelve": None},
}


@action(
    "InstanceIds",
    requests="1 an instance, and 1 or 2 to read them (up to 10 where no list is kept)",
    notes="One whose change of type waits to be confirmed in Nova is confirmed.",
)
def start_instances(call: Call, parameters: Parameters) -> Answer:
    servers = _wanted(call, parameters)
    work, changes = {}, []
    for key, server in servers.items():
        before = state_of(server).name
        if is_moving_while_off(server):
            server = settle(call, server)
        if before == "stopped" and server["status"] in START:
            work[key] = _post(call, server, START[server["status"]], "started")
            changes.append(_change(server, "pending"))
        elif before in ("running", "pending"):
            changes.append(_change(server, before))
        else:
            raise _incorrect(server, "started")
    _act(call, work)
    return {"StartingInstances": changes}


@action(
    "InstanceIds",
    only={"Hibernate": (False,), "SkipOsShutdown": (False,)},
    ignores={"Force": "Nova powers a guest off that does not shut down in its time"},
    requests="1 an instance, and 1 or 2 to read them (up to 10 where no list is kept)",
)
def stop_instances(call: Call, parameters: Parameters) -> Answer:
    servers = _wanted(call, parameters)
    work, changes = {}, []
    for key, server in servers.items():
        before = state_of(server).name
        if before == "running":
            work[key] = _post(call, server, {"os-stop": None}, "stopped")
            changes.append(_change(server, "stopping"))
        elif before in ("stopped", "stopping"):
            changes.append(_change(server, before))
        else:
            raise _incorrect(server, "stopped")
    _act(call, work)
    return {"StoppingInstances": changes}


@action(
    "InstanceIds",
    requests="1 an instance, and 1 or 2 to read them (up to 10 where no list is kept)",
    notes="A soft reboot.",
)
def reboot_instances(call: Call, parameters: Parameters) -> Optional[Answer]:
    servers = _wanted(call, parameters)
    for server in servers.values():
        if state_of(server).name != "running":
            raise _incorrect(server, "rebooted")
    _act(
        call,
        {key: _post(call, one, {"reboot": {"type": "SOFT"}}, "rebooted") for key, one in servers.items()},
    )
    return None
