"""What other tests rely on: every service does its work, for several users at once, and can be counted."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import boto3
import pytest
import requests
from botocore.config import Config
from openstack import exceptions

MIB = 1024 * 1024


@pytest.fixture
def vo(cloud, domain_name):
    """A connection as a member of a project in a domain of the test's own."""
    admin = cloud.connect("sandbox-system")
    domain = admin.identity.create_domain(name=domain_name)
    project = admin.identity.create_project(name="vo", domain_id=domain.id)
    user = admin.identity.create_user(name="user", password="of no value", domain_id=domain.id)
    member = admin.identity.find_role("member")
    admin.identity.assign_project_role_to_user(project, user, member)
    made = cloud.connect_as("user", "of no value", project="vo", domain=domain_name)
    yield made
    admin.close()
    made.close()


@pytest.fixture
def network(vo):
    """A network with a subnet in the VO's project."""
    made = vo.network.create_network(name="net")
    vo.network.create_subnet(network_id=made.id, ip_version=4, cidr="192.0.2.0/24", enable_dhcp=False)
    yield made
    vo.network.delete_network(made)


@pytest.fixture
def image(vo):
    """A tiny image of the VO's."""
    made = vo.image.create_image(
        name="tiny", data=b"x" * 1000, disk_format="raw", container_format="bare", validate_checksum=False
    )
    yield made
    vo.image.delete_image(made)


@pytest.fixture(scope="module")
def flavour(cloud):
    """A flavour, for as long as the module."""
    admin = cloud.connect()
    made = admin.compute.create_flavor(name="sandbox-test", ram=512, vcpus=1, disk=1)
    yield made
    admin.compute.delete_flavor(made)
    admin.close()


def test_every_service_of_the_catalogue_answers(cloud):
    admin = cloud.connect()
    catalogue = {entry["type"] for entry in admin.service_catalog}
    assert catalogue >= {
        "identity", "compute", "placement", "image", "network", "block-storage", "volumev3", "object-store",
    }  # fmt: skip
    for kind in ("compute", "placement", "image", "network", "block-storage"):
        assert (
            admin.session.get("/", endpoint_filter={"service_type": kind}, raise_exc=False).status_code < 500
        ), kind


def test_all_computes_can_take_servers_at_once(cloud):
    admin = cloud.connect()
    computes = {f"fake-{n}" for n in range(1, cloud.sandbox.box().computes + 1)}
    assert {
        s.host for s in admin.compute.services() if s.binary == "nova-compute" and s.state == "up"
    } == computes
    assert {provider.name for provider in admin.placement.resource_providers()} == computes
    assert {h.name for h in admin.compute.hypervisors()} == computes


def test_a_server_lives_with_a_volume(vo, network, image, flavour):
    server = vo.compute.create_server(
        name="s", flavor_id=flavour.id, image_id=image.id, networks=[{"uuid": network.id}]
    )
    server = vo.compute.wait_for_server(server, interval=0.5, wait=120)
    assert server.addresses["net"][0]["addr"].startswith("192.0.2.")
    volume = vo.block_storage.create_volume(size=1, name="v")
    vo.block_storage.wait_for_status(volume, "available", interval=0.5, wait=120)
    vo.compute.create_volume_attachment(server, volume_id=volume.id)
    vo.block_storage.wait_for_status(volume, "in-use", interval=0.5, wait=120)
    vo.compute.delete_server(server)
    vo.compute.wait_for_delete(server, interval=0.5, wait=120)
    vo.block_storage.wait_for_status(volume, "available", interval=0.5, wait=120)
    vo.block_storage.delete_volume(volume)
    vo.block_storage.wait_for_delete(volume, interval=0.5, wait=120)


def test_what_is_in_an_image_is_in_its_volume_its_snapshot_and_the_image_of_that(vo):
    content = bytes(range(256)) * 4096
    image = vo.image.create_image(
        name="content", data=content, disk_format="raw", container_format="bare", validate_checksum=False
    )
    volume = vo.block_storage.create_volume(size=1, image_id=image.id)
    vo.block_storage.wait_for_status(volume, "available", interval=0.5, wait=120)
    snapshot = vo.block_storage.create_snapshot(volume_id=volume.id)
    vo.block_storage.wait_for_status(snapshot, "available", interval=0.5, wait=120)
    copy = vo.block_storage.create_volume(size=1, snapshot_id=snapshot.id)
    vo.block_storage.wait_for_status(copy, "available", interval=0.5, wait=120)
    upload = vo.block_storage.upload_volume_to_image(
        copy, "again", disk_format="raw", container_format="bare"
    )
    again = vo.image.get_image(upload["image_id"])
    vo.image.wait_for_status(again, "active", interval=0.5, wait=120)
    found = vo.image.download_image(again, stream=True)
    assert next(found.iter_content(len(content))) == content
    found.close()
    vo.block_storage.wait_for_status(copy, "available", interval=0.5, wait=120)
    vo.block_storage.delete_snapshot(snapshot)
    vo.block_storage.wait_for_delete(snapshot, interval=0.5, wait=120)
    for each in (volume, copy):
        vo.block_storage.delete_volume(each)
        vo.block_storage.wait_for_delete(each, interval=0.5, wait=120)
    vo.image.delete_image(image)
    vo.image.delete_image(again)


