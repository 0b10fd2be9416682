"""A door of its own in front of the sandbox, two VOs that use it, and boto3 clients that speak to it."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import boto3
import openstack
import pytest
import requests
import yaml
from botocore.config import Config
from ec2_bounds import watch

from osg_site_iaas.sandbox import Sandbox
from tests.sandbox_cloud import Cloud

REGION = "RegionOne"


@dataclass(frozen=True)
class Vo:
    """A project with one user, its EC2 key, and the same user's own connection."""

    name: str
    project: str
    user: str
    access: str
    secret: str
    cloud: Any


@dataclass(frozen=True)
class Door:
    url: str
    log: Path
    pid: int
    state: Path

    def client(self, vo: Vo, service: str = "ec2", **config: Any) -> Any:
        config.setdefault("retries", {"total_max_attempts": 1})
        client = boto3.client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=vo.access,
            aws_secret_access_key=vo.secret,
            config=Config(**config),
        )
        watch(client)
        return client


def backend_requests(answer: dict[str, Any]) -> int:
    """How many requests to OpenStack this boto3 answer has cost."""
    return int(answer["ResponseMetadata"]["HTTPHeaders"]["x-backend-requests"])


def wait_for(what: Any, seconds: float = 240.0) -> Any:
    """What ``what()`` gives as soon as it is true."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = what()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture(scope="session")
def box(cloud: Cloud) -> Sandbox:
    return cloud.sandbox


@pytest.fixture(scope="session")
def admin(box: Sandbox) -> Any:
    return connect(box, "sandbox")


def connect(box: Sandbox, name: str, **auth: Any) -> Any:
    entry = yaml.safe_load(box.clouds_yaml.read_text())["clouds"][name]
    merged = {**entry["auth"], **auth}
    if auth:
        merged.pop("project_name", None)
        merged.pop("system_scope", None)
        merged.update(auth)
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth=merged, region_name=REGION, identity_api_version="3"
    )


def make_vo(box: Sandbox, admin: Any, name: str) -> Vo:
    identity = admin.identity
    project = identity.create_project(name=name, domain_id="default")
    password = secrets.token_hex(8)
    user = identity.create_user(name=f"{name}-user", password=password, domain_id="default")
    role = identity.find_role("member")
    identity.assign_project_role_to_user(project, user, role)
    own = connect(box, "sandbox", username=user.name, password=password, project_name=name)
    answer = own.session.post(
        f"{own.session.get_endpoint(service_type='identity').rstrip('/')}/users/{user.id}/credentials/OS-EC2",
        json={"tenant_id": project.id},
    ).json()["credential"]
    network = own.network.create_network(name=f"{name}-net")
    own.network.create_subnet(network_id=network.id, ip_version=4, cidr="10.20.0.0/20", name=f"{name}-subnet")
    admin.set_compute_quotas(project.id, instances=400, cores=800, ram=800 * 1024, key_pairs=100)
    return Vo(name, project.id, user.id, answer["access"], answer["secret"], own)


def clean(admin: Any, vo: Vo) -> None:
    """Everything the VO made, away again: a developer's sandbox lives on."""
    cloud = vo.cloud
    with contextlib.suppress(Exception):
        for server in cloud.compute.servers():
            cloud.compute.delete_server(server)
        wait_for(lambda: not list(cloud.compute.servers()), 60)
        for key in cloud.compute.keypairs():
            cloud.compute.delete_keypair(key)
        for image in cloud.image.images(owner=vo.project):
            cloud.image.delete_image(image)
        for port in cloud.network.ports(project_id=vo.project):
            cloud.network.delete_port(port)
        for network in cloud.network.networks(project_id=vo.project):
            cloud.network.delete_network(network)
    with contextlib.suppress(Exception):
        admin.identity.delete_user(vo.user)
        admin.identity.delete_project(vo.project)


@pytest.fixture(scope="session")
def flavours(admin: Any) -> tuple[str, ...]:
    for name, vcpus, ram, disk in (("m1.tiny", 1, 64, 1), ("m1.small", 1, 128, 1)):
        if admin.compute.find_flavor(name) is None:
            admin.compute.create_flavor(name=name, vcpus=vcpus, ram=ram, disk=disk)
    return ("m1.tiny", "m1.small")


@pytest.fixture(scope="session")
def vo(box: Sandbox, admin: Any, flavours: Any) -> Iterator[Vo]:
    made = make_vo(box, admin, f"ec2-a-{secrets.token_hex(3)}")
    yield made
    clean(admin, made)


