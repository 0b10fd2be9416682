"""A part of a site: what is inside is reconciled, and nothing outside is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from osg_site_iaas.cloud.kinds import BY_NAME, KINDS
from osg_site_iaas.cloud.observe import World, desired, plan
from osg_site_iaas.cloud.scope import PARTS, Scope
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.made import site_from
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import Op, Prune, Ref, Seen

EXAMPLES = Path(__file__).parents[3] / "examples"
SERVICES = frozenset(kind.service for kind in KINDS)
ROLES = {"member": "1", "manager": "2"}
CMS = Scope(vos=frozenset({"cms"}))
MAPPING = Ref("mapping", ("osg-site-iaas-grid",))


@pytest.fixture(scope="module")
def site():
    return load(EXAMPLES / "complete.yml")


def as_made(site):
    """The world after the whole site was applied."""
    items = [
        Seen(item.ref, f"id of {item.ref}", {**item.create, **item.attrs}, True, item.needs, item.vo)
        for item in desired(site)
    ]
    return World(tuple(items), ROLES, SERVICES)


def without(world, *kinds):
    return replace(world, seen=tuple(item for item in world.seen if item.ref.kind not in kinds))


def cms(**entry):
    """A declaration that knows of cms only."""
    data = {"version": 1, "site": {"resource": "x", "fqdn": "x.invalid"}, "cloud": {"name": "x"}}
    return site_from({**data, "vos": {"cms": entry}}, called="the parameters")


EMPTY = World((), ROLES, SERVICES)


def test_nothing_is_made_for_other_vos(site):
    made = plan(site, EMPTY, scope=CMS)
    assert {change.vo for change in made.changes} == {"cms", None}
    assert Ref("project", ("cms",)) in {change.ref for change in made.changes}


def test_what_the_site_as_a_whole_lacks_is_made_if_the_vo_needs_it(site):
    common = {change.ref for change in plan(site, EMPTY, scope=CMS).changes if change.vo is None}
    assert common == {
        Ref("domain", ("osg",)),
        Ref("identity_provider", ("grid",)),
        MAPPING,
        Ref("protocol", ("grid", "mapped")),
        Ref("network", ("", "public")),  # cms's router leads there
    }


def test_what_the_site_as_a_whole_has_is_left_as_it_is(site):
    world = as_made(site)
    altered = tuple(
        replace(item, attrs={**item.attrs, "enabled": False})
        if item.ref.kind in ("domain", "identity_provider")
        else item
        for item in world.seen
    )
    made = plan(site, replace(world, seen=altered), scope=CMS)
    assert (made.changes, made.conflicts) == ((), ())


def test_vos_that_the_parameters_do_not_know_are_neither_removed_nor_pruned(site):
    made = plan(cms(access=[]), as_made(site), prune=Prune(True), scope=CMS)
    assert {change.vo for change in made.changes if change.ref.kind != "mapping"} == {"cms"}
    assert all(held.vo == "cms" for held in made.held)


def test_the_rules_of_other_vos_stay_in_the_mapping(site):
    before = next(item for item in as_made(site).seen if item.ref == MAPPING).attrs["rules"]
    made = plan(cms(access=[{"fqan": "/cms/*", "role": "manager"}]), as_made(site), scope=CMS)
    (change,) = [change for change in made.changes if change.ref == MAPPING]
    assert change.after["rules"] == [rule for rule in before if "cms-member" not in str(rule)]
    assert "icecube-member" in str(change.after["rules"])


def test_a_new_vo_is_added_to_the_mapping_behind_the_others(site):
    world = as_made(site)
    site_of_new = site_from(
        {
            "version": 1,
            "site": {"resource": "x", "fqdn": "x.invalid"},
            "cloud": {"name": "x"},
            "vos": {"dune": {"access": [{"fqan": "/dune/*"}]}},
        },
        called="the parameters",
    )
    made = plan(site_of_new, world, scope=Scope(vos=frozenset({"dune"})))
    (change,) = [change for change in made.changes if change.ref == MAPPING]
    assert change.op is Op.UPDATE
    assert change.after["rules"][:-1] == change.before["rules"]
    assert "dune-member" in str(change.after["rules"][-1])
    assert change.needs == (Ref("group", ("dune-member",)),)


def test_the_mapping_of_another_site_with_groups_of_the_same_names_is_left_alone(site):
    theirs = Ref("mapping", ("osg-site-iaas-elsewhere",))
    rules = next(item for item in as_made(site).seen if item.ref == MAPPING).attrs["rules"]
    world = as_made(site)
    world = replace(world, seen=(*world.seen, Seen(theirs, "1", {"rules": rules}, ours=False)))
    made = plan(cms(access=[]), world, scope=CMS)
    assert theirs not in {item.ref for item in (*made.changes, *made.conflicts)}


def test_the_mapping_that_loses_its_last_vo_lets_nobody_in():
    world = as_made(cms(access=[{"fqan": "/cms/*"}]))
    nobody = site_from(
        {"version": 1, "site": {"resource": "x", "fqdn": "x.invalid"}, "cloud": {"name": "x"}}, called="x"
    )
    made = plan(nobody, world, scope=CMS)
    (change,) = [change for change in made.changes if change.ref == MAPPING]
    (rule,) = change.after["rules"]
    assert grid.NOBODY in str(rule)
    assert "cms" not in str(rule)


def test_a_part_that_is_not_given_is_left_alone(site):
    quota = Scope(vos=frozenset({"cms"}), parts=frozenset({"quota"}))
    made = plan(cms(quota={"compute": {"cores": 999}}), as_made(site), scope=quota)
    assert [(change.ref, change.after) for change in made.changes] == [
        (Ref("compute_quota", ("cms",)), {"cores": 999})
    ]


@pytest.mark.parametrize(
    "part, gone",
    [("access", {"group"}), ("service_users", {"user"})],
)
def test_an_empty_part_withdraws_the_roles_of_its_own_actors_only(site, part, gone):
    scope = Scope(vos=frozenset({"cms"}), parts=frozenset({part}))
    made = plan(cms(**{part: [] if part == "access" else {}}), as_made(site), scope=scope)
    withdrawn = [change.ref for change in made.changes if change.ref.kind == "role_assignment"]
    assert {ref.key[0] for ref in withdrawn} == gone


def test_a_vo_that_goes_away_takes_only_what_is_its_own(site):
    nobody = site_from(
        {"version": 1, "site": {"resource": "x", "fqdn": "x.invalid"}, "cloud": {"name": "x"}}, called="x"
    )
    made = plan(nobody, as_made(site), prune=Prune(True), scope=CMS)
    removed = [change for change in made.changes if change.op in (Op.REMOVE, Op.DISABLE)]
    assert {change.vo for change in removed} == {"cms"}
    assert Ref("project", ("cms",)) in {change.ref for change in removed}


def test_a_project_of_another_vo_is_not_taken_over(site):
    made = plan(cms(project="icecube"), as_made(site), scope=CMS)
    (conflict,) = [item for item in made.conflicts if item.ref.kind == "project"]
    assert "belongs to VO icecube" in conflict.why
    assert not any(change.ref == Ref("project", ("icecube",)) for change in made.changes)


def test_one_image_is_made_and_shared_without_the_others(site):
    world = without(as_made(site), "image", "image_member")
    made = plan(site, world, scope=Scope(images=frozenset({"icecube-gpu"})))
    assert [change.ref for change in made.changes] == [
        Ref("image", ("icecube-gpu",)),
        Ref("image_member", ("icecube-gpu", "icecube")),
    ]


def test_an_image_for_a_vo_that_has_no_project_is_in_the_way(site):
    made = plan(site, EMPTY, scope=Scope(images=frozenset({"icecube-gpu"})))
    (conflict,) = made.conflicts
    assert "needs project icecube" in conflict.why
    assert [change.ref for change in made.changes] == [Ref("image", ("icecube-gpu",))]


def test_every_kind_belongs_to_a_part_of_a_vo_or_to_the_site():
    said = {name for names in PARTS.values() for name in names} | {"domain", "project"}
    others = {"flavour", "flavour_access", "image", "image_member", "network", "subnet", "router"}
    assert said | others | {"security_group", "security_group_rules"} == set(BY_NAME)
