"""What people change by hand beside site.yml: who got in that way is shown first, and what they chose stays."""

from __future__ import annotations

import signal
import time
from typing import Any

import pytest
import yaml

from tests.sandbox.reconcile_kit import Rig, change, openstack, ops, shared_rig  # noqa: F401

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def site(shared_rig: Rig) -> Rig:  # noqa: F811
    """Two VOs that have been applied."""
    shared_rig.write(vos=vos())
    shared_rig.apply()
    return shared_rig


def vos(*access: str, **cms: Any) -> dict[str, Any]:
    lines = [{"fqan": one} for one in access or ("/cms/*", "/cms/Role=pilot")]
    return {
        "cms": {"access": lines, "service_users": {"pilot": {}}, **cms},
        "icecube": {"access": [{"fqan": "/icecube/*"}]},
    }


def test_who_was_let_in_by_hand_is_shown_before_all_else(site: Rig):
    site.write(vos=vos())
    domain = ("--user-domain", site.domain, "--group-domain", site.domain)
    openstack(site, "user", "create", "--domain", site.domain, "intruder")
    openstack(site, "group", "add", "user", *domain, "cms-member", "intruder")
    openstack(
        site,
        "role",
        "add",
        "--domain",
        site.domain,
        "--user",
        "intruder",
        *domain[:2],
        "--inherited",
        "member",
    )
    openstack(site, "role", "add", "--system", "all", "--group", "cms-member", *domain[2:], "reader")
    openstack(site, "role", "add", "--project", "admin", "--user", "cms-pilot", *domain[:2], "reader")
    admin = site.hand.token["project"]["id"]
    expected = [
        ["group_member", "cms-member", "intruder"],
        ["role_assignment", "group", "cms-member", "reader", "system:all"],
        ["role_assignment", "user", "cms-pilot", "reader", f"project:{admin}"],
        ["role_assignment", "user", "intruder", "member", f"inherited:domain:{site.domain}"],
    ]
    plan = site.plan()
    assert ops(plan) == []
    assert [[item["kind"], *item["key"]] for item in plan["unmanaged"][: len(expected)]] == expected
    shown = site.run("plan", expect=0).out
    assert "? group_member cms-member/intruder" in shown
    openstack(site, "user", "delete", "--domain", site.domain, "intruder")
    openstack(site, "role", "remove", "--system", "all", "--group", "cms-member", *domain[2:], "reader")
    openstack(site, "role", "remove", "--project", "admin", "--user", "cms-pilot", *domain[:2], "reader")
    left = site.plan()["unmanaged"]
    assert [item for item in left if item["kind"] in ("group_member", "role_assignment")] == []


def test_a_service_user_of_ours_in_a_group_of_ours_is_taken_out(site: Rig):
    """Both ends are ours, so the membership is, and site.yml does not say it."""
    site.write(vos=vos())
    group = site.hand.named("identity", f"/groups?domain_id={site.domain_id}", "groups", "icecube-member")[
        "id"
    ]
    user = site.hand.named("identity", f"/users?domain_id={site.domain_id}", "users", "cms-pilot")["id"]
    path = f"/groups/{group}/users"
    site.hand.send("PUT", "identity", f"{path}/{user}")
    assert ops(site.plan()) == ["remove group_member icecube-member/cms-pilot"]
    site.apply("--force")  # the one member there is: more than the bound lets go
    assert site.hand.get("identity", path)["users"] == []
    assert ops(site.plan()) == []


def test_a_line_of_access_that_changes_is_a_change_of_its_group(site: Rig):
    site.write(vos=vos("/cms/*", "/cms/Role=production"))
    plan = site.plan()
    assert ops(plan) == ["update group cms-member"]
    group = change(plan, "group", "cms-member")
    assert (group["before"], group["after"]) == (
        {"access": ["fqan /cms/*", "fqan /cms/Role=pilot"]},
        {"access": ["fqan /cms/*", "fqan /cms/Role=production"]},
    )
    shown = site.run("plan", expect=2).out
    assert "access: - fqan /cms/Role=pilot" in shown
    assert "access: + fqan /cms/Role=production" in shown
    site.apply()
    assert ops(site.plan()) == []
    site.write(vos=vos())
    site.apply()


