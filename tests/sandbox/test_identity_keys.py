"""EC2 keys and application credentials of members: they work, and they end with the membership."""

from __future__ import annotations

import time
from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions, session

from tests.sandbox.identity_fixtures import CMS, GridSite, grid_site  # noqa: F401

IDENTITY = {"endpoint_filter": {"service_type": "identity", "interface": "public"}}


def ec2_key(found: session.Session) -> dict[str, Any]:
    url = f"/users/{found.get_user_id()}/credentials/OS-EC2"
    answer = found.post(url, json={"tenant_id": found.get_project_id()}, **IDENTITY)
    return dict(answer.json()["credential"])


def s3_project(site: GridSite, key: dict[str, Any]) -> int:
    """Status of listing buckets with a key, through Swift's S3 face: it asks Keystone about the key."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import ClientError

    client = boto3.client(
        "s3", endpoint_url=site.cloud.endpoints["swift"].split("/v1")[0], region_name="RegionOne",
        aws_access_key_id=key["access"], aws_secret_access_key=key["secret"],
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    try:
        return int(client.list_buckets()["ResponseMetadata"]["HTTPStatusCode"])
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])


def forget_roles(admin: Any) -> None:
    """Keystone keeps computed roles for its cache's time (minutes); any change of an assignment empties it."""
    project, user, role = admin.current_project_id, admin.current_user_id, admin.identity.find_role("reader")
    admin.identity.assign_project_role_to_user(project, user, role)
    admin.identity.unassign_project_role_from_user(project, user, role)


def test_a_members_ec2_key_works_and_belongs_to_its_vos_project(grid_site: GridSite) -> None:  # noqa: F811
    found = grid_site.proxy_session(grid_site.proxy(grid_site.user("Keyholder"), CMS))
    key = ec2_key(found)
    assert key["tenant_id"] == found.get_project_id()
    assert s3_project(grid_site, key) == 200


def test_an_application_credential_works_without_the_proxy(grid_site: GridSite) -> None:  # noqa: F811
    found = grid_site.proxy_session(grid_site.proxy(grid_site.user("Appholder"), CMS))
    body = {"application_credential": {"name": "worker", "roles": [{"name": "member"}]}}
    made = found.post(f"/users/{found.get_user_id()}/application_credentials", json=body, **IDENTITY).json()
    identity = {
        "methods": ["application_credential"],
        "application_credential": {k: made["application_credential"][k] for k in ("id", "secret")},
    }
    answer = requests.post(
        f"{grid_site.cloud.endpoints['keystone']}/auth/tokens",
        json={"auth": {"identity": identity}},
        timeout=30,
    )
    assert answer.json()["token"]["project"]["id"] == found.get_project_id()


@pytest.mark.long
def test_keys_end_with_the_membership_and_come_back_with_the_next_login(grid_site: GridSite) -> None:  # noqa: F811
    """The time after a login is a minute here, the shortest that Keystone has; days at a site."""
    admin = grid_site.cloud.connect()
    url = f"/OS-FEDERATION/identity_providers/{grid_site.x509_provider}"
    holder = grid_site.proxy(grid_site.user("Leaver"), CMS)
    admin.identity.patch(url, json={"identity_provider": {"authorization_ttl": 1}})
    try:
        found = grid_site.proxy_session(holder)
        key = ec2_key(found)
        assert s3_project(grid_site, key) == 200
        time.sleep(62)
        forget_roles(admin)
        assert s3_project(grid_site, key) == 403
        assert grid_site.knock(holder).status_code == 201
        forget_roles(admin)
        assert s3_project(grid_site, key) == 200
    finally:
        admin.identity.patch(url, json={"identity_provider": {"authorization_ttl": 60}})
        admin.close()


def test_a_member_cannot_make_keys_for_another_user(grid_site: GridSite) -> None:  # noqa: F811
    one = grid_site.proxy_session(grid_site.proxy(grid_site.user("One"), CMS))
    other = grid_site.proxy_session(grid_site.proxy(grid_site.user("Other"), CMS))
    url = f"/users/{other.get_user_id()}/credentials/OS-EC2"
    with pytest.raises(exceptions.Forbidden):
        one.post(url, json={"tenant_id": one.get_project_id()}, **IDENTITY)


def test_a_key_for_another_vos_project_opens_nothing(grid_site: GridSite) -> None:  # noqa: F811
    """Keystone makes such a key for anybody who asks, and then finds no role behind it."""
    one = grid_site.proxy_session(grid_site.proxy(grid_site.user("Climber"), CMS))
    admin = grid_site.cloud.connect()
    ligo = next(p.id for p in admin.identity.projects() if p.name == "ligo" and p.domain_id == _domain(one))
    admin.close()
    answer = one.post(f"/users/{one.get_user_id()}/credentials/OS-EC2", json={"tenant_id": ligo}, **IDENTITY)
    assert s3_project(grid_site, answer.json()["credential"]) == 403


def _domain(found: session.Session) -> str:
    answer = found.get("/auth/tokens", headers={"X-Subject-Token": found.get_token()}, **IDENTITY)
    return str(answer.json()["token"]["project"]["domain"]["id"])
