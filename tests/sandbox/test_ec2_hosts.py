"""Two door hosts that share nothing, behind the load balancer that docs/ec2.md describes."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import threading
import uuid
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests
from botocore.auth import SigV2Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, ConnectionClosedError
from ec2_fixtures import Door, Vo, free_port, running_door, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox

PAGE = Path(__file__).parents[2] / "docs" / "ec2.md"


def configuration(port: int, hosts: tuple[Door, Door]) -> str:
    """The page's own, for this machine: no TLS, other addresses, and a dead host given up sooner."""
    text = PAGE.read_text(encoding="utf-8").partition("```haproxy\n")[2].partition("```")[0]
    for said, here in (
        (":8773 ssl crt /etc/haproxy/ec2.pem", f"127.0.0.1:{port}"),
        ("192.0.2.11:8788", hosts[0].url.removeprefix("http://")),
        ("192.0.2.12:8788", hosts[1].url.removeprefix("http://")),
        ("inter 5s fall 4", "inter 1s fall 4"),
        ("log /dev/log local0", "log stdout format raw local0"),
    ):
        assert said in text, said
        text = text.replace(said, here)
    return text


@pytest.fixture(scope="module")
def hosts(door_users, tmp_path_factory) -> Iterator[tuple[Door, Door]]:
    folder = tmp_path_factory.mktemp("hosts")
    with running_door(door_users, folder / "1") as first, running_door(door_users, folder / "2") as second:
        yield first, second


@pytest.fixture(scope="module")
def balanced(hosts, tmp_path_factory) -> Iterator[Door]:
    """The door as clients see it."""
    folder, port = tmp_path_factory.mktemp("haproxy"), free_port()
    (folder / "haproxy.cfg").write_text(configuration(port, hosts))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(folder / "haproxy.cfg")], stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        assert process.poll() is None, (folder / "log").read_text()
        try:
            return requests.get(url, timeout=5).status_code != 503  # a door refuses who has not signed
        except requests.ConnectionError:
            return False

    try:
        wait_for(up)
        yield Door(url, folder / "log", process.pid, folder)
    finally:
        process.terminate()
        process.wait(30)


def asked(vo: Vo, host: Door, action: str) -> int:
    """How many requests of a VO's key a host has seen."""
    lines = [json.loads(line) for line in host.log.read_text().splitlines() if line.startswith("{")]
    return sum((one["access_key"], one["action"]) == (vo.access, action) for one in lines)


def signed(vo: Vo, url: str, kind: str, form: dict[str, str]) -> requests.Response:
    """A request by one of the four ways in which a client can name its key."""
    own = Credentials(vo.access, vo.secret)
    if kind == "v4":
        request = AWSRequest("POST", f"{url}/", data=form)
        SigV4Auth(own, "ec2", "RegionOne").add_auth(request)
    elif kind == "v2":
        request = AWSRequest("POST", f"{url}/", data=dict(form))
        SigV2Auth(own).add_auth(request)
    else:
        request = AWSRequest("GET", f"{url}/", params=dict(form))
        SigV2Auth(own).add_auth(request)
    prepared = request.prepare()
    return requests.request(
        str(prepared.method), prepared.url, data=prepared.body, headers=dict(prepared.headers), timeout=120
    )


def presigned(vo: Vo, door: Door, call: str, **parameters: Any) -> str:
    found: str = door.client(vo).generate_presigned_url(call, parameters, 60, "GET")
    return found