def test_a_floating_address_reaches_a_port_through_a_router(cloud, vo, network):
    admin = cloud.connect()
    outside = admin.network.create_network(
        name="outside",
        is_router_external=True,
        provider_network_type="flat",
        provider_physical_network=vo.current_project_id,
    )
    try:
        admin.network.create_subnet(
            network_id=outside.id,
            ip_version=4,
            cidr="198.51.100.0/24",
            gateway_ip="198.51.100.1",
            enable_dhcp=False,
        )
        router = vo.network.create_router(name="r", external_gateway_info={"network_id": outside.id})
        (subnet,) = vo.network.subnets(network_id=network.id)
        vo.network.add_interface_to_router(router, subnet_id=subnet.id)
        port = vo.network.create_port(network_id=network.id)
        address = vo.network.create_ip(floating_network_id=outside.id, port_id=port.id)
        assert address.floating_ip_address.startswith("198.51.100.")
        assert address.fixed_ip_address.startswith("192.0.2.")
        vo.network.delete_ip(address)
        vo.network.delete_port(port)
        vo.network.remove_interface_from_router(router, subnet_id=subnet.id)
        vo.network.delete_router(router)
    finally:
        admin.network.delete_network(outside)
        admin.close()


def test_the_admin_bounds_and_reads_a_vos_storage(cloud, vo):
    admin = cloud.connect()
    account = f"{cloud.endpoints['swift'].rsplit('AUTH_', 1)[0]}AUTH_{vo.current_project_id}"
    admin.session.post(account, headers={"X-Account-Meta-Quota-Bytes": "1000"})
    vo.object_store.create_container("c")
    vo.object_store.upload_object("c", "small", data=b"x" * 600)
    for _ in range(100):
        if admin.session.head(account).headers["X-Account-Bytes-Used"] == "600":
            break
        time.sleep(0.2)
    time.sleep(1.1)  # until the proxy asks the account again
    with pytest.raises(exceptions.HttpException, match="413"):
        vo.object_store.upload_object("c", "too-much", data=b"x" * 600)
    vo.object_store.delete_object("small", container="c")
    vo.object_store.delete_container("c")
    admin.close()


def test_s3_stores_lists_joins_and_lends(cloud, vo):
    url = f"{cloud.endpoints['keystone']}/users/{vo.current_user_id}/credentials/OS-EC2"
    key = vo.session.post(url, json={"tenant_id": vo.current_project_id}).json()["credential"]
    s3 = boto3.client(
        "s3",
        endpoint_url=cloud.endpoints["swift"].split("/v1/")[0],
        aws_access_key_id=key["access"],
        aws_secret_access_key=key["secret"],
        region_name="RegionOne",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}),
    )
    bucket = f"b-{vo.current_project_id}"
    s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"hello")
    assert s3.get_object(Bucket=bucket, Key="a/b")["Body"].read() == b"hello"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    parts = []
    for number in (1, 2):
        part = s3.upload_part(
            Bucket=bucket, Key="big", PartNumber=number, UploadId=upload, Body=b"z" * 5 * MIB
        )
        parts.append({"ETag": part["ETag"], "PartNumber": number})
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload={"Parts": parts})
    assert {o["Key"]: o["Size"] for o in s3.list_objects_v2(Bucket=bucket)["Contents"]} == {
        "a/b": 5,
        "big": 10 * MIB,
    }
    lent = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "a/b"})
    assert requests.get(lent, timeout=60).text == "hello"
    for name in ("a/b", "big"):
        s3.delete_object(Bucket=bucket, Key=name)
    s3.delete_bucket(Bucket=bucket)


def test_requests_are_counted_and_attributed(cloud):
    admin = cloud.connect()
    admin.authorize()
    list(admin.compute.flavors())
    since = cloud.mark()
    for _ in range(3):
        list(admin.compute.flavors())
    found = [r for r in cloud.requests(since) if r.service == "nova" and "openstacksdk" in r.agent]
    ours = [(r.method, r.path.split("?")[0], r.status) for r in found if "/flavors/detail" in r.path]
    assert len(ours) >= 3
    assert set(ours) == {("GET", "/v2.1/flavors/detail", 200)}
    admin.close()


def test_many_at_once_are_all_served(cloud, vo, domain_name):
    admin = cloud.connect("sandbox-system")
    domain = admin.identity.find_domain(domain_name).id
    since = cloud.mark()

    def work(number: int) -> None:
        admin.identity.create_project(name=f"many-{number}", domain_id=domain)
        made = vo.network.create_network(name=f"many-{number}")
        vo.network.delete_network(made)
        volume = vo.block_storage.create_volume(size=1)
        vo.block_storage.wait_for_status(volume, "available", interval=0.5, wait=120)
        vo.block_storage.delete_volume(volume)
        vo.object_store.create_container(f"many-{number}")
        vo.object_store.delete_container(f"many-{number}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    failed = Counter((r.service, r.method, r.status) for r in cloud.requests(since) if r.status >= 500)
    assert failed == Counter()
    admin.close()
