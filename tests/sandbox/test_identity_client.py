"""``osg-iaas`` as a member types it, and the tools that use what it writes."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import pki
from tests.sandbox.identity_fixtures import CMS, GridSite, grid_site  # noqa: F401

BIN = Path(sys.executable).parent


class Shell:
    """A member's shell: a home of its own, a proxy, and what ``osg-iaas env`` exported."""

    def __init__(self, site: GridSite, home: Path, **credential: str) -> None:
        self.site = site
        clean = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("OS_", "AWS_", "X509_", "BEARER_", "XDG_", "REQUESTS_"))
        }
        path = f"{BIN}:{os.environ['PATH']}"
        self.env = {**clean, "HOME": str(home), "PATH": path, **credential}

    def run(self, *words: str, fails: bool = False) -> str:
        done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=90, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done.stderr if fails else done.stdout

    def login(self, *more: str) -> dict[str, Any]:
        host = self.site.url.split("/")[2]
        text = self.run("osg-iaas", "login", "--site", host, "--ca", self.site.ca_file, "--json", *more)
        answer: dict[str, Any] = json.loads(text)
        for line in self.run("osg-iaas", "env").splitlines():
            name, _, value = line.removeprefix("export ").partition("=")
            self.env[name] = value.strip("'")
        return answer


@pytest.fixture
def shell(grid_site: GridSite, tmp_path: Path) -> Shell:  # noqa: F811
    proxy = grid_site.proxy(grid_site.user("Shell"), CMS)
    return Shell(grid_site, tmp_path, X509_USER_PROXY=str(proxy.write(tmp_path / "x509up")))


def test_one_login_serves_openstack_awscli_and_boto3(shell: Shell, grid_site: GridSite) -> None:  # noqa: F811
    answer = shell.login()
    assert (answer["vo"], answer["project"]) == ("cms", "cms")
    token = json.loads(shell.run("openstack", "token", "issue", "-f", "json"))
    assert token["project_id"] == answer["project_id"]
    shell.run("openstack", "flavor", "list")
    bucket = f"s3://shell-{grid_site.tag}"
    assert "make_bucket" in shell.run("aws", "s3", "mb", bucket)
    assert bucket.split("/")[-1] in shell.run("aws", "s3", "ls")
    shell.run("aws", "s3", "rb", bucket)
    script = "import boto3; print(len(boto3.Session().client('s3').list_buckets()['Buckets']))"
    assert shell.run(sys.executable, "-c", script) == "0\n"


def test_a_proxy_ends_in_a_server_of_the_vo_through_awscli_and_boto3(
    shell: Shell,
    grid_site: GridSite,  # noqa: F811
) -> None:
    if "ec2" not in grid_site.cloud.endpoints:
        pytest.skip("this sandbox has no EC2 door")
    admin = grid_site.cloud.connect()
    name = f"tiny-ec2-{grid_site.tag}"
    image = admin.image.create_image(
        name=name, disk_format="raw", container_format="bare", data=b"x" * 512, visibility="public"
    )
    flavour = admin.compute.create_flavor(name=name, ram=64, vcpus=1, disk=1)
    try:
        answer = shell.login()
        ami = next(
            line.split(" = ")[1]
            for line in Path(answer["folder"], "job.sub").read_text().splitlines()
            if "ami_id" in line
        )
        run = ("aws", "ec2", "run-instances", "--image-id", ami, "--instance-type", name, "--output", "json")
        made = json.loads(shell.run(*run))["Instances"][0]["InstanceId"]
        (server,) = (
            s for s in admin.compute.servers(all_projects=True) if s.project_id == answer["project_id"]
        )
        assert server.user_id == json.loads(shell.run("osg-iaas", "whoami", "--json"))["user_id"]
        server = admin.compute.wait_for_server(server, wait=120)
        ip = next(iter(server.addresses.values()))[0]["addr"]
        who(grid_site, "--observe")
        had = time.time()
        script = (
            "import boto3; c = boto3.Session().client('ec2');"
            "print([i['InstanceId'] for r in c.describe_instances()['Reservations'] for i in r['Instances']]);"
            f"c.terminate_instances(InstanceIds=['{made}'])"
        )
        assert shell.run(sys.executable, "-c", script).strip() == str([made])
        admin.compute.wait_for_delete(server, wait=60)
        who(grid_site, "--observe")
        # OpenStack knows no address of it any more; who started it is known all the same
        at = dt.datetime.fromtimestamp(int(had), dt.timezone.utc).isoformat()
        (found,) = (
            one
            for one in json.loads(who(grid_site, "--ip", ip, "--at", at, "--json"))["answers"]
            if one["server"]["uuid"] == server.id
        )
        assert (found["vo"], found["sure"], found["server"]["ended"] is not None) == ("cms", True, True)
        assert found["who"]["dn"] == grid_site.user("Shell").dn
        assert found["ec2_keys"], "the key with which it was started"
    finally:
        admin.image.delete_image(image)
        admin.compute.delete_flavor(flavour)
        admin.close()


