"""Every state that Nova has is a state in EC2; what is gone or failed is said so, and why."""

from __future__ import annotations

import pytest

from osg_site_iaas.ec2.states import CODES, STATUS, failed_launch, state_of

RAN = {"OS-SRV-USG:launched_at": "2026-01-01T00:00:00"}

# Nova's API documents these and no others.
NOVA = (
    "ACTIVE",
    "BUILD",
    "DELETED",
    "ERROR",
    "HARD_REBOOT",
    "MIGRATING",
    "PASSWORD",
    "PAUSED",
    "REBOOT",
    "REBUILD",
    "RESCUE",
    "RESIZE",
    "REVERT_RESIZE",
    "SHELVED",
    "SHELVED_OFFLOADED",
    "SHUTOFF",
    "SOFT_DELETED",
    "SUSPENDED",
    "UNKNOWN",
    "VERIFY_RESIZE",
)


@pytest.mark.parametrize("status", NOVA)
def test_every_status_of_nova_is_in_the_table(status):
    assert status in STATUS
    assert STATUS[status].name in CODES


@pytest.mark.parametrize(
    "server, name, reason",
    [
        ({"status": "ACTIVE"}, "running", None),
        ({"status": "BUILD"}, "pending", None),
        ({"status": "SHUTOFF"}, "stopped", "Client.UserInitiatedShutdown"),
        ({"status": "PAUSED"}, "stopped", "Client.UserInitiatedShutdown"),
        ({"status": "RESCUE"}, "running", None),
        ({"status": "VERIFY_RESIZE"}, "running", None),
        ({"status": "SOFT_DELETED"}, "terminated", "Client.UserInitiatedShutdown"),
        ({"status": "DELETED"}, "terminated", "Client.UserInitiatedShutdown"),
        ({"status": "UNKNOWN"}, "running", None),
        ({"status": "SOMETHING_NEW"}, "running", None),
        ({}, "running", None),
        ({"status": "ERROR", **RAN}, "stopped", "Server.InternalError"),
        ({"status": "ERROR"}, "terminated", "Server.InternalError"),
        (
            {"status": "ERROR", "fault": {"message": "No valid host was found."}},
            "terminated",
            "Server.InsufficientInstanceCapacity",
        ),
        (
            {"status": "ACTIVE", "OS-EXT-STS:task_state": "deleting"},
            "shutting-down",
            "Client.UserInitiatedShutdown",
        ),
        (
            {"status": "ACTIVE", "OS-EXT-STS:task_state": "powering-off"},
            "stopping",
            "Client.UserInitiatedShutdown",
        ),
        ({"status": "SHUTOFF", "OS-EXT-STS:task_state": "powering-on"}, "pending", None),
        ({"status": "ACTIVE", "OS-EXT-STS:task_state": "image_snapshot"}, "running", None),
        ({"status": "ACTIVE", "OS-EXT-STS:task_state": "networking"}, "running", None),
    ],
)
def test_a_server_is_in_the_state_that_it_is_in(server, name, reason):
    state = state_of(server)
    assert (name, reason) == (state.name, state.reason.code if state.reason else None)


def test_only_a_server_that_never_ran_is_a_failed_launch():
    assert failed_launch({"status": "ERROR"})
    assert not failed_launch({"status": "ERROR", **RAN})
    assert not failed_launch({"status": "ACTIVE"})


def test_a_fault_of_any_length_fits_a_reason():
    state = state_of({"status": "ERROR", "fault": {"message": "x" * 5000}})
    assert state.reason is not None
    assert len(state.reason.message) <= 255
