"""``osg-site-iaas ban`` end to end: who is banned loses everything at once, and nobody else anything."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Iterator

import pytest
import requests
from keystoneauth1 import session

from tests import pki
from tests.sandbox.identity_fixtures import CMS, PILOT, GridSite, apply, grid_site  # noqa: F401
from tests.sandbox.test_identity_keys import IDENTITY, ec2_key, s3_project


class Holder:
    """A member with a token, an EC2 key and an application credential."""

    def __init__(self, site: GridSite, name: str, *fqans: str) -> None:
        self.site = site
        self.user = site.user(name)
        self.proxy = site.proxy(self.user, *fqans)
        self.session: session.Session = site.proxy_session(self.proxy)
        self.token = self.session.get_token()
        self.key = ec2_key(self.session)
        body = {"application_credential": {"name": "x"}}
        url = f"/users/{self.session.get_user_id()}/application_credentials"
        self.app = self.session.post(url, json=body, **IDENTITY).json()["application_credential"]

    def holds(self, *, s3: bool = True) -> dict[str, bool]:
        """Which of them still open something. Swift's S3 face remembers a key for a minute once it has seen it."""
        url = self.site.cloud.endpoints["keystone"]
        headers = {"X-Auth-Token": self.token}
        identity = {
            "methods": ["application_credential"],
            "application_credential": {"id": self.app["id"], "secret": self.app["secret"]},
        }
        app = requests.post(f"{url}/auth/tokens", json={"auth": {"identity": identity}}, timeout=30)
        return {
            "token": requests.get(f"{url}/auth/projects", headers=headers, timeout=30).status_code == 200,
            "ec2": not s3 or s3_project(self.site, self.key) == 200,
            "application": app.status_code == 201,
            "login": self.site.knock(self.proxy).status_code == 201,
        }


EVERYTHING = {"token": True, "ec2": True, "application": True, "login": True}
NOTHING = dict.fromkeys(EVERYTHING, False)


def ban(site: GridSite, action: str, *words: str, code: int = 0) -> Any:
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.cloud.clouds_yaml)}
    env["OSG_SITE_IAAS_IDENTITY"] = str(site.cloud.sandbox.folder / "identity.yml")
    command = [sys.executable, "-m", "osg_site_iaas", "ban", action, str(site.site_file), *words, "--json"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def site(grid_site: GridSite) -> Iterator[GridSite]:  # noqa: F811
    yield grid_site
    (grid_site.folder / "bans.yml").unlink(missing_ok=True)


def test_a_banned_person_loses_everything_and_nobody_else_does(site: GridSite) -> None:
    bad, good = Holder(site, "Bad", CMS), Holder(site, "Good", CMS)
    assert bad.holds(s3=False) == EVERYTHING
    kinds = {item["kind"] for item in ban(site, "add", "--dn", bad.user.dn, "--dry-run", code=2)["items"]}
    assert kinds == {"user", "ec2_key", "application_credential"}
    assert bad.holds(s3=False) == EVERYTHING
    report = ban(site, "add", "--dn", bad.user.dn, "--reason", "ticket 42")
    assert (bad.holds(), good.holds()) == (NOTHING, EVERYTHING)
    assert any("servers" in line for line in report["remains"])


def test_a_ban_survives_apply_and_can_be_repeated(site: GridSite) -> None:
    bad = Holder(site, "Applied", CMS)
    ban(site, "add", "--dn", bad.user.dn)
    apply(site.cloud, site.site_file)
    assert bad.holds() == NOTHING
    ban(site, "add", "--dn", bad.user.dn)
    assert len(ban(site, "list")) == 1


def test_a_lifted_ban_lets_in_and_brings_no_keys_back(site: GridSite) -> None:
    bad = Holder(site, "Forgiven", CMS)
    ban(site, "add", "--dn", bad.user.dn)
    ban(site, "remove", "--dn", bad.user.dn)
    assert bad.holds() == {**NOTHING, "login": True}


def test_a_ban_by_fqan_finds_the_keys_that_came_of_it(site: GridSite) -> None:
    pilot, member = Holder(site, "Pilot", PILOT), Holder(site, "Plain", CMS)
    ban(site, "add", "--fqan", "/cms/Role=pilot*")
    assert (pilot.holds(), member.holds()) == (NOTHING, EVERYTHING)
    assert site.knock(site.proxy(pilot.user, CMS)).status_code == 201


def test_a_ban_of_a_vo_cuts_its_members(site: GridSite) -> None:
    member = Holder(site, "Member", CMS)
    ban(site, "add", "--vo", "cms")
    assert member.holds() == NOTHING
    ban(site, "remove", "--vo", "cms")
    assert site.knock(member.proxy).status_code == 201


def test_a_ban_of_a_subject_cuts_one_robot(site: GridSite) -> None:
    def enter(subject: str) -> int:
        return site.knock_with_token(site.issuer.sign(sub=subject)).status_code

    assert (enter("robot-1"), enter("robot-2")) == (201, 201)
    ban(site, "add", "--issuer", site.issuer.url, "--subject", "robot-1")
    assert (enter("robot-1"), enter("robot-2")) == (401, 201)


def test_servers_can_be_stopped_with_their_owner(site: GridSite) -> None:
    owner = Holder(site, "Owner", CMS)
    admin = site.cloud.connect()
    image = admin.image.create_image(
        name=f"tiny-{site.tag}",
        disk_format="raw",
        container_format="bare",
        data=b"x" * 512,
        visibility="public",
    )
    flavour = admin.compute.create_flavor(name=f"tiny-{site.tag}", ram=64, vcpus=1, disk=1)
    compute = {"endpoint_filter": {"service_type": "compute", "interface": "public"}}
    try:
        body = {"server": {"name": "s", "imageRef": image.id, "flavorRef": flavour.id, "networks": "none"}}
        headers = {"OpenStack-API-Version": "compute 2.37"}
        answer = owner.session.post("/servers", json=body, headers=headers, raise_exc=False, **compute)
        assert answer.status_code == 202, answer.text
        made = answer.json()["server"]
        admin.compute.wait_for_server(admin.compute.get_server(made["id"]), wait=60)
        assert admin.compute.get_server(made["id"]).project_id == owner.session.get_project_id()
        report = ban(site, "add", "--dn", owner.user.dn, "--servers", "stop")
        assert [i["id"] for i in report["items"] if i["kind"] == "server"] == [made["id"]]
        admin.compute.wait_for_server(admin.compute.get_server(made["id"]), status="SHUTOFF", wait=60)
        admin.compute.delete_server(made["id"])
    finally:
        admin.image.delete_image(image)
        admin.compute.delete_flavor(flavour)
        admin.close()


@pytest.mark.parametrize(
    "words", [["--vo", "nobody"], ["--fqan", "cms"], ["--dn", "Jane"], ["--dn", "/CN=x", "--subject", "y"]]
)
def test_a_ban_that_shuts_out_nobody_is_an_error(words: list[str], site: GridSite) -> None:
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.cloud.clouds_yaml)}
    command = [sys.executable, "-m", "osg_site_iaas", "ban", "add", str(site.site_file), *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (site.folder / "bans.yml").exists()


def test_the_plain_member_without_proxy_is_no_concern_of_bans(site: GridSite) -> None:
    assert site.knock(pki.proxy(site.user("Nobody"))).status_code == 401
