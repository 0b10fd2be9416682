"""A usage record is valid, safe, and counts in GRACC as the slice says."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

import pytest
from histories import BASE, SIZES
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.accounting.model import DAY, Assumed, Slice, State, moment
from osg_site_iaas.accounting.record import Origin, Owner, Probe, end_time, render
from osg_site_iaas.sandbox.collector.content import Document, document
from osg_site_iaas.sandbox.collector.record import envelope, flatten

SCHEMA = Path(__file__).parents[3].parent / "shared/data/gratia/gratia-profile.xsd"
PROBE = Probe("Example-Cloud", "openstack:cloud.example.org", "cloud.example.org", "RegionOne")
OWNER = Owner(
    "cms", "/cms/Role=NULL", "cms", "p1", "/DC=org/CN=Ann <A> & B", "ann@osg", "/DC=org/DC=example/CN=Ann <A> & B"
)  # fmt: skip
ORIGIN = Origin("worker-1", "11111111-2222-4333-8444-555555555555")
SLICE = Slice(
    "6f1c7f0c-0000-4000-8000-000000000001", BASE + 6 * 3600, BASE + DAY, SIZES["large"], 15 * 3600,
    MappingProxyType({State.STOPPED: 3 * 3600}),
)  # fmt: skip


def gracc(xml: str) -> Document:
    elements, unknown = envelope(f"<RecordEnvelope>{xml}</RecordEnvelope>")
    assert (len(elements), unknown) == (1, 0)
    return document(flatten(elements[0]), moment(BASE + 2 * DAY))


def changed(**values: object) -> Slice:
    return dataclasses.replace(SLICE, **values)  # type: ignore[arg-type]


def test_what_gracc_makes_of_it() -> None:
    fields = dict(gracc(render(SLICE, ORIGIN, OWNER, PROBE)).fields)
    fields.pop("RawXML")
    job = "openstack.cloud.example.org#6f1c7f0c-0000-4000-8000-000000000001#1795327200"
    assert fields == {
        "type": "JobUsageRecord",
        "RecordId": job,
        "GlobalJobId": job,
        "CreateTime": "2026-11-22T23:59:59Z",
        "LocalJobId": "6f1c7f0c-0000-4000-8000-000000000001",
        "LocalUserId": "/DC=org/CN=Ann <A> & B",
        "GlobalUsername": "ann@osg",
        "DN": "/DC=org/DC=example/CN=Ann <A> & B",
        "CommonName": "Ann <A> & B",
        "VOName": "/cms/Role=NULL",
        "ReportableVOName": "cms",
        "JobName": "worker-1",
        "Status": "0",
        "Status_description": "active",
        "WallDuration": 54000,
        "CpuDuration": 432000,
        "CpuDuration_user": 432000,
        "CpuDuration_user_description": "wall seconds x vCPUs: Nova does not measure CPU time",
        "StartTime": "2026-11-22T06:00:00Z",
        "EndTime": "2026-11-22T23:59:59Z",
        "NodeCount": 1,
        "NodeCount_metric": "total",
        "Processors": 8,
        "Processors_metric": "max",
        "GPUs": "1",
        "GPUs_metric": "max",
        "Memory": 65536.0,
        "Memory_metric": "total",
        "Memory_storageUnit": "MB",
        "Disk": "80",
        "Disk_metric": "total",
        "Disk_storageUnit": "GB",
        "Queue": "large",
        "TimeDuration_Stopped": 10800,
        "ProjectName": "cms",
        "Resource_FlavorName": "large",
        "Resource_ProjectId": "p1",
        "Resource_ImageId": "11111111-2222-4333-8444-555555555555",
        "Resource_Region": "RegionOne",
        "MachineName": "cloud.example.org",
        "SubmitHost": "cloud.example.org",
        "ProbeName": "openstack:cloud.example.org",
        "SiteName": "Example-Cloud",
        "Grid": "OSG",
        "Njobs": 1,
        "ResourceType": "OpenStackVM",
        "GratiaVersion": "osg-site-iaas record 1",
    }


def test_a_day_counts_its_own_core_hours_and_nothing_on_the_next() -> None:
    whole = gracc(render(changed(start=BASE, wall=DAY, others={}), ORIGIN, OWNER, PROBE))
    assert (whole.day, whole.core_hours) == ("2026-11-22", 24 * 8)


def test_the_end_is_exact_unless_it_is_midnight() -> None:
    assert end_time(changed(end=BASE + DAY)) == BASE + DAY - 1
    assert end_time(changed(end=BASE + DAY - 1)) == BASE + DAY - 1
    assert end_time(changed(end=BASE + 7 * 3600)) == BASE + 7 * 3600


@pytest.mark.parametrize(
    "last, final, status, described",
    [
        (State.ACTIVE, False, "0", "active"),
        (State.ACTIVE, True, "0", "deleted"),
        (State.OFFLOADED, False, "0", "shelvedoffloaded"),
        (State.ERROR, False, "1", "error"),
        (State.ERROR, True, "1", "error"),
    ],
)
def test_status(last: State, final: bool, status: str, described: str) -> None:
    fields = gracc(render(changed(last=last, final=final), ORIGIN, OWNER, PROBE)).fields
    assert (fields["Status"], fields["Status_description"]) == (status, described)


def test_what_is_assumed_is_said() -> None:
    marks = frozenset({Assumed.SIZE, Assumed.START})
    fields = gracc(render(changed(assumed=marks), ORIGIN, OWNER, PROBE)).fields
    assert fields["Resource_Assumed"] == "flavour-before-resize start-of-server"
    assert "Resource_Assumed" not in gracc(render(SLICE, ORIGIN, OWNER, PROBE)).fields


def test_what_a_record_may_lack() -> None:
    bare = Owner("cms", "/cms/Role=NULL", "cms", "p1", "u1")
    small = changed(size=dataclasses.replace(SIZES["small"], disk=0), others={})
    fields = gracc(render(small, Origin(""), bare, PROBE)).fields
    assert not {"DN", "CommonName", "GlobalUsername", "JobName", "Disk", "GPUs", "Resource_ImageId"} & set(
        fields
    )


@given(st.text(), st.text())
def test_any_name_makes_a_readable_record(name: str, user: str) -> None:
    owner = dataclasses.replace(OWNER, user=user)
    xml = render(SLICE, Origin(name), owner, PROBE)
    gracc(xml)
    fields = ElementTree.fromstring(xml.encode())
    job_name = fields.find("{http://www.gridforum.org/2003/ur-wg}JobName")
    assert job_name is None or 0 < len(str(job_name.text)) <= 255


def test_text_is_kept_as_it_is_where_xml_can_hold_it() -> None:
    name = 'é "q" <a&b> 😀 ]]>'
    assert gracc(render(SLICE, Origin(name), OWNER, PROBE)).fields["JobName"] == name
    assert gracc(render(SLICE, Origin("a\x00b\nc\ud800d"), OWNER, PROBE)).fields["JobName"] == "a b c d"


@pytest.mark.skipif(not SCHEMA.exists(), reason="the Gratia profile schema is not beside the repository")
@pytest.mark.parametrize(
    "one, origin, owner",
    [
        (SLICE, ORIGIN, OWNER),
        (
            changed(wall=0, others={}, assumed=frozenset(Assumed)),
            Origin("\x0b"),
            dataclasses.replace(OWNER, dn=""),
        ),
        (changed(size=dataclasses.replace(SIZES["small"], disk=0), last=State.ERROR), Origin("]]>"), OWNER),
    ],
)
def test_it_is_valid_against_the_gratia_profile(one: Slice, origin: Origin, owner: Owner) -> None:
    etree = pytest.importorskip("lxml.etree", reason="lxml is not installed")
    folder = SCHEMA.parent
    schema = etree.XMLSchema(etree.parse(str(folder / SCHEMA.name), base_url=f"{folder}/"))
    schema.assertValid(etree.fromstring(render(one, origin, owner, PROBE).encode()))
