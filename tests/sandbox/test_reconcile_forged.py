"""Marks that a VO's member writes: what makes a thing the site's is only what the VO cannot write itself."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from osg_site_iaas.cloud.kinds.bucket import REGISTER, register_header
from tests.sandbox.reconcile_kit import Hand, Rig, ops, shared_rig  # noqa: F401

pytestmark = pytest.mark.sandbox
GOOD, EVIL = b"what the site checked\n" * 40, b"what the VO's member wants\n" * 40
OCTETS = {"Content-Type": "application/octet-stream"}


@pytest.fixture(scope="module")
def site(shared_rig: Rig) -> Rig:  # noqa: F811
    """Two VOs that have been applied, and nothing else."""
    shared_rig.write(vos=vos())
    shared_rig.apply()
    return shared_rig


def vos(**mine: Any) -> dict[str, Any]:
    return {
        "mine": {"service_users": {"p1": {"password": "generated"}}, **mine},
        "cms": {"access": [{"fqan": "/cms/*"}]},
    }


@pytest.fixture(scope="module")
def member(site: Rig) -> Hand:
    """Somebody of VO mine, with the one role that VOs get."""
    return Hand(
        {
            "auth_url": site.hand.auth_url,
            "username": "mine-p1",
            "password": (site.secrets / "mine-p1.password").read_text().strip(),
            "user_domain_name": site.domain,
            "project_name": "mine",
            "project_domain_name": site.domain,
        }
    )


def test_an_image_with_forged_marks_is_never_published_as_the_sites(site: Rig, member: Hand):
    name, digest = f"{site.tag}-worker", hashlib.sha256(GOOD).hexdigest()
    (site.folder / "good.raw").write_bytes(GOOD)
    forged = {
        "name": name,
        "disk_format": "raw",
        "container_format": "bare",
        "tags": ["osg-site-iaas", f"osg-site-iaas:domain={site.domain}"],
        "osg_site_iaas_checksum": f"sha256:{digest}",
    }
    evil = member.post("image", "/images", forged)["id"]
    member.send("PUT", "image", f"/images/{evil}/file", data=EVIL, headers=OCTETS)
    image = {
        "source": "file:good.raw",
        "checksum": f"sha256:{digest}",
        "visibility": "public",
        "disk_format": "raw",
    }
    site.write(vos=vos(), images={name: image})
    plan = site.plan()
    assert ops(plan) == [f"create image {name}"]
    assert {"kind": "image", "key": [name, member.token["project"]["id"]]} in plan["unmanaged"]
    site.apply()

    (public,) = site.hand.get("image", f"/images?name={name}&visibility=public")["images"]
    assert public["owner"] == site.hand.token["project"]["id"]
    assert site.hand.send("GET", "image", f"/images/{public['id']}/file").content == GOOD
    assert site.hand.get("image", f"/images/{evil}")["visibility"] == "shared"
    assert ops(site.plan()) == []
    site.write(vos=vos())
    for _ in range(2):
        site.apply("--prune")
    assert [i["id"] for i in site.hand.get("image", f"/images?name={name}&visibility=all")["images"]] == [
        evil
    ]


def test_networks_and_routers_of_a_stranger_with_forged_marks_are_left_to_him(site: Rig):
    hand, t = site.hand, site.tag
    project = hand.post(
        "identity", "/projects", {"project": {"name": f"{t}-foreign", "domain_id": "default"}}
    )
    project = project["project"]["id"]
    made = []
    try:
        for path, thing in (
            ("/networks", "network"),
            ("/routers", "router"),
            ("/security-groups", "security_group"),
        ):
            body = {
                "name": f"{t}-pool",
                "description": f"[osg-site-iaas {site.domain}]",
                "project_id": project,
            }
            id = hand.post("network", path, {thing: body})[thing]["id"]
            made.append(f"{path}/{id}")
            hand.send("PUT", "network", f"{path}/{id}/tags/osg-site-iaas")
        site.write(vos=vos(), networks={f"{t}-pool": {"shared": True}}, routers={f"{t}-pool": {}})
        plan = site.plan("--prune")
        assert ops(plan) == [f"create network /{t}-pool", f"create router /{t}-pool"]
        assert {"kind": "network", "key": [project, f"{t}-pool"]} in plan["unmanaged"]
        site.apply("--prune")
        assert hand.get("network", made[0])["network"]["shared"] is False
        assert ops(site.plan("--prune")) == []
        site.write(vos=vos())
        site.apply("--prune")
        left = hand.get("network", f"/networks?name={t}-pool")["networks"]
        assert [f"/networks/{item['id']}" for item in left] == made[:1]
    finally:
        for path in made:
            hand.send("DELETE", "network", path)
        hand.send("DELETE", "identity", f"/projects/{project}")


def test_a_register_of_buckets_that_a_member_has_written_stops_no_plan(site: Rig, member: Hand):
    site.write(vos=vos())
    site.apply()
    account = site.hand.account(site.project("mine"))
    names = ("%00", "..", "%2e%2e", "a%2Fb", "?x", "%1b[2J", "x" * 100)
    forged = {f"{REGISTER}{number}": name for number, name in enumerate(names)}
    member.http.post(account, headers=forged, timeout=60).raise_for_status()
    assert ops(site.plan()) == []

    name = f"{site.tag}-bucket"
    site.write(vos=vos(buckets={name: {}}))
    site.apply()
    assert site.hand.http.head(account, timeout=60).headers[register_header(name)] == name
    assert ops(site.plan()) == []


def test_what_a_member_marks_as_ours_still_keeps_its_project(site: Rig, member: Hand):
    """The last one: its VO goes."""
    site.write(vos=vos())
    site.apply("--prune")
    mark = f"[osg-site-iaas {site.domain}]"
    image = {"name": f"{site.tag}-own", "disk_format": "raw", "container_format": "bare", "description": mark}
    member.post("image", "/images", image)
    member.post("volume", "/volumes", {"volume": {"size": 1, "name": f"{site.tag}-own", "description": mark}})
    site.write(vos={"cms": vos()["cms"]})
    site.apply("--prune", "--force")  # which disables it
    plan = site.plan("--prune")
    assert [c for c in ops(plan) if "project" in c] == []
    (held,) = [item["why"] for item in plan["held"] if item["kind"] == "project"]
    project = site.project("mine")
    images = site.hand.get("image", f"/images?owner={project}&visibility=all")["images"]  # other tests' too
    assert f" {len(images)} images" in held
    assert " 1 volumes" in held
