"""A record becomes the fields that the real collector was seen to make of it."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from osg_site_iaas.sandbox.collector.record import Unreadable, envelope, flatten, instant, seconds

CASES = Path(__file__).parents[2] / "cases/accounting/collector"
VALUES = json.loads((CASES / "values.json").read_text())


def fields(inner: str) -> dict[str, object]:
    flat: dict[str, object] = dict(
        flatten(ElementTree.fromstring(f"<JobUsageRecord>{inner}</JobUsageRecord>"))
    )
    flat.pop("RawXML")
    return flat


def test_a_whole_record_flattens_to_what_the_real_collector_emitted() -> None:
    record = (CASES / "full.xml").read_text().partition("?>")[2]
    elements, unknown = envelope(f"<RecordEnvelope>{record}</RecordEnvelope>")
    flat = flatten(elements[0])
    assert "DN>/DC=org/DC=example/CN=Alice</" in str(flat.pop("RawXML"))
    assert flat == json.loads((CASES / "full.json").read_text())
    assert unknown == 0


@pytest.mark.parametrize("text, expected", VALUES["durations"])
def test_durations(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text, expected", VALUES["times"])
def test_times(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(Unreadable):
            instant(text)
    else:
        assert instant(text) == expected


def test_an_empty_record_is_a_batch_job_of_no_time() -> None:
    assert fields("") == {
        "type": "JobUsageRecord",
        "CpuDuration": 0,
        "WallDuration": 0,
        "ResourceType": "Batch",
    }


def test_of_an_element_that_comes_twice_the_last_one_stays() -> None:
    flat = fields("<Network description='in'>1</Network><Network description='out'>2</Network>")
    assert (flat["Network"], flat["Network_description"]) == ("2", "out")


def test_cpu_time_is_the_sum_of_all() -> None:
    flat = fields(
        "<CpuDuration usageType='user'>PT2H</CpuDuration><CpuDuration usageType='system'>PT5S</CpuDuration>"
    )
    assert (flat["CpuDuration"], flat["CpuDuration_user"], flat["CpuDuration_system"]) == (7205, 7200, 5)


@pytest.mark.parametrize(
    "declared, expected",
    [("Batch", "Batch"), ("BatchPilot", "Payload"), ("OpenStackVM", "OpenStackVM"), ("", "Batch")],
)
def test_resource_type(declared: str, expected: str) -> None:
    flat = fields(f"<Resource description='ResourceType'>{declared}</Resource>")
    assert flat["ResourceType"] == expected
    assert "Resource_ResourceType" not in flat


def test_a_volume_resource_counts_only_beside_a_plain_one() -> None:
    volume = "<VolumeResource description='v' storageUnit='GB'>7</VolumeResource>"
    assert "Resource_v" not in fields(volume)
    flat = fields(volume + "<Resource description='a b.c'>1</Resource>")
    assert (flat["Resource_v"], flat["Resource_v_storageUnit"], flat["Resource_a-b-c"]) == ("7", "GB", "1")


def test_type_primary_and_consumption_rate_are_dropped() -> None:
    flat = fields(
        "<Host primary='true'>h</Host><Processors consumptionRate='1'>4</Processors><Disk type='x'>1</Disk>"
    )
    assert {name for name in flat if name.startswith(("Host", "Proc", "Disk"))} == {
        "Host",
        "Processors",
        "Disk",
    }


def test_process_ids_are_numbered_when_there_are_several() -> None:
    one = fields("<JobIdentity><ProcessId>1</ProcessId></JobIdentity>")
    two = fields("<JobIdentity><ProcessId>1</ProcessId><ProcessId>2</ProcessId></JobIdentity>")
    assert one["ProcessId"] == "1"
    assert (two["ProcessId0"], two["ProcessId1"]) == ("1", "2")
