"""The doctor on a real OpenStack with real faults: each is found, and what it says to do mends it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.sandbox.ec2_fixtures import running_door
from tests.sandbox.reconcile_kit import Hand, Ran, Rig, environment, shared_rig, wait_for  # noqa: F401


@pytest.fixture(scope="module")
def site(shared_rig: Rig) -> Rig:  # noqa: F811
    """A site with one VO, applied, and folders of a host beside it."""
    rig = shared_rig
    tag = rig.tag
    rig.write(
        flavours={f"{tag}.small": {"vcpus": 1, "ram": "64 MiB", "disk": "1 GiB", "vos": ["cms"]}},
        networks={f"{tag}-net": {"vo": "cms", "subnets": {f"{tag}-v4": {"cidr": "10.33.0.0/24"}}}},
        vos={
            "cms": {"access": [{"fqan": "/cms/*"}], "quota": {"compute": {"instances": 1, "cores": 4}}},
            "ligo": {"access": [{"fqan": "/ligo/*"}]},
        },
    )
    rig.apply()
    (rig.folder / "etc").mkdir()
    return rig


def doctor(rig: Rig, *words: str) -> Ran:
    folder = rig.folder
    return rig.run(
        "doctor", "--json", "--etc", str(folder / "etc"), "--state", str(folder / "state"),
        "--grid", str(folder / "grid"), "--probe-config", str(folder / "ProbeConfig"), *words,
    )  # fmt: skip


def found(rig: Rig, *checks: str, clouds: Any = None) -> dict[str, str]:
    """What is found, as one text for each check that found something."""
    with environment(OS_CLIENT_CONFIG_FILE=str(clouds or rig.clouds)):
        before, rig.clouds = rig.clouds, clouds or rig.clouds
        try:
            ran = doctor(rig, "--only", *checks)
        finally:
            rig.clouds = before
    results = ran.data["results"]
    assert ran.code == (2 if any(result["findings"] for result in results) else 1 if unknown(ran) else 0)
    return {
        result["check"]: " | ".join(one["what"] for one in result["findings"])
        for result in results
        if result["findings"]
    }


def unknown(ran: Ran) -> list[str]:
    return [result["check"] for result in ran.data["results"] if result["state"] == "unknown"]


def why(rig: Rig, image: str, *words: str, vo: str = "cms") -> tuple[bool, str]:
    ran = doctor(rig, "--vo", vo, "--image", image, *words)
    assert ran.code == (0 if ran.data["can"] else 2)
    return ran.data["can"], " | ".join(step["what"] for step in ran.data["steps"] if step["prevents"])


def altered(rig: Rig, name: str, **changes: Any) -> Path:
    """A clouds.yaml whose entry differs."""
    data = yaml.safe_load(rig.clouds.read_text())
    auth = changes.pop("auth", {})
    data["clouds"][rig.entry].update(changes)
    data["clouds"][rig.entry]["auth"].update(auth)
    path = rig.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_a_site_that_is_well_has_no_findings(site: Rig) -> None:
    assert found(site, "declaration", "keystone", "clock", "services", "mapping", "strangers", "quotas") == {}


def test_who_got_in_by_hand_is_found(site: Rig) -> None:
    hand, project = site.hand, site.project("cms")
    user = hand.post("identity", "/users", {"user": {"name": f"intruder-{site.tag}"}})["user"]["id"]
    role = hand.get("identity", "/roles?name=member")["roles"][0]["id"]
    hand.send("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role}")
    try:
        said = found(site, "strangers")["strangers"]
        assert f"intruder-{site.tag}" in said
        assert "is not of site.yml" in said
    finally:
        hand.send("DELETE", "identity", f"/users/{user}")
    assert found(site, "strangers") == {}


def test_a_vo_that_was_disabled_in_an_emergency_is_found_and_cannot_start_anything(site: Rig) -> None:
    hand, project = site.hand, site.project("cms")
    hand.send("PATCH", "identity", f"/projects/{project}", json={"project": {"enabled": False}})
    try:
        assert "project cms was disabled by hand" in found(site, "mapping")["mapping"]
        assert "the project cms is disabled in Keystone" in why(site, "any")[1]
    finally:
        hand.send("PATCH", "identity", f"/projects/{project}", json={"project": {"enabled": True}})


def test_a_keystone_that_is_away_is_one_finding_and_the_rest_is_skipped(site: Rig) -> None:
    clouds = altered(site, "away", auth={"auth_url": "http://127.0.0.1:9/v3"})
    said = found(site, "keystone", "services", "quotas", clouds=clouds)
    assert list(said) == ["keystone"]
    assert found(site, "services", "quotas", clouds=clouds) == {}  # which is not called well: exit code 1
    assert "cannot log in" in said["keystone"]


def test_a_wrong_password_is_found(site: Rig) -> None:
    clouds = altered(site, "password", auth={"password": "wrong"})
    assert "refuses the login" in found(site, "keystone", clouds=clouds)["keystone"]


def test_a_service_that_is_dead_is_named(site: Rig) -> None:
    clouds = altered(site, "dead", image_endpoint_override="http://127.0.0.1:9")
    said = found(site, "services", clouds=clouds)["services"]
    assert said.startswith("image does not answer")


def test_logins_that_somebody_changed_in_keystone_are_found(site: Rig) -> None:
    hand = site.hand
    groups = hand.get("identity", f"/groups?domain_id={site.domain_id}")["groups"]
    group = next(one["id"] for one in groups if one["name"] == "ligo-member")
    hand.send("DELETE", "identity", f"/groups/{group}")
    assert "create group ligo-member" in found(site, "mapping")["mapping"]
    site.apply()
    assert found(site, "mapping") == {}


def test_an_ec2_door_that_is_away_is_found_and_one_that_answers_is_well(site: Rig) -> None:
    file = site.folder / "etc/ec2.yml"
    file.write_text("bind: 127.0.0.1:9\n")
    try:
        assert "does not answer" in found(site, "ec2")["ec2"]
        with running_door(
            site.clouds, site.folder / "door", cloud=site.entry, secrets_cloud=site.entry
        ) as door:
            file.write_text(f"bind: {door.url.partition('//')[2]}\n")
            assert found(site, "ec2") == {}
        assert "does not answer" in found(site, "ec2")["ec2"]
    finally:
        file.unlink()


def test_why_a_vo_cannot_start_an_image_is_told_reason_by_reason(site: Rig) -> None:
    hand, name = site.hand, f"{site.tag}-disk"
    assert why(site, name) == (False, f"Glance has no image {name}")
    body = {
        "name": name,
        "disk_format": "raw",
        "container_format": "bare",
        "visibility": "private",
        "min_ram": 128,
    }
    image = hand.post("image", "/images", body)["id"]
    assert "the image is queued" in why(site, name)[1]
    hand.send(
        "PUT", "image", f"/images/{image}/file", data=b"x" * 512,
        headers={"Content-Type": "application/octet-stream"},
    )  # fmt: skip
    assert "the image is private to another project" in why(site, image)[1]
    patch = {"Content-Type": "application/openstack-images-v2.1-json-patch"}

    def change(path: str, value: Any) -> None:
        steps = [{"op": "replace", "path": path, "value": value}]
        hand.send("PATCH", "image", f"/images/{image}", json=steps, headers=patch)

    change("/visibility", "community")
    twin = hand.post("image", "/images", {**body, "disk_format": "qcow2"})["id"]
    assert "private to another project" not in why(site, name)[1]
    hand.send("DELETE", "image", f"/images/{twin}")
    flavour = f"{site.tag}.small"
    assert why(site, name, "--flavour", flavour)[1] == f"{flavour} has 64 MiB, the image needs 128"
    assert why(site, name, "--flavour", "no.such")[1] == "Nova has no flavour no.such"
    change("/min_ram", 0)
    assert why(site, f"ami-{image.replace('-', '')[:17]}", "--flavour", flavour) == (True, "")
    assert f"the flavour {flavour} is not for this VO" in why(site, name, "--flavour", flavour, vo="ligo")[1]
    (site.folder / "bans.yml").write_text("- vo: cms\n  reason: ticket 42\n")
    assert "the VO is banned: vo cms (ticket 42)" in why(site, name)[1]
    (site.folder / "bans.yml").unlink()

    odd = f"{site.tag}.odd"
    flavor = {"name": odd, "vcpus": 1, "ram": 64, "disk": 1}
    key = hand.post("compute", "/flavors", {"flavor": flavor})["flavor"]["id"]
    specs = f"/flavors/{key}/os-extra_specs"
    hand.post("compute", specs, {"extra_specs": {"trait:HW_CPU_X86_AVX512F": "required"}})
    assert f"has room for a {odd} with HW_CPU_X86_AVX512F" in why(site, name, "--flavour", odd)[1]
    hand.post("compute", specs, {"extra_specs": {"resources:CUSTOM_NOPE": "1"}})
    assert f"Placement cannot look for a host for a {odd}" in why(site, name, "--flavour", odd)[1]
    hand.send("DELETE", "compute", f"/flavors/{key}")
    network = hand.get("network", f"/networks?name={site.tag}-net")["networks"][0]["id"]
    for up in (False, True):
        hand.send("PUT", "network", f"/networks/{network}", json={"network": {"admin_state_up": up}})
        steps = doctor(site, "--vo", "cms", "--image", name).data["steps"]
        plugs = " ".join(
            step["what"] for step in steps if "plugged" in step["what"] or "switched off" in step["what"]
        )
        assert (f"{site.tag}-net" in plugs and "plugged" in plugs) is up

    # a quota that a server has used up
    flavours = hand.get("compute", "/flavors/detail?is_public=none")["flavors"]
    number = next(one["id"] for one in flavours if one["name"] == flavour)
    networks = hand.get("network", f"/networks?name={site.tag}-net")["networks"]
    project = site.project("cms")
    _start_as_member(site, project, number, image, networks[0]["id"])
    assert "uses 1 of 1 servers" in found(site, "quotas")["quotas"]
    assert "the quota is used up: 1 of 1 servers" in why(site, name)[1]

    # one that somebody lowered by hand: what is declared would do
    hand.send("PUT", "compute", f"/os-quota-sets/{project}", json={"quota_set": {"cores": 1}})
    ways = {step["what"]: step["todo"] for step in doctor(site, "--vo", "cms", "--image", name).data["steps"]}
    assert any("1 of 1 cores" in what and "site.yml allows 4" in todo for what, todo in ways.items())
    assert any("1 of 1 servers" in what and "raise vos.cms.quota" in todo for what, todo in ways.items())


def test_the_status_page_is_written_with_what_vos_use(site: Rig) -> None:
    out, etc = site.folder / "page", site.folder / "etc"
    places = ["--etc", str(etc), "--state", str(site.folder), "--probe-config", str(etc / "none")]
    for _ in range(2):
        site.run("status", "--out", str(out), *places, expect=0)
    data = json.loads((out / "status.json").read_text())
    assert {
        vo: {use["name"] for use in uses} >= {"cores", "instances"} for vo, uses in data["vos"].items()
    } == {
        "cms": True,
        "ligo": True,
    }
    assert len((site.folder / "history/usage.jsonl").read_text().splitlines()) == 2
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "status.json"]
    assert 'id="vo-cms"' in (out / "index.html").read_text()
    site.run("status", "--out", str(out), "--public", *places, expect=0)
    seen = site.run("status", "--public", "--json", *places, expect=0).data
    assert (seen["servers"], seen["public"], set(seen["states"]) - {"cms", "ligo"}) == ([], True, set())
    assert {one["check"]: one["state"] for one in seen["results"]}["keystone"] == "ok"


def _start_as_member(rig: Rig, project: str, flavour: str, image: str, network: str) -> None:
    """A server in the VO's project, by the administrator with a role there for as long as it takes."""
    hand = rig.hand
    role = next(one["id"] for one in hand.get("identity", "/roles")["roles"] if one["name"] == "member")
    user = hand.token["user"]["id"]
    hand.send("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role}")
    auth = yaml.safe_load(rig.clouds.read_text())["clouds"][rig.entry]["auth"]
    auth = {key: value for key, value in auth.items() if not key.startswith("project")}

    member = Hand({**auth, "project_name": "cms", "project_domain_name": rig.domain})
    body = {"name": "one", "flavorRef": flavour, "imageRef": image, "networks": [{"uuid": network}]}
    server = member.post("compute", "/servers", {"server": body})["server"]["id"]
    wait_for(lambda: member.get("compute", f"/servers/{server}")["server"]["status"] == "ACTIVE")
