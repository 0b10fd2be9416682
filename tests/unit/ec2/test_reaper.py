"""Only what shut itself down, and was started to end with that, is deleted."""

from __future__ import annotations

import pytest

from osg_site_iaas.ec2.marks import SHUTDOWN
from osg_site_iaas.ec2.reaper import is_candidate, stopped_by_guest

STOPPED = {"status": "SHUTOFF", "metadata": {SHUTDOWN: "terminate"}, "OS-EXT-STS:task_state": None}


@pytest.mark.parametrize(
    "change, expected",
    [
        ({}, True),
        ({"status": "ACTIVE"}, False),
        ({"status": "PAUSED"}, False),
        ({"metadata": {}}, False),
        ({"metadata": None}, False),
        ({"metadata": {SHUTDOWN: "stop"}}, False),
        ({"OS-EXT-STS:task_state": "powering-on"}, False),
        ({"locked": True}, False),
    ],
)
def test_a_candidate_is_stopped_at_rest_and_marked(change, expected):
    assert is_candidate({**STOPPED, **change}) is expected


def act(name: str, minute: int, user: object) -> dict:
    return {"action": name, "start_time": f"2026-01-01T00:{minute:02d}:00.000000", "user_id": user}


@pytest.mark.parametrize(
    "actions, expected",
    [
        ([act("create", 0, "u"), act("stop", 1, None)], True),
        ([act("stop", 1, None), act("create", 0, "u")], True),
        ([act("create", 0, "u"), act("stop", 1, "u")], False),
        ([act("stop", 1, None), act("start", 2, "u"), act("stop", 3, "u")], False),
        ([act("stop", 1, "u"), act("start", 2, "u"), act("stop", 3, None)], True),
        ([act("stop", 1, None), act("start", 2, "u")], False),
        ([act("create", 0, "u")], False),
        ([], False),
    ],
)
def test_the_newest_stop_tells_who_it_was(actions, expected):
    assert stopped_by_guest(actions) is expected
