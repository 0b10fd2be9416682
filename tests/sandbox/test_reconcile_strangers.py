"""What is not ours: in the way of what is declared, taken over only by adopt, and otherwise never touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.sandbox.reconcile_cases import DATA, whole
from tests.sandbox.reconcile_kit import Rig, clean, make_rig, ops, rig  # noqa: F401

pytestmark = pytest.mark.sandbox


def strangers(rig: Rig) -> dict[str, str]:  # noqa: F811
    """Objects of the names that the whole site declares, made by somebody else; their ids by kind."""
    hand, t = rig.hand, rig.tag
    domain = hand.post("identity", "/domains", {"domain": {"name": rig.domain}})["domain"]["id"]
    own = {"domain_id": domain}
    project = hand.post("identity", "/projects", {"project": {"name": "cms", **own}})["project"]["id"]
    group = hand.post("identity", "/groups", {"group": {"name": "cms-member", **own}})["group"]["id"]
    user = hand.post("identity", "/users", {"user": {"name": "cms-pilot", **own}})["user"]["id"]
    member = hand.named("identity", "/roles", "roles", "member")["id"]
    for kind, actor in (("groups", group), ("users", user)):
        hand.send("PUT", "identity", f"/projects/{project}/{kind}/{actor}/roles/{member}")
    provider = f"/OS-FEDERATION/identity_providers/grid-{t}"
    mapping = f"osg-site-iaas-grid-{t}"
    rules = [{"local": [{"user": {"name": "{0}"}}], "remote": [{"type": "X"}]}]
    hand.send("PUT", "identity", provider, json={"identity_provider": {"enabled": True, **own}})
    hand.send("PUT", "identity", f"/OS-FEDERATION/mappings/{mapping}", json={"mapping": {"rules": rules}})
    hand.send("PUT", "identity", f"{provider}/protocols/mapped", json={"protocol": {"mapping_id": mapping}})
    flavour = {"name": f"{t}.gpu", "vcpus": 2, "ram": 2048, "disk": 5, "os-flavor-access:is_public": False}
    made = hand.post("compute", "/flavors", {"flavor": flavour})["flavor"]["id"]
    hand.post("compute", f"/flavors/{made}/action", {"addTenantAccess": {"tenant": project}})
    network = hand.post("network", "/networks", {"network": {"name": f"{t}-cms", "project_id": project}})
    network = network["network"]["id"]
    subnet = {"name": f"{t}-cms-v4", "network_id": network, "cidr": "203.0.113.0/24", "ip_version": 4}
    subnet = hand.post("network", "/subnets", {"subnet": {**subnet, "project_id": project}})["subnet"]["id"]
    router = {"name": f"{t}-router", "project_id": project}
    router = hand.post("network", "/routers", {"router": router})["router"]["id"]
    firewall = {"name": f"{t}-workers", "project_id": project}
    firewall = hand.post("network", "/security-groups", {"security_group": firewall})["security_group"]["id"]
    image = {"name": f"{t}-disk", "disk_format": "raw", "container_format": "bare"}
    image = hand.post("image", "/images", image)["id"]
    octets = {"Content-Type": "application/octet-stream"}
    hand.send("PUT", "image", f"/images/{image}/file", data=DATA, headers=octets)
    hand.http.put(f"{hand.account(project)}/{t}-scratch", timeout=60).raise_for_status()
    return {
        "project": project,
        "group": group,
        "user": user,
        "flavour": made,
        "network": network,
        "subnet": subnet,
        "router": router,
        "security_group": firewall,
        "image": image,
    }


IN_THE_WAY = {
    "project", "group", "user", "identity_provider", "mapping", "flavour", "network", "subnet", "router",
    "security_group", "image", "bucket",
}  # fmt: skip


def with_the_bucket_in_cms(rig: Rig) -> dict[str, Any]:  # noqa: F811
    sections = whole(rig)
    sections["vos"]["cms"]["buckets"] = sections["vos"]["icecube"].pop("buckets")
    return sections


def test_what_others_made_is_in_the_way_until_it_is_adopted(rig: Rig):  # noqa: F811
    ids = strangers(rig)
    rig.write(**with_the_bucket_in_cms(rig))

    before = world(rig)
    plan = rig.run("plan", "--json")
    assert {item["kind"] for item in plan.data["conflicts"]} == IN_THE_WAY
    assert plan.code == 2
    refused = rig.run("apply", "--json", "--yes", expect=1)
    assert refused.data["applied"] is False
    assert "osg-site-iaas adopt" in rig.run("apply", "--yes", expect=1).out
    assert world(rig) == before

    looked = rig.run("adopt", "--dry-run", "--json", expect=2)
    assert {op.split()[0] for op in ops(looked.data)} == {"adopt"}
    assert {item["kind"] for item in looked.data["changes"]} == IN_THE_WAY
    assert world(rig) == before

    rig.run("adopt", "--yes", expect=0)
    assert rig.hand.get("identity", f"/projects/{ids['project']}")["project"]["description"] == ""
    assert rig.run("adopt", "--dry-run", expect=0).code == 0
    rig.apply()
    assert ops(rig.plan()) == []
    record = rig.folder / "seen.json"
    rig.run("plan", "--record", str(record))
    now = {
        item["kind"]: item["id"]
        for item in json.loads(record.read_text())["seen"]
        if item["id"] in ids.values()
    }
    assert {kind: now.get(kind) for kind in ids} == ids


def test_two_of_one_name_are_told_apart(rig: Rig):  # noqa: F811
    """Neutron and Glance let several things have one name."""
    name = f"{rig.tag}-net"
    rig.write(networks={name: {"shared": True}}, vos={"cms": {"access": [{"fqan": "/cms/*"}]}})
    rig.apply()
    theirs = rig.hand.post("network", "/networks", {"network": {"name": name}})["network"]
    plan = rig.plan()
    assert (ops(plan), plan["conflicts"]) == ([], [])
    assert {"kind": "network", "key": ["", name, theirs["id"]]} in plan["unmanaged"]

    rig.rewrite(lambda data: data["networks"][name].update(shared=False))
    rig.apply()
    assert not any(item["shared"] for item in rig.hand.get("network", f"/networks?name={name}")["networks"])
    rig.rewrite(lambda data: data.pop("networks"))
    rig.apply("--prune")
    left = rig.hand.get("network", f"/networks?name={name}")["networks"]
    assert [item["id"] for item in left] == [theirs["id"]]


def test_of_two_strangers_neither_is_adopted(rig: Rig):  # noqa: F811
    name = f"{rig.tag}-net"
    for _ in range(2):
        rig.hand.post("network", "/networks", {"network": {"name": name}})
    rig.write(networks={name: {"shared": True}}, vos={"cms": {"access": [{"fqan": "/cms/*"}]}})
    ran = rig.run("adopt", "--yes", expect=1)
    assert "exists 2 times" in ran.out
    assert not any(item["shared"] for item in rig.hand.get("network", f"/networks?name={name}")["networks"])


@pytest.mark.parametrize(
    "change, said",
    [
        (
            lambda data, t: data["networks"][f"{t}-cms"]["subnets"][f"{t}-cms-v4"].update(
                cidr="203.0.113.0/25"
            ),
            "its cidr is 203.0.113.0/24, and cannot become 203.0.113.0/25",
        ),
        (
            lambda data, t: data["networks"][f"{t}-public"]["provider"].update(physical_network="other"),
            "its provider:physical_network is p{t}, and cannot become other",
        ),
        (
            lambda data, t: data["images"][f"{t}-disk"].update(checksum="sha256:" + "0" * 64),
            "and cannot become sha256:000",
        ),
        (lambda data, t: data["images"][f"{t}-disk"].update(disk_format="qcow2"), "its disk_format is raw"),
    ],
    ids=["cidr", "provider", "data", "format"],
)
def test_what_cannot_be_changed_is_said_before_anything_is(change, said, fixed_rig):
    before = fixed_rig.site.read_text()
    try:
        data = yaml.safe_load(before)
        change(data, fixed_rig.tag)
        fixed_rig.site.write_text(yaml.safe_dump(data))
        assert said.replace("{t}", fixed_rig.tag) in fixed_rig.run("apply", "--yes", expect=1).out
    finally:
        fixed_rig.site.write_text(before)
    assert ops(fixed_rig.plan()) == []


@pytest.fixture(scope="module")
def fixed_rig(cloud, tmp_path_factory):
    made = make_rig(cloud.clouds_yaml, tmp_path_factory.mktemp("site"))
    sections = whole(made)
    made.write(
        **{name: sections[name] for name in ("networks", "images")},
        vos={"cms": {"access": [{"fqan": "/cms/*"}]}},
    )
    made.apply()
    yield made
    clean(made)


def test_a_second_site_of_the_same_cloud_is_left_alone(rig: Rig, cloud, tmp_path):  # noqa: F811
    """Flavours, images, networks of the administrator and identity providers are in no domain."""
    rig.write(**whole(rig))
    rig.apply()
    other = make_rig(cloud.clouds_yaml, tmp_path / "other")
    try:
        other.write(vos={"cms": {"access": [{"fqan": "/cms/*"}]}})
        plan = other.plan("--prune")
        assert {item.split()[0] for item in ops(plan)} == {"create"}
        assert not plan["held"]
        other.apply("--prune", "--force")
        assert ops(rig.plan()) == []
    finally:
        clean(other)


def world(rig: Rig) -> Any:  # noqa: F811
    """Everything that could be touched by mistake, as the services tell it."""
    hand = rig.hand
    lists = {
        "identity": ("/projects", "/users", "/groups", "/roles", "/domains", "/role_assignments", "/credentials",
                     "/OS-FEDERATION/identity_providers", "/OS-FEDERATION/mappings"),
        "compute": ("/flavors/detail?is_public=none",),
        "network": ("/networks", "/subnets", "/routers", "/security-groups", "/ports", "/quotas"),
        "image": ("/images?limit=1000",),
    }  # fmt: skip
    found = {}
    for service, paths in lists.items():
        for path in paths:
            data = hand.get(service, path)
            member = next(name for name in data if isinstance(data[name], list))
            mine = [item for item in data[member] if rig.tag in json.dumps(item)]
            found[path] = sorted(json.dumps(item, sort_keys=True) for item in mine)
    return found


def test_what_a_member_puts_in_the_way_holds_up_its_vo_alone(rig: Rig):  # noqa: F811
    name = f"{rig.tag}-web"
    vos = {vo: {"access": [{"fqan": f"/{vo}/*"}], "service_users": {"pilot": {}}} for vo in ("cms", "ligo")}
    rig.write(security_groups={name: {"vo": "cms", "rules": [{"protocol": "icmp"}]}}, vos=vos)
    rig.apply()
    cms, path = rig.project("cms"), f"/security-groups?name={name}"
    ours = rig.hand.named("network", path, "security_groups", name)["id"]
    rig.hand.send("DELETE", "network", f"/security-groups/{ours}")
    rig.hand.post("network", "/security-groups", {"security_group": {"name": name, "project_id": cms}})

    def change(data: dict[str, Any]) -> None:
        for vo in ("cms", "ligo"):
            data["vos"][vo]["service_users"] = {"factory": {}}

    rig.rewrite(change)
    ran = rig.run("apply", "--yes", "--force", "--json", expect=1)
    assert [item["kind"] for item in ran.data["conflicts"]] == ["security_group"]
    users = {
        user["name"]: user["enabled"]
        for user in rig.hand.get("identity", f"/users?domain_id={rig.domain_id}")["users"]
    }
    assert users["ligo-factory"] is True
    assert "cms-factory" not in users  # it waits until what is in the way is settled
    assert all("cms" in " ".join(item["key"]) for item in ran.data["waiting"])
    for vo in ("cms", "ligo"):  # and nobody's access is kept alive by it
        roles = f"/role_assignments?scope.project.id={rig.project(vo)}&include_names"
        held = rig.hand.get("identity", roles)["role_assignments"]
        assert f"{vo}-pilot" not in {item.get("user", {}).get("name") for item in held}
    rig.run("adopt", "--yes", expect=0)
    rig.apply("--force")
    assert ops(rig.plan()) == []
