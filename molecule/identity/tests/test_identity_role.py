"""A real Keystone behind the front: a member's proxy becomes a token, and others do not get in."""

import json

import pytest

testinfra_hosts = ["podman://osg-identity"]
SITE = "https://cloud.example.org:5000"
LOGIN = f"{SITE}/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"


def ask(host, who, url=LOGIN):
    cert = f"--cert /root/{who}.pem --key /root/{who}.pem" if who else ""
    told = host.check_output(f"curl -sS --cacert /root/ca.pem {cert} -w '\\n%{{http_code}}' {url}")
    body, _, code = told.rpartition("\n")
    return int(code), body


@pytest.fixture(scope="module")
def federated(host):
    host.check_output(f"test -e /root/federated || python3 /root/federate.py {SITE}/v3")
    host.check_output("touch /root/federated")
    return host


def test_keystone_answers_through_the_front(host):
    code, body = ask(host, None, f"{SITE}/v3")
    assert code == 200
    assert json.loads(body)["version"]["status"] == "stable"


def test_a_member_gets_a_token(federated):
    code, body = ask(federated, "jane")
    assert code == 201, body
    assert json.loads(body)["token"]["user"]["name"].endswith("CN=Jane Pilot")


def test_attributes_of_a_server_that_nobody_named_are_refused(federated):
    code, body = ask(federated, "stranger")
    assert code == 401
    assert "no server of that name may speak" in body


def test_nobody_gets_in_without_a_credential(federated):
    assert ask(federated, None)[0] == 401


def test_the_grids_cas_came_from_packages(host):
    assert len(host.check_output("ls /etc/grid-security/certificates/*.signing_policy").splitlines()) > 20


def test_revocation_lists_are_fetched(host):
    assert host.service("fetch-crl.timer").is_enabled
    assert host.service("fetch-crl.timer").is_running


def test_keystones_own_server_is_off(host):
    assert not host.service("keystone").is_running
    assert not host.service("keystone").is_enabled
