"""Nova's answers as values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osg_site_iaas.accounting.model import Action, Place, Size, State, iso
from osg_site_iaas.accounting.nova import CALM, STATES, action, gpus, instant, seen
from osg_site_iaas.errors import AccountingError

# what Nova 34 answered for a real server: running, and after it was resized and deleted
ROWS: dict[str, Any] = json.loads((Path(__file__).parents[2] / "cases/accounting/nova_rows.json").read_text())


def test_a_running_server() -> None:
    one = seen(ROWS["running"])
    assert (one.name, one.image) == ("try <&> é", "9c653237-91b6-4073-82ef-8321d8481837")
    assert (iso(one.created), iso(one.launched or 0), one.ended) == (
        "2026-11-22T12:19:17Z", "2026-11-22T12:19:20Z", None,
    )  # fmt: skip
    assert one.sighting.state is State.ACTIVE
    assert one.sighting.size == Size("acct.small", 1, 128, 1)
    assert one.sighting.place == Place("fake-1", 0, 0)
    assert not one.sighting.busy


def test_a_deleted_server_ends_when_it_was_terminated() -> None:
    one = seen(ROWS["deleted"])
    assert (iso(one.ended or 0), one.sighting.state) == ("2026-11-22T12:19:39Z", None)
    assert one.sighting.size.vcpus == 4


def test_one_that_never_ran_ends_when_its_row_was_last_written() -> None:
    row = {**ROWS["deleted"], "OS-SRV-USG:terminated_at": None, "OS-SRV-USG:launched_at": None}
    one = seen(row)
    assert (iso(one.ended or 0), one.launched) == ("2026-11-22T12:19:39Z", None)


def test_what_is_around_it() -> None:
    row = {
        **ROWS["running"],
        "image": "",
        "addresses": {"n": [{"OS-EXT-IPS:type": "fixed"}, {"OS-EXT-IPS:type": "floating"}]},
        "os-extended-volumes:volumes_attached": [{"id": "a"}, {"id": "b"}],
    }
    assert seen(row).sighting.place == Place("fake-1", 1, 2)
    assert seen(row).image == ""


@pytest.mark.parametrize(
    "task, busy",
    [("resize_migrating", True), ("powering-off", True), ("deleting", True), ("image_snapshot", False),
     ("updating_password", False), ("shelving_offloading", False), (None, False)],
)  # fmt: skip
def test_only_tasks_that_an_action_stands_for_are_busy(task: str, busy: bool) -> None:
    assert seen({**ROWS["running"], "OS-EXT-STS:task_state": task}).sighting.busy is busy


def test_a_state_that_is_not_known_is_told_not_guessed() -> None:
    with pytest.raises(AccountingError, match="'melted'"):
        seen({**ROWS["running"], "OS-EXT-STS:vm_state": "melted"})
    assert STATES["resized"] is None
    assert CALM.match("image_uploading")


@pytest.mark.parametrize(
    "specs, count",
    [({}, 0), ({"pci_passthrough:alias": "gpu:2"}, 2), ({"pci_passthrough:alias": "nic:1,GPU-a100:4"}, 4),
     ({"resources:VGPU": "1"}, 1), ({"resources1:PGPU": "2", "resources2:CUSTOM_MY_GPU": "1"}, 3),
     ({"resources:CUSTOM_FPGA": "1"}, 0), ({"pci_passthrough:alias": "gpu"}, 1)],
)  # fmt: skip
def test_gpus(specs: dict[str, str], count: int) -> None:
    assert gpus(specs) == count


def test_an_action() -> None:
    row = {
        "action": "stop",
        "request_id": "req-1",
        "start_time": "2026-11-22T12:19:26.832583",
        "message": None,
    }
    start = instant("2026-11-22T12:19:26")
    assert action({**row, "updated_at": "2026-11-22T12:19:27.321423"}) == Action(
        start, start + 1, "stop", "req-1"
    )
    assert action({**row, "updated_at": None}).finish == start
    assert action({**row, "message": "Error"}).failed
