"""Every action that is served has a bound on what it costs, and no other has."""

from __future__ import annotations

import sys
from pathlib import Path

from osg_site_iaas.ec2.actions import load_actions

sys.path.insert(0, str(Path(__file__).parents[2] / "sandbox"))

from ec2_bounds import MOST, things


def test_every_action_has_a_bound():
    assert sorted(MOST) == sorted(load_actions())


def test_things_are_what_the_lists_of_a_request_name():
    assert things({"InstanceIds": ["i-1", "i-2"]}) == 2
    assert things({"Name": "x", "TagSpecifications": [{"ResourceType": "image", "Tags": [{}, {}]}]}) == 2
    assert things({"ImageId": "ami-1"}) == 0
