"""The way back to the earlier program on Keystone's host. It comes after test_upgrade_identity.py."""

import json

import pytest
from earlier import roles
from logins import BANS, BEFORE, HOSTS, ask, loaded, on, state

testinfra_hosts = [f"podman://{name}" for name in HOSTS]


@pytest.fixture
def name(host):
    return host.backend.name


@pytest.fixture(scope="module")
def back():
    for name, unit in HOSTS.items():
        on(name, "systemctl", "stop", unit)
    roles()


def test_the_earlier_program_serves_keystone_again_with_what_the_new_one_kept(back, name):
    before = json.loads(BEFORE.read_text())[name]
    assert state(name)["program"] == before["program"]
    assert state(name)["files"] == before["files"]
    assert ask(name, "jane")[0] == 401
    assert loaded(name)
    assert not any(new for _, new in loaded(name))
    on(name, "rm", BANS)
    status, body, _ = ask(name, "jane")
    assert status == 201, body
    assert body["token"]["user"]["id"] == before["user"]
    assert len(state(name)["logins"]) == 1