def test_one_token_at_once_through_two_hosts_makes_one_server(balanced, hosts, vo, image):
    before = {one.id for one in vo.cloud.compute.servers()}
    token, found = uuid.uuid4().hex, []
    form = {"Action": "RunInstances", "Version": "2016-11-15", "ImageId": image, "InstanceType": "m1.tiny"}
    form.update(MinCount="1", MaxCount="1", ClientToken=token)
    launching = {
        "ImageId": image,
        "InstanceType": "m1.tiny",
        "MinCount": 1,
        "MaxCount": 1,
        "ClientToken": token,
    }
    start = threading.Barrier(8)

    def launch(kind: str) -> None:
        if kind == "presigned":
            url = presigned(vo, balanced, "run_instances", **launching)
            start.wait(60)
            answer = requests.get(url, timeout=120)
        else:
            start.wait(60)
            answer = signed(vo, balanced.url, kind, form)
        assert answer.status_code == 200, answer.text
        found.append(answer.text.partition("<instanceId>")[2].partition("<")[0])

    kinds = ["v4", "v2", "v2 query", "presigned"] * 2
    threads = [threading.Thread(target=launch, args=(kind,)) for kind in kinds]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1
    assert len({one.id for one in vo.cloud.compute.servers()} - before) == 1
    assert sorted(asked(vo, one, "RunInstances") for one in hosts) == [0, 8]
    balanced.client(vo).terminate_instances(InstanceIds=found[:1])


def test_a_key_is_on_one_host_however_it_is_named(balanced, hosts):
    """Of the keys of strangers each host has some, and no key is on both."""
    strangers = [Vo("x", "x", "x", secrets.token_hex(16), "x", None) for _ in range(12)]
    for one in strangers:
        for kind in ("v4", "v2", "v2 query", "presigned"):
            answer = (
                requests.get(presigned(one, balanced, "describe_regions"), timeout=60)
                if kind == "presigned"
                else signed(one, balanced.url, kind, {"Action": "DescribeRegions", "Version": "2016-11-15"})
            )
            assert answer.status_code == 401
    seen = [tuple(asked(one, host, "DescribeRegions") for host in hosts) for one in strangers]
    assert set(seen) == {(4, 0), (0, 4)}, seen


def test_both_logs_name_the_client_and_no_query_and_metrics_stay_inside(balanced, hosts):
    secret, mark = secrets.token_hex(20), f"Look{uuid.uuid4().hex}"
    query = f"Action={mark}&UserData={secret}&AWSAccessKeyId=AKIAEXAMPLE&Signature={secret}"
    # what the client says of itself HAProxy takes away
    answer = requests.get(f"{balanced.url}/?{query}", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=60)
    number = answer.headers["x-amzn-RequestId"]
    lines = [line for host in hosts for line in host.log.read_text().splitlines() if number in line]
    assert [(json.loads(one)["address"], json.loads(one)["action"]) for one in lines] == [("127.0.0.1", mark)]

    def told() -> list[str]:
        return [line for line in balanced.log.read_text().splitlines() if number in line]

    (line,) = wait_for(told)
    own = json.loads(line)
    assert (own["address"], own["path"], own["status"]) == ("127.0.0.1", "/", answer.status_code)
    for log in (balanced.log, *(host.log for host in hosts)):
        assert secret not in log.read_text()
    for path in ("/metrics", "/health"):
        assert requests.get(f"{balanced.url}{path}", timeout=60).status_code == 404
        assert all(requests.get(f"{host.url}{path}", timeout=60).status_code == 200 for host in hosts)


def _die(host: Door) -> None:
    children = Path(f"/proc/{host.pid}/task/{host.pid}/children").read_text().split()
    for pid in (host.pid, *map(int, children)):
        os.kill(pid, signal.SIGKILL)


def test_a_host_that_dies_leaves_its_tokens_to_the_other_one(balanced, hosts, vo, image):
    """Until it is given up HTCondor is told to send again, and then the other host finds the server in Nova."""
    token = uuid.uuid4().hex
    launch: dict[str, Any] = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
    client = balanced.client(vo)
    first = client.run_instances(**launch, ClientToken=token)["Instances"][0]["InstanceId"]
    one = max(hosts, key=lambda host: asked(vo, host, "RunInstances"))
    (other,) = set(hosts) - {one}
    _die(one)
    said = set()

    def again() -> Any:
        try:
            return client.run_instances(**launch, ClientToken=token)["Instances"]
        except ClientError as error:
            said.add(error.response["Error"]["Code"])
        except ConnectionClosedError:  # a kept connection to a host that has just died
            pass
        return None

    found = wait_for(again, 90)
    assert [found[0]["InstanceId"]] == [first]
    assert "RequestLimitExceeded" in said
    assert asked(vo, other, "RunInstances") == 1
    client.terminate_instances(InstanceIds=[first])
