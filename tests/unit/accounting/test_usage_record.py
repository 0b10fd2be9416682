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
from usage_record import problems

from osg_site_iaas.accounting.model import DAY, Assumed, Size, Slice, State, moment
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


NAMES = st.text(max_size=300)
COUNTS = st.integers(1, 512)
SIZES_OF_ANY_KIND = st.builds(
    Size, NAMES, COUNTS, st.integers(1, 1 << 22), st.integers(0, 1 << 20), st.integers(0, 16)
)
OWNERS = st.builds(Owner, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES, NAMES)


@st.composite
def slices_of_any_kind(draw: st.DrawFn) -> Slice:
    start = BASE + draw(st.integers(0, DAY - 1))
    end = draw(st.integers(start + 1, BASE + DAY))
    wall = draw(st.integers(0, end - start))
    others = {state: draw(st.integers(1, DAY)) for state in draw(st.sets(st.sampled_from(State)))}
    return changed(
        start=start, end=end, wall=wall, others=others, size=draw(SIZES_OF_ANY_KIND),
        last=draw(st.sampled_from(State)), final=draw(st.booleans()),
        assumed=frozenset(draw(st.sets(st.sampled_from(Assumed)))),
    )  # fmt: skip


@given(slices_of_any_kind(), st.builds(Origin, NAMES, NAMES), OWNERS)
def test_any_record_keeps_to_the_profile(one: Slice, origin: Origin, owner: Owner) -> None:
    assert problems(render(one, origin, owner, PROBE)) == []


SPOILED = (
    ("PT54000S", "54000"),
    ("PT54000S", "PT1.5H"),
    ("2026-11-22T06:00:00Z", "1795327200"),
    ('storageUnit="GB"', 'storageUnit="TB"'),
    ('urwg:metric="total">1<', 'urwg:metric="total">0<'),
    ('urwg:metric="max">8<', 'urwg:metric="max">7.5<'),
    ("<Njobs>1<", "<Njobs>0<"),
    ("<ProjectName>", "<ProjectName colour='red'>"),
    ("<Queue>large</Queue>", "<Flavour>large</Flavour>"),
    ('urwg:usageType="user"', 'urwg:usageType="guest"'),
    ("urwg:recordId=", "urwg:createdBy="),
    ("<LocalUserId>", "<LocalUserId>a</LocalUserId><LocalUserId>"),
)


@pytest.mark.parametrize("good, bad", SPOILED)
def test_the_rules_of_the_profile_see_what_is_wrong(good: str, bad: str) -> None:
    xml = render(SLICE, ORIGIN, OWNER, PROBE)
    assert good in xml
    assert problems(xml.replace(good, bad, 1))


@pytest.mark.skipif(not SCHEMA.exists(), reason="the Gratia profile schema is not beside the repository")
def test_our_rules_of_the_profile_are_those_of_the_schema() -> None:
    from lxml import etree

    folder = SCHEMA.parent
    schema = etree.XMLSchema(etree.parse(str(folder / SCHEMA.name), base_url=f"{folder}/"))
    xml = render(SLICE, ORIGIN, OWNER, PROBE)
    bare = render(changed(wall=0, others={}, assumed=frozenset(Assumed)), Origin("\x0b"), OWNER, PROBE)
    for good in (xml, bare):
        schema.assertValid(etree.fromstring(good.encode()))
    for good, bad in SPOILED:
        assert not schema.validate(etree.fromstring(xml.replace(good, bad, 1).encode())), bad
