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
    # nobody is meant to be a member of a group of ours
    assert {ref.kind for ref in wanted} == set(BY_NAME) - {"group_member"}


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
    said = {name for name in names if "password" in name or "secret" in name}
    assert said <= {"password", "password_kept"}
    assert {type(item.attrs[name]) for item in desired(site) for name in said & set(item.attrs)} <= {bool}


SITE = """
version: 1
site: {resource: Test, fqdn: cloud.example.org}
cloud: {name: test}
identity_providers: {grid: {type: x509}}
flavours: {small: {vcpus: 1, ram: 1 GiB%(flavour)s}}
networks: {pool: {%(network)s subnets: {pool-v4: {cidr: 192.0.2.0/24%(subnet)s}}}}
images: {disk: {disk_format: raw%(image)s}}
vos: {cms: {access: [{fqan: /cms/*}], service_users: {pilot: {}}, buckets: {scratch: {%(bucket)s}}%(vo)s}}
"""
STATED = {
    "flavour": ", properties: {}",
    "network": "shared: false, external: false,",
    "subnet": ", dhcp: true, dns: []",
    "image": ", protected: false, min_disk: 0, min_ram: 0, visibility: private",
    "bucket": "public_read: false",
    "vo": ", enabled: true",
}
BY_HAND = {
    "domain": {"enabled": False},
    "project": {"enabled": False},
    "user": {"enabled": False},
    "identity_provider": {"enabled": False},
    "flavour": {"properties": {"foo": "bar"}},
    "network": {"shared": True, "router:external": True},
    "subnet": {"enable_dhcp": False, "dns_nameservers": ["192.0.2.53"]},
    "image": {"protected": True, "min_disk": 5, "min_ram": 1024, "visibility": "public"},
    "bucket": {"public_read": True},
}


def declared(tmp_path, **said):
    (tmp_path / "site.yml").write_text(SITE % {**dict.fromkeys(STATED, ""), **said})
    return load(tmp_path / "site.yml")


def planned(site):
    """The plan after a first apply, and the changes of BY_HAND."""
    seen = [
        Seen(
            item.ref,
            str(n),
            {**item.whole, **item.create, **BY_HAND.get(item.ref.kind, {})},
            ours=True,
            vo=item.vo,
        )
        for n, item in enumerate(desired(site))
    ]
    return plan(site, World(tuple(seen), {"member": "1"}, ALL))


def test_what_site_yml_does_not_state_is_left_alone_and_shown(tmp_path):
    made = planned(declared(tmp_path))
    assert (made.changes, made.conflicts) == ((), ())
    assert {item.ref.kind: item.attrs for item in made.left} == BY_HAND


def test_what_site_yml_states_is_put_right_even_if_it_is_the_default(tmp_path):
    made = planned(declared(tmp_path, **STATED))
    unsaid = {"domain", "identity_provider"}  # site.yml has no words for these
    assert {change.ref.kind: change.before for change in made.changes} == {
        kind: attrs for kind, attrs in BY_HAND.items() if kind not in unsaid
    }
    assert {item.ref.kind for item in made.left} == unsaid


def test_what_is_not_stated_is_made_with_its_default(tmp_path):
    site = declared(tmp_path)
    for kind, attrs in BY_HAND.items():
        (change,) = [c for c in plan(site, World((), {"member": "1"}, ALL)).changes if c.ref.kind == kind]
        assert set(attrs) <= set(change.after)
        assert change.after.get("enabled", True) is True


def test_a_vo_that_is_not_enabled_is_disabled(tmp_path):
    site = declared(tmp_path, vo=", enabled: false")
    seen = [
        Seen(i.ref, "1", {**i.whole, **i.create, "enabled": True}, ours=True, vo=i.vo) for i in desired(site)
    ]
    made = plan(site, World(tuple(seen), {"member": "1"}, ALL))
    assert {(c.ref.kind, c.after["enabled"]) for c in made.changes} == {("project", False), ("user", False)}


def test_an_image_that_names_its_vos_states_who_may_see_it(tmp_path):
    made = planned(declared(tmp_path, image=", vos: [cms]"))
    assert [(c.ref.kind, c.after) for c in made.changes] == [("image", {"visibility": "shared"})]