@pytest.fixture(scope="session")
def other_vo(box: Sandbox, admin: Any, flavours: Any) -> Iterator[Vo]:
    made = make_vo(box, admin, f"ec2-b-{secrets.token_hex(3)}")
    yield made
    clean(admin, made)


def make_image(vo: Vo, name: str, **properties: Any) -> str:
    """The EC2 id of a new small image of the VO's."""
    image = vo.cloud.image.create_image(
        name=name,
        disk_format="raw",
        container_format="bare",
        data=b"\0" * 1024,
        validate_checksum=False,
        **properties,
    )
    return f"ami-{image.id.replace('-', '')[:17]}"


@pytest.fixture(scope="session")
def image(vo: Vo) -> str:
    return make_image(vo, "disk")


@pytest.fixture(scope="session")
def door_users(box: Sandbox, admin: Any, tmp_path_factory: Any) -> Iterator[Path]:
    """clouds.yaml of the door's least users: one with role service only, one that reads the system."""
    identity = admin.identity
    tag, password = secrets.token_hex(3), secrets.token_hex(8)
    project = identity.find_project("service")
    service = identity.create_user(name=f"door-{tag}", password=password, domain_id="default")
    identity.assign_project_role_to_user(project, service, identity.find_role("service"))
    reader = identity.create_user(name=f"reader-{tag}", password=password, domain_id="default")
    identity.assign_system_role_to_user(reader, identity.find_role("reader"), "all")
    url = yaml.safe_load(box.clouds_yaml.read_text())["clouds"]["sandbox"]["auth"]["auth_url"]
    common = {"auth_url": url, "password": password, "user_domain_id": "default"}
    clouds = {
        "door": {
            "auth": {
                **common,
                "username": service.name,
                "project_name": "service",
                "project_domain_id": "default",
            },
            "region_name": REGION,
        },
        "reader": {"auth": {**common, "username": reader.name, "system_scope": "all"}, "region_name": REGION},
    }
    path = tmp_path_factory.mktemp("door") / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": clouds}))
    yield path
    identity.delete_user(service)
    identity.delete_user(reader)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@contextlib.contextmanager
def running_door(clouds: Path, folder: Path, **settings: Any) -> Iterator[Door]:
    """A door process of its own; strict, so that an answer outside EC2's model is an error."""
    port = settings.pop("port", None) or free_port()
    state = Path(settings.pop("state", folder / "state"))
    given = {
        "cloud": "door",
        "secrets_cloud": "reader",
        "keystone": "secrets",
        "bind": f"127.0.0.1:{port}",
        "state": str(state),
        "workers": 1,
        "rate": 1000,
        "burst": 1000,
        "strict": True,
        **settings,
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ec2.yml").write_text(yaml.safe_dump(given))
    log = folder / "log"
    with open(log, "ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "osg_site_iaas.cli.ec2_door", "--config", str(folder / "ec2.yml")],
            env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(clouds)},
            stdout=out,
            stderr=out,
        )
    url = f"http://127.0.0.1:{port}"

    def up() -> bool:
        if process.poll() is not None:
            raise AssertionError(log.read_text())
        with contextlib.suppress(requests.ConnectionError):
            return requests.get(f"{url}/health", timeout=5).ok
        return False

    try:
        wait_for(up, 60)
        yield Door(url, log, process.pid, state)
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def door(door_users: Path, tmp_path_factory: Any) -> Iterator[Door]:
    with running_door(door_users, tmp_path_factory.mktemp("door-secrets")) as started:
        yield started


@pytest.fixture(scope="session")
def ec2(door: Door, vo: Vo) -> Any:
    return door.client(vo)


@pytest.fixture(scope="module")
def way_out(admin, vo):
    """An external network, and a router of the VO's to it."""
    outside = admin.network.create_network(name=f"out-{secrets.token_hex(3)}", is_router_external=True)
    admin.network.create_subnet(network_id=outside.id, ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    router = vo.cloud.network.create_router(name="r", external_gateway_info={"network_id": outside.id})
    subnet = next(one for one in vo.cloud.network.subnets(project_id=vo.project))
    vo.cloud.network.add_interface_to_router(router, subnet_id=subnet.id)
    yield outside
    vo.cloud.network.remove_interface_from_router(router, subnet_id=subnet.id)
    vo.cloud.network.delete_router(router)
    for address in admin.network.ips(floating_network_id=outside.id):
        admin.network.delete_ip(address)
    admin.network.delete_network(outside)
