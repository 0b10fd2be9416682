"""``ec2_keys: false`` holds once Keystone has the policy, whatever a member asks Keystone for directly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml
from keystoneauth1 import session

from osg_site_iaas.mapping.keystone import EC2_ROLE
from tests.sandbox.identity_fixtures import CMS, GridSite, apply, grid_site  # noqa: F401
from tests.sandbox.test_identity_client import Shell
from tests.sandbox.test_identity_keys import s3_project

NO_KEYS = "/cms/students/Role=NULL/Capability=NULL"


def command(site: GridSite, *words: str, code: int = 0) -> str:
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.cloud.clouds_yaml)}
    line = [sys.executable, "-m", "osg_site_iaas", *words]
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def site(grid_site: GridSite) -> Iterator[GridSite]:  # noqa: F811
    """With a line whose members may not have keys, and Keystone's policy as our own command writes it."""
    declared = yaml.safe_load(grid_site.site_file.read_text())
    declared["vos"]["cms"]["access"].insert(0, {"fqan": "/cms/students/*", "ec2_keys": False})
    grid_site.site_file.write_text(yaml.safe_dump(declared, sort_keys=False))
    assert f"openstack role create {EC2_ROLE}" in command(grid_site, "plan", str(grid_site.site_file), code=2)
    admin = grid_site.cloud.connect()
    role = admin.identity.create_role(name=EC2_ROLE)
    policy = grid_site.cloud.sandbox.box().etc / "keystone/policy.yaml"
    try:
        apply(grid_site.cloud, grid_site.site_file)
        ways = json.loads(
            command(grid_site, "keystone-policy", str(grid_site.site_file), "--try", "--json", code=2)
        )
        assert len(ways["gets_through"]) >= 2, "without the policy they are open"
        policy.write_text(command(grid_site, "keystone-policy", str(grid_site.site_file)))
        yield grid_site
    finally:
        # Not removed: under an older Keystone (22 and 27) everything is answered 400 after that, until it starts anew.
        policy.write_text("{}\n")
        admin.identity.delete_role(role)
        admin.close()


def ways(site: GridSite, found: session.Session, project: str) -> dict[str, int]:
    """What each way to a key in a project is answered: directly, in general, and by changing another credential."""
    user = found.get_user_id()
    blob = json.dumps({"access": uuid.uuid4().hex, "secret": "s"})
    key = {"type": "ec2", "blob": blob, "project_id": project, "user_id": user}

    def send(method: str, path: str, body: dict[str, Any]) -> Any:
        return found.request(
            path, method, json=body, raise_exc=False, endpoint_override=site.cloud.endpoints["keystone"]
        )

    answers = {
        "OS-EC2": send("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project}),
        "general": send("POST", "/credentials", {"credential": key}),
        "other": send(
            "POST",
            "/credentials",
            {"credential": {**key, "type": "cert", "blob": blob.replace("access", "x")}},
        ),
    }
    if answers["other"].status_code == 201:
        path = f"/credentials/{answers['other'].json()['credential']['id']}"
        answers["changed"] = send("PATCH", path, {"credential": {"type": "ec2"}})
    return {way: answer.status_code for way, answer in answers.items()}


def test_who_may_not_have_a_key_gets_none_by_any_way_and_all_else_works(
    site: GridSite, tmp_path: Path
) -> None:
    proxy = site.proxy(site.user("Student"), NO_KEYS, CMS)
    found = site.proxy_session(proxy)
    assert ways(site, found, found.get_project_id()) == {"OS-EC2": 403, "general": 403, "other": 403}
    unscoped = site.session(
        "v3gridproxy",
        vo=None,
        identity_provider=site.x509_provider,
        protocol="mapped",
        proxy=site.file(proxy),
    )
    assert set(ways(site, unscoped, found.get_project_id()).values()) <= {401, 403}
    shell = Shell(site, tmp_path, X509_USER_PROXY=str(proxy.write(tmp_path / "x509up")))
    folder = Path(shell.login()["folder"])
    assert {file.name for file in folder.iterdir()} == {".lock", "clouds.yaml", "state.json"}
    assert (
        json.loads(shell.run("openstack", "token", "issue", "-f", "json"))["project_id"]
        == found.get_project_id()
    )
    said = shell.run("osg-iaas", "aws-credential-process", "--dir", str(folder), fails=True)
    assert "issues no EC2 keys to you" in said


def test_who_may_have_a_key_gets_one_in_that_project_only(site: GridSite, tmp_path: Path) -> None:
    proxy = site.proxy(site.user("Grown"), CMS)
    found = site.proxy_session(proxy)
    admin = site.cloud.connect()
    domain = admin.identity.find_domain(site.domain).id
    ligo = next(project.id for project in admin.identity.projects(domain_id=domain) if project.name == "ligo")
    admin.close()
    assert set(ways(site, found, ligo).values()) == {403}
    shell = Shell(site, tmp_path, X509_USER_PROXY=str(proxy.write(tmp_path / "x509up")))
    folder = Path(shell.login()["folder"])
    key = {"access": (folder / "access_key_id").read_text().strip()}
    key["secret"] = (folder / "secret_access_key").read_text().strip()
    assert s3_project(site, key) == 200


def test_the_trial_says_that_it_is_in_force_and_leaves_nobody_behind(site: GridSite) -> None:
    assert "only where they have the role" in command(site, "keystone-policy", str(site.site_file), "--try")
    admin = site.cloud.connect()
    domain = admin.identity.find_domain(site.domain).id
    assert [user.name for user in admin.identity.users(domain_id=domain) if "try" in user.name] == []
    admin.close()


def test_users_of_other_domains_make_keys_as_before(site: GridSite, domain_name: str) -> None:
    admin = site.cloud.connect()
    domain = admin.identity.create_domain(name=domain_name)
    project = admin.identity.create_project(name="p", domain_id=domain.id)
    user = admin.identity.create_user(name="u", domain_id=domain.id, password="a-password")
    admin.identity.assign_project_role_to_user(project, user, admin.identity.find_role("member"))
    admin.close()
    theirs = site.cloud.connect_as("u", "a-password", project="p", domain=domain_name)
    found = ways(site, theirs.session, project.id)
    assert {way: found[way] for way in ("OS-EC2", "general", "other")} == {
        "OS-EC2": 201,
        "general": 201,
        "other": 201,
    }
    theirs.close()
