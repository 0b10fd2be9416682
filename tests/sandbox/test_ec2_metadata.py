"""The metadata door as a process, asked as Neutron's agent asks it."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets

import pytest
import requests
from ec2_fixtures import free_port
from metadata_kit import running_metadata_door

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox

SECRET = secrets.token_hex(16)


@pytest.fixture(scope="module")
def url(box, tmp_path_factory):
    where = f"127.0.0.1:{free_port()}"
    folder = tmp_path_factory.mktemp("metadata")
    with running_metadata_door(box.clouds_yaml, folder, SECRET, where, "--tags"):
        assert requests.get(f"http://{where}/health", timeout=60).ok
        yield f"http://{where}"


@pytest.fixture(scope="module")
def launched(ec2, vo, image):
    """(EC2 id, Nova id) of an instance with a key, user data and a tag, and of another one."""
    ec2.create_key_pair(KeyName="guest", KeyType="ed25519")
    asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "VO", "Value": "cms"}]}]
    first = ec2.run_instances(**asked, KeyName="guest", UserData="#!/bin/sh\n", TagSpecifications=tags)
    made = [first["Instances"][0]["InstanceId"], ec2.run_instances(**asked)["Instances"][0]["InstanceId"]]
    servers = {one.id.replace("-", "")[:17]: one.id for one in vo.cloud.compute.servers()}
    yield [(one, servers[one[2:]]) for one in made]
    ec2.terminate_instances(InstanceIds=made)
    ec2.delete_key_pair(KeyName="guest")


def headers(server: str, vo, **more: str) -> dict[str, str]:
    signature = hmac.new(SECRET.encode(), server.encode(), hashlib.sha256).hexdigest()
    return {
        "X-Instance-ID": server,
        "X-Tenant-ID": vo.project,
        "X-Instance-ID-Signature": signature,
        "X-Forwarded-For": "10.20.0.9",
        **more,
    }


def test_a_guest_is_told_the_ids_of_the_api(url, launched, vo, image, ec2):
    (name, server), _ = launched
    own = headers(server, vo)

    def get(path: str) -> str:
        answer = requests.get(f"{url}/latest/{path}", headers=own, timeout=60)
        assert answer.status_code == 200, path
        return answer.text

    assert (get("meta-data/instance-id"), get("meta-data/ami-id")) == (name, image)
    assert get("user-data") == "#!/bin/sh\n"
    assert get("meta-data/public-keys/") == "0=guest"
    assert get("meta-data/public-keys/0/openssh-key").startswith("ssh-ed25519 ")
    assert get("meta-data/tags/instance/VO") == "cms"
    told = json.loads(get("dynamic/instance-identity/document"))
    assert (told["instanceId"], told["accountId"]) == (name, vo.project)
    described = ec2.describe_instances(InstanceIds=[name])["Reservations"][0]
    assert described["ReservationId"] == get("meta-data/reservation-id")


def test_a_session_token_is_given_and_is_good_for_one_instance(url, launched, vo):
    (_, first), (_, second) = launched
    seconds = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    given = requests.put(f"{url}/latest/api/token", headers=headers(first, vo, **seconds), timeout=60)
    assert given.status_code == 200

    def ask(server: str, token: str) -> int:
        own = headers(server, vo, **{"X-aws-ec2-metadata-token": token})
        return requests.get(f"{url}/latest/meta-data/instance-id", headers=own, timeout=60).status_code

    assert [ask(first, given.text), ask(second, given.text), ask(first, "x")] == [200, 401, 401]
    for wrong in ("0", "21601", "x", ""):
        bad = headers(first, vo, **{"X-aws-ec2-metadata-token-ttl-seconds": wrong})
        assert requests.put(f"{url}/latest/api/token", headers=bad, timeout=60).status_code == 400
    # Neutron's agent drops the guest's wish for how long; a token is given all the same.
    unsaid = requests.put(f"{url}/latest/api/token", headers=headers(first, vo), timeout=60)
    assert (unsaid.status_code, ask(first, unsaid.text)) == (200, 200)
    through = headers(first, vo, **{**seconds, "X-Forwarded-For": "10.20.0.9, 10.20.0.1"})
    assert requests.put(f"{url}/latest/api/token", headers=through, timeout=60).status_code == 403


def test_nothing_of_another_instance_can_be_reached(url, launched, vo, other_vo):
    (_, first), (_, second) = launched
    good = headers(first, vo)
    for change in (
        {"X-Instance-ID": second},
        {"X-Instance-ID": f"{first},{second}"},
        {"X-Instance-ID-Signature": ""},
        {"X-Instance-ID-Signature": "0" * 64},
    ):
        answer = requests.get(f"{url}/latest/user-data", headers={**good, **change}, timeout=60)
        assert (answer.status_code, "#!" in answer.text) == (403, False)
    assert requests.get(f"{url}/latest/user-data", timeout=60).status_code == 403
    elsewhere = {**headers(second, other_vo)}
    assert (
        requests.get(f"{url}/latest/meta-data/instance-id", headers=elsewhere, timeout=60).status_code == 404
    )


def test_metrics_count_and_are_for_no_guest(url, launched, vo):
    (_, server), _ = launched
    own = headers(server, vo)
    line = 'osg_site_iaas_metadata_calls_total{action="meta-data",code="200"} '

    def calls() -> int:
        text = requests.get(f"{url}/metrics", timeout=60).text
        return sum(int(one.removeprefix(line)) for one in text.splitlines() if one.startswith(line))

    before = calls()
    for _ in range(3):
        assert requests.get(f"{url}/latest/meta-data/instance-id", headers=own, timeout=60).ok
    assert calls() == before + 3
    for told in (own, {"X-Forwarded-For": "10.20.0.9"}, {"X-Neutron-Network-ID": server}):
        answer = requests.get(f"{url}/metrics", headers=told, timeout=60)
        assert (answer.status_code, "calls_total" in answer.text) in {(403, False), (404, False)}
