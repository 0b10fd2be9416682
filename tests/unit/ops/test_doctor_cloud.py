"""What the doctor concludes without a cloud."""

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from osg_site_iaas.declaration.load import load
from osg_site_iaas.ops.checks.cloud import apart
from osg_site_iaas.ops.checks.local import drift
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.subject import Subject
from osg_site_iaas.ops.usage import Use, way_out
from osg_site_iaas.plan import document
from osg_site_iaas.plan.model import Change, Left, Op, Plan, Ref


@pytest.mark.parametrize(
    "before, theirs, after, skew",
    [
        (100.0, 100.0, 100.2, 0.0),
        (100.9, 100.0, 101.2, 0.0),  # their second began before we asked
        (100.0, 140.0, 161.0, 0.0),  # it took its time; the clock may be right
        (100.0, 200.0, 101.0, -99.0),  # behind
        (500.0, 200.0, 501.0, 299.0),
    ],
)
def test_a_clock_is_off_by_at_least_so_much(before: float, theirs: float, after: float, skew: float) -> None:
    assert apart(before, theirs, after) == pytest.approx(skew)


def test_the_last_plan_is_read_as_plan_writes_it(tmp_path: Path) -> None:
    places = Places(state=tmp_path)
    places.drift.parent.mkdir(parents=True)
    cms = Ref("project", ("cms",))
    subject = Subject(Path("site.yml"), places, datetime.now(timezone.utc))

    def found(plan: Plan) -> list[str]:
        places.drift.write_text(json.dumps(document.to_data(plan)), encoding="utf-8")
        return [finding.what for finding in drift(subject)]

    left = Plan(managed={"project": 3}, unmanaged=(cms,), left=(Left(cms, {"enabled": False}),))
    assert found(left) == []
    changed = Plan(managed={"project": 3}, changes=(Change(Op.UPDATE, cms),), left=left.left)
    assert found(changed) == ["OpenStack is not what site.yml says: 1 to update"]


@pytest.mark.parametrize(
    ("name", "limit", "advice"),
    [
        ("instances", 0, "site.yml allows 10, and the cloud was told otherwise: osg-site-iaas apply"),
        ("cores", 4, "site.yml allows any number, and the cloud was told otherwise: osg-site-iaas apply"),
        ("instances", 10, "raise vos.cms.quota.compute.instances ("),
        ("instances", 20, "raise vos.cms.quota.compute.instances from 10 to more than 20 ("),
        ("ram", 64, "declare vos.cms.quota.compute.ram ("),
    ],
)
def test_a_limit_that_is_used_up_is_raised_only_where_site_yml_states_it(
    tmp_path: Path, name: str, limit: int, advice: str
) -> None:
    file = tmp_path / "site.yml"
    file.write_text(
        "version: 1\nsite: {resource: X, fqdn: cloud.example.org}\ncloud: {name: x}\n"
        "vos: {cms: {access: [{fqan: /cms/*}], quota: {compute: {instances: 10, cores: -1}}}}\n"
    )
    site = load(file)
    assert way_out(site, site.vo("cms"), Use("compute", name, limit, limit)).startswith(advice)
