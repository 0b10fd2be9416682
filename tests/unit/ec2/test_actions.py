"""What each action says of itself agrees with EC2's model, and what it does not understand is refused."""

from __future__ import annotations

import pytest

from osg_site_iaas.ec2.actions import load_actions
from osg_site_iaas.ec2.actions.lifecycle import UNDER_WAY
from osg_site_iaas.ec2.conformance import refused_paths, stray_paths
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.protocol.model import Model, load_model

ACTIONS = {name: action for name, action in load_actions().items() if action.service == "ec2"}


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(ACTIONS)


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_understands_nothing_that_ec2_does_not_have(model, name):
    assert name in model.operations
    assert stray_paths(model, ACTIONS[name]) == []


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_an_action_states_what_it_costs(name):
    assert ACTIONS[name].requests


def test_a_parameter_that_is_not_understood_is_refused_and_not_ignored():
    run = ACTIONS["RunInstances"]
    base = {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1}
    run.check(base)
    for more in (
        {"IamInstanceProfile": {"Name": "x"}},
        {"NetworkInterfaces": [{"DeviceIndex": 0, "Ipv6AddressCount": 1}]},
        {"EbsOptimized": True},
        {"CpuOptions": {}},
    ):
        with pytest.raises(Ec2Error) as caught:
            run.check({**base, **more})
        assert caught.value.code == "UnsupportedOperation"
    run.check({**base, "EbsOptimized": False})


def test_a_dry_run_ends_before_anything_is_done():
    with pytest.raises(Ec2Error) as caught:
        ACTIONS["TerminateInstances"].check({"InstanceIds": ["i-1"], "DryRun": True})
    assert caught.value.code == "DryRunOperation"


def test_a_refused_structure_is_named_once(model):
    refused = refused_paths(model, ACTIONS["RunInstances"])
    assert "IamInstanceProfile" in refused
    assert "Placement.HostId" in refused
    assert "ImageId" not in refused


@pytest.mark.parametrize(
    "verb, said, done",
    [
        ("rebooted", "task_state reboot_started", True),
        ("rebooted", "task_state rebooting_hard", True),
        ("rebooted", "task_state powering-off", False),
        ("rebooted", "vm_state stopped", False),
        ("stopped", "task_state powering-off", True),
        ("stopped", "vm_state stopped", True),
        ("stopped", "vm_state shelved_offloaded", True),
        ("stopped", "task_state reboot_started", False),
        ("started", "task_state powering-on", True),
        ("started", "vm_state active", True),
        ("started", "task_state deleting", False),
    ],
)
def test_a_refusal_of_what_is_under_way_is_told_from_others(verb, said, done):
    refusal = f"Cannot 'x' instance 3f2b while it is in {said}"
    assert done == bool(UNDER_WAY[verb].search(refusal))
