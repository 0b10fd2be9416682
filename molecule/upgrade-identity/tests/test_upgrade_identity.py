"""After an upgrade the new program serves Keystone, and who may come in, was here or is shut out is the same."""

import json

import pytest
import testinfra
from logins import BAN, BANS, BEFORE, HOSTS, SITE, ask, loaded, on, state

testinfra_hosts = [f"podman://{name}" for name in HOSTS]


@pytest.fixture
def name(host):
    return host.backend.name


@pytest.fixture
def before(name):
    return json.loads(BEFORE.read_text())[name]


@pytest.fixture(scope="module")
def now():
    """What the hosts keep after the upgrade, before any test has touched them."""
    return {name: state(name) for name in HOSTS}


def test_what_serves_keystone_has_the_new_program_in_its_memory(host, name, before, now):
    assert now[name]["program"] != before["program"]
    link = float(host.check_output("stat --format %.Y /opt/osg-site-iaas/current"))
    assert ask(name)[0] == 401  # Apache loads it with the first request
    running = loaded(name)
    assert running
    assert all(new and began > link - 1 for began, new in running), (running, link)
    assert host.service(HOSTS[name]).is_running
    assert not host.service("keystone").is_running


def test_the_front_answers_what_only_the_new_one_does(now):
    front = testinfra.get_host("podman://osg-upgrade-front")
    pid = front.check_output("systemctl show --property MainPID --value osg-site-iaas-front")
    assert now["osg-upgrade-front"]["program"] in front.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    assert json.loads(front.check_output("curl -sS http://127.0.0.1:8790/health")) == {"status": "ok"}


def test_every_file_that_says_who_may_come_in_is_as_it_was(before, now, name):
    assert len(before["files"]) > 10
    assert now[name]["files"] == before["files"]


def test_who_was_here_is_still_known(before, now, name):
    assert len(before["logins"]) == 1
    assert now[name]["logins"] == before["logins"]


def test_who_was_shut_out_still_is_and_is_the_same_person_when_let_in(name, before):
    status, body, _ = ask(name, "jane")
    assert status == 401, body
    on(name, "mv", BANS, "/root/bans.yml")
    try:
        status, body, _ = ask(name, "jane")
    finally:
        on(name, "mv", "/root/bans.yml", BANS)
    assert status == 201, body
    assert body["token"]["user"]["id"] == before["user"]
    assert on(name, "cat", BANS) == BAN


def test_attributes_of_a_server_that_nobody_named_are_refused(name):
    status, body, _ = ask(name, "stranger")
    assert status == 401
    assert "no server of that name may speak" in body["error"]["message"]


def test_a_token_of_before_the_upgrade_is_valid(name, before):
    headers = ["-H", f"X-Auth-Token: {before['token']}", "-H", f"X-Subject-Token: {before['token']}"]
    status, body, _ = ask(name, "", f"{SITE}/v3/auth/tokens", *headers)
    assert status == 200, body
    assert body["token"]["user"]["id"] == before["user"]