def test_an_image_that_was_deactivated_by_hand_stays_so(site: Rig):
    file = site.folder / "image.raw"
    file.write_bytes(b"an image\n" * 100)
    images = {f"{site.tag}-worker": {"source": f"file:{file}", "disk_format": "raw"}}
    site.write(vos=vos(), images=images)
    site.apply()
    image = site.hand.get("image", f"/images?name={site.tag}-worker")["images"][0]["id"]
    site.hand.send("POST", "image", f"/images/{image}/actions/deactivate")
    plan = site.plan()
    assert ops(plan) == []
    assert [(item["kind"], item["attrs"]) for item in plan["left"]] == [("image", {"status": "deactivated"})]
    site.apply()
    assert site.hand.get("image", f"/images/{image}")["status"] == "deactivated"
    site.hand.send("POST", "image", f"/images/{image}/actions/reactivate")
    assert site.plan()["left"] == []


def test_a_vo_has_as_many_buckets_as_its_account_has_room_to_know_them_by(site: Rig):
    if not site.hand.has("object"):
        pytest.skip("the sandbox has no object store")
    names = [f"{site.tag}-{number:02}-{'x' * 40}" for number in range(20)]
    site.write(vos=vos(buckets={name: {} for name in names}))
    site.apply()
    assert ops(site.plan()) == []
    site.write(vos=vos(buckets={name: {} for name in names[:3]}))
    held = [item["key"] for item in site.plan()["held"] if item["kind"] == "bucket"]
    assert held == [["cms", name] for name in names[3:]]
    site.apply("--prune", "--force")
    account = site.hand.account(site.project("cms"))
    assert site.hand.http.get(account, timeout=60).text.split() == names[:3]
    known = site.hand.http.head(account, timeout=60).headers
    assert sorted(text for name, text in known.items() if "Osg-Bucket" in name.title()) == names[:3]
    site.write(vos=vos(buckets={f"{site.tag}-{number:03}-{'y' * 50}": {} for number in range(91)}))
    ran = site.run("apply", "--yes")
    assert ran.code == 1
    assert "no room left to write down that the bucket" in ran.err
    site.write(vos=vos(buckets={}))
    site.apply("--prune", "--force")


def test_a_login_for_a_vos_own_project_makes_nothing_of_the_sites_in_it(site: Rig):
    site.write(vos=vos())
    admin = site.hand.token["user"]["id"]
    role = site.hand.named("identity", "/roles", "roles", "admin")["id"]
    path = f"/projects/{site.project('cms')}/users/{admin}/roles/{role}"
    site.hand.send("PUT", "identity", path)
    clouds = yaml.safe_load(site.real.read_text())
    clouds["clouds"][site.entry]["auth"].pop("project_domain_id")
    clouds["clouds"][site.entry]["auth"].update(project_name="cms", project_domain_name=site.domain)
    site.clouds = site.folder / "clouds.yaml"
    site.clouds.write_text(yaml.safe_dump(clouds))
    try:
        ran = site.run("plan")
    finally:
        site.clouds = site.real
        site.hand.send("DELETE", "identity", path)
    assert ran.code == 1
    assert "is for the project of VO cms" in ran.err


def test_ctrl_c_says_how_far_it_came_and_the_same_command_does_the_rest(site: Rig):
    more = {f"vo{number:02}": {"access": [{"fqan": f"/vo{number:02}/*"}]} for number in range(25)}
    site.write(vos={**vos(), **more})
    number = len(site.plan()["changes"])
    run = site.start("apply", "--yes", "--workers", "1", "--json")
    path = f"/projects?domain_id={site.domain_id}"
    deadline = time.monotonic() + 120
    while len(site.hand.get("identity", path)["projects"]) < 6 and time.monotonic() < deadline:
        time.sleep(0.02)
    run.send_signal(signal.SIGINT)
    out, err = run.communicate(timeout=120)
    assert run.returncode == 130, err
    assert f"of {number} changes are made" in err
    assert "Traceback" not in err
    assert '"interrupted": true' in out
    assert 0 < len(site.plan()["changes"]) < number
    site.apply()
    assert ops(site.plan()) == []