def who(site: GridSite, *words: str) -> str:
    """``osg-site-iaas who``, as an administrator types it; what it printed."""
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.cloud.clouds_yaml)}
    places = ("--state", str(site.folder / "state"), "--logins", str(site.folder / "logins.sqlite"))
    command = [sys.executable, "-m", "osg_site_iaas", "who", str(site.site_file), *places, *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_application_credential_serves_tools_without_our_plugins_and_stays_while_it_is_good(
    shell: Shell, tmp_path: Path
) -> None:
    told = shell.login("--application-credential", "2")
    assert told["application_credential"] > "2026"
    clouds = Path(told["folder"], "clouds.yaml")
    (name,) = (name for name in yaml.safe_load(clouds.read_text())["clouds"] if name.endswith("-app"))
    entry = yaml.safe_load(clouds.read_text())["clouds"][name]
    assert entry["auth_type"] == "v3applicationcredential"
    assert f"OS_CLOUD={name}\n" in shell.run("osg-iaas", "env", "--application-credential")
    (tmp_path / "x509up").rename(tmp_path / "away")
    shell.env["OS_CLOUD"] = name
    token = json.loads(shell.run("openstack", "token", "issue", "-f", "json"))
    assert token["project_id"] == told["project_id"]
    (tmp_path / "away").rename(tmp_path / "x509up")
    shell.login()  # without asking again: it is kept
    assert yaml.safe_load(clouds.read_text())["clouds"][name] == entry
    shell.login(
        "--application-credential", "30"
    )  # two days are less than half of thirty: another in its place
    new = yaml.safe_load(clouds.read_text())["clouds"][name]["auth"]
    assert new["application_credential_id"] != entry["auth"]["application_credential_id"]


def test_the_key_stays_the_same_and_files_are_for_the_owner_alone(shell: Shell) -> None:
    folder = Path(shell.login()["folder"])
    first = (folder / "access_key_id").read_text()
    shell.login()
    assert (folder / "access_key_id").read_text() == first
    assert {oct(file.stat().st_mode & 0o777) for file in folder.iterdir() if file.name != ".lock"} == {
        "0o600"
    }
    assert folder.stat().st_mode & 0o077 == 0


def test_the_submit_file_names_the_door_and_the_keys(shell: Shell) -> None:
    folder = Path(shell.login()["folder"])
    text = (folder / "job.sub").read_text()
    assert f"ec2_access_key_id = {folder}/access_key_id" in text
    if "ec2" in shell.site.cloud.endpoints:
        assert f"grid_resource = ec2 {shell.site.cloud.endpoints['ec2']}" in text


def test_keys_are_renewed_while_the_proxy_lives_and_said_to_end_when_it_does_not(
    shell: Shell, tmp_path: Path
) -> None:
    folder = Path(shell.login()["folder"])
    state = json.loads((folder / "state.json").read_text())
    state["proven"] = "2020-01-01T00:00:00+00:00"
    (folder / "state.json").write_text(json.dumps(state))
    given = json.loads(shell.run("osg-iaas", "aws-credential-process", "--dir", str(folder)))
    assert given["AccessKeyId"] == state["access"]
    assert json.loads((folder / "state.json").read_text())["proven"] > "2026"
    (folder / "state.json").write_text(json.dumps(state))
    (tmp_path / "x509up").unlink()
    assert "voms-proxy-init" in shell.run(
        "osg-iaas", "aws-credential-process", "--dir", str(folder), fails=True
    )


def test_whoami_and_sites_tell_what_a_credential_opens(shell: Shell, grid_site: GridSite) -> None:  # noqa: F811
    shell.login()
    who = json.loads(shell.run("osg-iaas", "whoami", "--json"))
    assert (who["vo"], who["resource"], who["credential"]) == ("cms", "Example-Cloud", "proxy")
    (row,) = json.loads(shell.run("osg-iaas", "sites", "--json"))
    assert (row["opens"], row["vo"]) == (True, "cms")


def test_a_token_logs_in_the_same_way(grid_site: GridSite, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "bt"
    file.write_text(grid_site.issuer.sign(sub="shell"))
    shell = Shell(grid_site, tmp_path, BEARER_TOKEN_FILE=str(file), X509_USER_PROXY=str(tmp_path / "none"))
    assert shell.login()["credential"] == "token"
    assert "project_id" in shell.run("openstack", "token", "issue", "-f", "json")
    shell.run("aws", "s3", "ls")


@pytest.mark.parametrize(
    "arrange,words",
    [
        (lambda s, f: f.unlink(), "voms-proxy-init"),
        (lambda s, f: f.chmod(0o644), "read by others"),
        (lambda s, f: pki.proxy(s.user("X"), end=-pki.HOUR).write(f), "expired"),
        (lambda s, f: pki.proxy(s.user("X")).write(f), "names no VO"),
        (lambda s, f: f.write_text("hello"), "not a proxy"),
    ],
)
def test_a_login_that_cannot_work_says_why(arrange: Any, words: str, shell: Shell, tmp_path: Path) -> None:
    arrange(shell.site, tmp_path / "x509up")
    host = shell.site.url.split("/")[2]
    assert words in shell.run("osg-iaas", "login", "--site", host, "--ca", shell.site.ca_file, fails=True)


def test_a_site_that_is_not_trusted_or_not_there_is_said(shell: Shell) -> None:
    host = shell.site.url.split("/")[2]
    assert "not trusted" in shell.run("osg-iaas", "login", "--site", host, fails=True)
    assert "cannot be reached" in shell.run("osg-iaas", "login", "--site", "127.0.0.1:1", fails=True)
    assert "https" in shell.run("osg-iaas", "login", "--site", "http://127.0.0.1", fails=True)
    assert "opens cms" in shell.run(
        "osg-iaas", "login", "--site", host, "--ca", shell.site.ca_file, "--vo", "ligo", fails=True
    )
