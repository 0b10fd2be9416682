"""What a declaration asks of OpenStack, without one."""

from pathlib import Path

import pytest

from osg_site_iaas.cloud.kinds import BY_NAME, KINDS
from osg_site_iaas.cloud.observe import World, desired, plan
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.model import Op, Ref, Seen
from osg_site_iaas.plan.order import waves

EXAMPLES = Path(__file__).parents[3] / "examples"
ALL = frozenset(kind.service for kind in KINDS)


@pytest.fixture(scope="module")
def site():
    return load(EXAMPLES / "complete.yml")


@pytest.fixture(scope="module")
def wanted(site):
    return {item.ref: item for item in desired(site)}


def test_the_complete_example_has_every_kind(wanted):
    assert {ref.kind for ref in wanted} == set(BY_NAME)


def test_everything_needed_is_declared_too(wanted):
    missing = {str(need) for item in wanted.values() for need in item.needs if need not in wanted}
    assert missing == set()


def test_a_first_plan_creates_the_domain_first_and_has_no_circle(site):
    made = plan(site, World((), {"member": "1", "manager": "2"}, ALL))
    order = waves(made.changes)
    assert {change.op for change in made.changes} == {Op.CREATE}
    assert Ref("domain", ("osg",)) in [change.ref for change in order[0]]
    assert sum(map(len, order)) == len(made.changes)


def test_every_object_of_a_vo_names_its_vo(wanted):
    assert wanted[Ref("project", ("cms",))].vo == "cms"
    assert wanted[Ref("compute_quota", ("cms",))].vo == "cms"
    assert wanted[Ref("bucket", ("cms", "cms-scratch"))].vo == "cms"


def test_a_quota_that_is_not_declared_is_not_managed(wanted):
    assert wanted[Ref("compute_quota", ("cms",))].attrs == {"cores": 200, "instances": 100, "ram": 400 * 1024}


def test_a_role_that_keystone_lacks_is_in_the_way_and_says_which_there_are(site):
    made = plan(site, World((), {"member": "1", "reader": "2"}, ALL))
    (conflict,) = made.conflicts
    assert conflict.ref == Ref("role_assignment", ("group", "cms-manager", "manager", "cms"))
    assert "member, reader" in conflict.todo


def test_a_service_that_the_cloud_lacks_is_in_the_way_of_what_is_declared_for_it(site):
    made = plan(site, World((), {"member": "1", "manager": "2"}, ALL - {"volume"}))
    assert {conflict.ref.kind for conflict in made.conflicts} == {"volume_quota"}


def test_keys_that_the_login_cannot_see_are_neither_planned_nor_forgotten(site):
    left = Seen(Ref("user", ("old-pilot",)), "1", {"enabled": True}, ours=True)
    strange = Seen(Ref("user", ("somebody",)), "2", {"enabled": True})
    world = World((left, strange), {"member": "1", "manager": "2"}, ALL, {"ec2_credential": "hidden"})
    made = plan(site, world)
    assert not [change for change in made.changes if change.ref.kind == "ec2_credential"]
    users = {user.name for vo in site.vos for user in vo.service_users} | {"old-pilot"}
    assert {item.ref for item in made.unknown} == {Ref("ec2_credential", (user,)) for user in users}
    assert {item.why for item in made.unknown} == {"hidden"}


def test_a_service_user_without_a_password_has_nothing_to_keep(wanted):
    assert "password_kept" not in wanted[Ref("user", ("cms-pilot",))].attrs


def test_no_plan_holds_a_secret(site):
    names = {name for item in desired(site) for name in (*item.attrs, *item.create)}
    assert not {
        name for name in names if ("password" in name and name != "password_kept") or "secret" in name
    }
