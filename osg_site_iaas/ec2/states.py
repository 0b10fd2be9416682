"""What each state of a Nova server is in EC2, and why: one table that knows every state that Nova has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

CODES = {
    "pending": 0,
    "running": 16,
    "shutting-down": 32,
    "terminated": 48,
    "stopping": 64,
    "stopped": 80,
}


@dataclass(frozen=True)
class Reason:
    """EC2's stateReason. HTCondor holds a job on a code that it does not know."""

    code: str
    message: str


@dataclass(frozen=True)
class State:
    name: str
    reason: Optional[Reason] = None

    @property
    def code(self) -> int:
        return CODES[self.name]

    def as_ec2(self) -> dict[str, Any]:
        return {"Code": self.code, "Name": self.name}


USER = Reason("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown")
GUEST = Reason(
    "Client.InstanceInitiatedShutdown", "Client.InstanceInitiatedShutdown: Instance initiated shutdown"
)
FAULT = Reason("Server.InternalError", "Server.InternalError: Internal error on launch")

# Nova's status → EC2's state. A paused, suspended, shelved or rescued server keeps its disk and can come
# back, as a stopped one of EC2 does. ERROR of a server that never ran is a failed launch: EC2 calls that
# terminated, and the door deletes such a server so that it is (see ``failed_launch``).
STATUS: Mapping[str, State] = {
    "ACTIVE": State("running"),
    "BUILD": State("pending"),
    "REBUILD": State("pending"),
    "REBOOT": State("running"),
    "HARD_REBOOT": State("running"),
    "PASSWORD": State("running"),
    "MIGRATING": State("running"),
    "RESIZE": State("running"),
    "VERIFY_RESIZE": State("running"),
    "REVERT_RESIZE": State("running"),
    "RESCUE": State("running"),
    "PAUSED": State("stopped", USER),
    "SUSPENDED": State("stopped", USER),
    "SHUTOFF": State("stopped", USER),
    "SHELVED": State("stopped", USER),
    "SHELVED_OFFLOADED": State("stopped", USER),
    "ERROR": State("stopped", FAULT),
    "SOFT_DELETED": State("terminated", USER),
    "DELETED": State("terminated", USER),
    "UNKNOWN": State("running"),
}

# What a server is on its way to, whatever its status still is.
TASKS: Mapping[str, State] = {
    "deleting": State("shutting-down", USER),
    "soft-deleting": State("shutting-down", USER),
    "powering-off": State("stopping", USER),
    "suspending": State("stopping", USER),
    "pausing": State("stopping", USER),
    "shelving": State("stopping", USER),
    "shelving_offloading": State("stopped", USER),
    "powering-on": State("pending"),
    "resuming": State("pending"),
    "unpausing": State("pending"),
    "unshelving": State("pending"),
    "spawning": State("pending"),
    "scheduling": State("pending"),
    "block_device_mapping": State("pending"),
    "networking": State("pending"),
}


# A server on its way to another size or host may be switched off meanwhile: Nova's status does not tell.
MOVING = ("RESIZE", "VERIFY_RESIZE", "REVERT_RESIZE", "MIGRATING")
SHUTDOWN = 4  # Nova's power state of a machine that is off


def is_moving_while_off(server: Mapping[str, Any]) -> bool:
    return server.get("status") in MOVING and server.get("OS-EXT-STS:power_state") == SHUTDOWN


def failed_launch(server: Mapping[str, Any]) -> bool:
    """Whether the server is one that could not be started at all: ERROR, and it never ran."""
    return server.get("status") == "ERROR" and not server.get("OS-SRV-USG:launched_at")


def state_of(server: Mapping[str, Any]) -> State:
    """The EC2 state of a server as Nova describes it. A status that this table does not know is ``running``.

    Running is the one answer on which no client gives a server up or starts another in its place.
    """
    status = str(server.get("status", "UNKNOWN"))
    if failed_launch(server):
        fault = str((server.get("fault") or {}).get("message", ""))
        if "No valid host" in fault:
            capacity = "Server.InsufficientInstanceCapacity"
            return State("terminated", Reason(capacity, f"{capacity}: {fault}"[:255]))
        return State(
            "terminated", Reason(FAULT.code, f"{FAULT.message}: {fault}"[:255] if fault else FAULT.message)
        )
    if status in ("DELETED", "SOFT_DELETED"):
        return STATUS[status]
    task = TASKS.get(str(server.get("OS-EXT-STS:task_state") or ""))
    if task is not None and not (status == "ACTIVE" and task.name == "pending"):
        return task
    if is_moving_while_off(server):
        return State("stopped", USER)
    return STATUS.get(status, State("running"))
