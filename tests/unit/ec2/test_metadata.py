"""What a guest is told of itself, and that a token of one instance is worth nothing to another."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.ec2.backend.kept import Networks
from osg_site_iaas.ec2.instances import Around, instance
from osg_site_iaas.ec2.metadata import look_up, make_token, signed_by_agent, token_is_good, tree

MAC, SECOND = "fa:16:3e:00:00:01", "fa:16:3e:00:00:02"
SERVER = {
    "id": "9356e159-dbe3-4663-9211-ce71f7554bbf",
    "name": "pilot",
    "status": "ACTIVE",
    "created": "2026-01-02T03:04:05Z",
    "metadata": {"Name": "pilot", "osg-ec2:token": "secret-ish"},
    "image": {"id": "c974672a-4436-4505-9ba9-e922184d8877"},
    "flavor": {"original_name": "m1.tiny"},
    "key_name": "mine",
    "addresses": {
        "net": [
            {"version": 4, "addr": "192.0.2.7", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": MAC},
            {
                "version": 4,
                "addr": "198.51.100.7",
                "OS-EXT-IPS:type": "floating",
                "OS-EXT-IPS-MAC:mac_addr": MAC,
            },
            {"version": 6, "addr": "2001:db8::7", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": MAC},
        ],
        "storage": [
            {"version": 4, "addr": "10.9.0.7", "OS-EXT-IPS:type": "fixed", "OS-EXT-IPS-MAC:mac_addr": SECOND}
        ],
    },
    "security_groups": [{"name": "default"}, {"name": "web"}],
    "OS-EXT-AZ:availability_zone": "nova",
    "OS-EXT-SRV-ATTR:hostname": "pilot",
    "OS-EXT-SRV-ATTR:user_data": base64.b64encode(b"\x00\xff#!").decode(),
}


@pytest.fixture
def root():
    one = instance(SERVER, Around("p", {}, Networks({}, {}, 0), {}))
    return tree(SERVER, one, "p", "RegionOne", "ssh-rsa AAAA me", with_tags=True)


@pytest.mark.parametrize(
    "path, expected",
    [
        ("meta-data/instance-id", b"i-9356e159dbe346639"),
        ("meta-data/ami-id", b"ami-c974672a443645059"),
        ("meta-data/instance-type", b"m1.tiny"),
        ("meta-data/local-ipv4/", b"192.0.2.7"),
        ("/meta-data//placement/availability-zone", b"nova"),
        ("meta-data/security-groups", b"default\nweb"),
        ("meta-data/public-keys", b"0=mine"),
        ("meta-data/public-keys/0", b"openssh-key"),
        ("meta-data/public-keys/0/openssh-key", b"ssh-rsa AAAA me\n"),
        ("meta-data/tags/instance", b"Name"),
        ("meta-data/tags/instance/Name", b"pilot"),
        ("user-data", b"\x00\xff#!"),
        ("", b"meta-data/\ndynamic/\nuser-data"),
        ("meta-data/absent", None),
        ("meta-data/instance-id/below", None),
        ("meta-data/public-keys/0/_", None),
        ("../etc/passwd", None),
    ],
)
def test_paths_give_what_ec2_gives(root, path, expected):
    assert look_up(root, path) == expected


def test_the_identity_document_has_the_apis_ids(root):
    told = json.loads(look_up(root, "dynamic/instance-identity/document"))
    assert (told["instanceId"], told["imageId"]) == ("i-9356e159dbe346639", "ami-c974672a443645059")
    assert told["pendingTime"] == "2026-01-02T03:04:05Z"


def test_the_doors_own_marks_and_unwanted_tags_are_not_told(root):
    assert b"secret-ish" not in repr(root).encode()
    one = instance(SERVER, Around("p", {}, Networks({}, {}, 0), {}))
    assert look_up(tree(SERVER, one, "p", "R", None, with_tags=False), "meta-data/tags") is None


def test_a_token_is_good_for_its_instance_until_it_expires():
    token = make_token(b"k", "a", 60, now=1000)
    assert token_is_good(b"k", "a", token, now=1059)
    assert not token_is_good(b"k", "a", token, now=1060)
    assert not token_is_good(b"k", "b", token, now=1001)
    assert not token_is_good(b"other", "a", token, now=1001)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=80))
def test_nothing_that_was_not_given_is_a_token(text):
    assert not token_is_good(b"k", "a", text)


def test_only_the_agents_word_says_whose_a_request_is():
    good = hmac.new(b"s", b"instance", hashlib.sha256).hexdigest()
    assert signed_by_agent("s", "instance", good)
    assert not signed_by_agent("s", "another", good)
    assert not signed_by_agent("other", "instance", good)
    assert not signed_by_agent("s", "instance", "")


def test_every_interface_is_told_by_its_mac(root):
    def ask(path: str) -> object:
        return look_up(root, f"meta-data/{path}")

    assert ask("mac") == MAC.encode()
    assert ask("network/interfaces/macs") == f"{MAC}/\n{SECOND}/".encode()
    assert ask(f"network/interfaces/macs/{MAC}/local-ipv4s") == b"192.0.2.7"
    assert ask(f"network/interfaces/macs/{MAC}/ipv6s") == b"2001:db8::7"
    assert ask(f"network/interfaces/macs/{SECOND}/device-number") == b"1"
