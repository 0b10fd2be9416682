"""What an edit of one line takes away or leaves, and what one site of a cloud must not do to another."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from tests.sandbox.reconcile_kit import Rig, change, clean, make_rig, ops, password_auth, shared_rig  # noqa: F401

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def site(shared_rig: Rig) -> Rig:  # noqa: F811
    shared_rig.write(vos=vos())
    shared_rig.apply()
    return shared_rig


def vos(**pilot: Any) -> dict[str, Any]:
    return {"cms": {"access": [{"fqan": "/cms/*"}], "service_users": {"pilot": pilot}}, "icecube": {}}


def status(site: Rig, password: str) -> int:
    """What Keystone says to a login of the service user."""
    auth = {
        "username": "cms-pilot", "password": password, "user_domain_name": site.domain,
        "project_name": "cms", "project_domain_name": site.domain,
    }  # fmt: skip
    body = {"auth": password_auth(auth)}
    return requests.post(f"{site.hand.auth_url}/auth/tokens", json=body, timeout=60).status_code


def test_a_password_that_is_no_longer_declared_opens_nothing(site: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PILOT", "a password from elsewhere")
    file = site.secrets / "cms-pilot.password"
    for declared in ("generated", "env:PILOT"):
        site.write(vos=vos(password=declared))
        site.apply()
        password = file.read_text().strip() if declared == "generated" else "a password from elsewhere"
        assert status(site, password) == 201
        assert ops(site.plan()) == []
        site.write(vos=vos())
        plan = site.plan()
        assert ops(plan) == ["update user cms-pilot"]
        assert (change(plan, "user", "cms-pilot")["before"], change(plan, "user", "cms-pilot")["after"]) == (
            {"password": True},
            {"password": False},
        )
        site.apply()
        assert status(site, password) == 401
        assert not file.exists()
        assert ops(site.plan()) == []


def test_a_password_that_cannot_be_had_is_said_before_anything_is_changed(site: Rig):
    site.write(vos={**vos(), "late": {"service_users": {"p": {"password": "env:NOT_THERE"}}}})
    for command in ("plan", "apply"):
        ran = site.run(command, *(["--yes"] if command == "apply" else []))
        assert ran.code == (1 if command == "apply" else 2)
        assert "the password of late-p: the environment variable NOT_THERE is not set" in ran.err
    names = [
        item["name"]
        for item in site.hand.get("identity", f"/projects?domain_id={site.domain_id}")["projects"]
    ]
    assert "late" not in names


def test_a_private_flavour_that_no_longer_names_its_vos_does_not_become_public(site: Rig):
    name = f"{site.tag}.gpu"
    size = {"vcpus": 1, "ram": "64 MiB"}
    site.write(vos=vos(), flavours={name: {**size, "vos": ["cms"]}})
    site.apply()

    def public() -> bool:
        found = site.hand.named("compute", "/flavors/detail?is_public=none", "flavors", name)
        return bool(found["os-flavor-access:is_public"])

    assert not public()
    site.write(vos=vos(), flavours={name: {**size, "vcpus": 2}})
    plan = site.plan()
    assert sorted(ops(plan)) == [f"remove flavour_access {name}/cms", f"update flavour {name}"]
    assert [(item["kind"], item["attrs"]) for item in plan["left"]] == [("flavour", {"public": False})]
    site.apply("--force")
    assert not public()
    site.write(vos=vos(), flavours={name: {**size, "vcpus": 2, "public": True}})
    site.apply()
    assert public()
    assert ops(site.plan()) == []


def test_neutrons_own_default_group_of_a_new_project_becomes_the_declared_one(site: Rig):
    rules = [{"protocol": "tcp", "ports": 22}]
    site.write(vos={**vos(), "new": {}}, security_groups={"default": {"vo": "new", "rules": rules}})
    site.apply()
    assert ops(site.plan()) == []
    path = f"/security-groups?project_id={site.project('new')}"
    (group,) = site.hand.get("network", path)["security_groups"]
    assert [(rule["direction"], rule["port_range_min"]) for rule in group["security_group_rules"]] == [
        ("ingress", 22)
    ]


def test_of_a_vo_that_is_declared_it_is_said_that_it_is_not_destroyed(site: Rig):
    site.write(vos=vos())
    site.apply("--prune", "--force")
    ran = site.run("apply", "--yes", "--prune", "--destroy", "cms", expect=0)
    assert "VO cms is declared in site.yml and stays" in ran.err
    assert site.project("cms")


def test_adopt_takes_nothing_that_another_site_has_made(site: Rig, cloud: Any, tmp_path: Any):
    t = site.tag
    flavours = {f"{t}.shared": {"vcpus": 1, "ram": "64 MiB"}}
    networks = {f"{t}-net": {"shared": True}}
    site.write(vos=vos(), flavours=flavours, networks=networks)
    site.apply()
    before = site.hand.get("identity", f"/OS-FEDERATION/mappings/osg-site-iaas-grid-{t}")["mapping"]["rules"]
    second = make_rig(cloud.clouds_yaml, tmp_path)
    try:
        declared = {
            "identity_providers": {f"grid-{t}": {"type": "x509"}},
            "flavours": flavours,
            "networks": networks,
            "vos": {"other": {"access": [{"fqan": "/other/*"}]}},
        }
        second.write(**declared)
        ran = second.run("adopt", "--yes")
        assert ran.code == 1
        plan = second.plan()
        words = f"belongs to another site of this cloud, that of the Keystone domain {site.domain}"
        assert {item["kind"] for item in plan["conflicts"] if item["why"] == words} >= {
            "identity_provider", "mapping", "flavour", "network",
        }  # fmt: skip
        assert not [item for item in plan["unmanaged"] if item["kind"] in ("identity_provider", "mapping")]
        after = site.hand.get("identity", f"/OS-FEDERATION/mappings/osg-site-iaas-grid-{t}")["mapping"][
            "rules"
        ]
        assert after == before
        site.apply()
        assert ops(site.plan()) == []
    finally:
        clean(second)
