"""The door's own login with the least that it needs: whoever steals it from the host that faces the VOs has little."""

from __future__ import annotations

import functools
import re
import secrets
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml
from botocore.exceptions import ClientError
from ec2_fixtures import REGION, connect, running_door, wait_for

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox
DOCS = Path(__file__).parents[2] / "docs/ec2.md"
ROLE = "ec2-door"


@pytest.fixture
def least(box: Any, admin: Any, tmp_path: Path) -> Iterator[tuple[Path, Callable[..., Any]]]:
    """clouds.yaml of a door that has its own role only, with the line that docs/ec2.md gives Keystone's policy."""
    ((text,),) = [re.findall(r"```yaml\n# /etc/keystone/policy.yaml\n(.*?)```", DOCS.read_text(), re.DOTALL)]
    assert ROLE in text
    identity, password = admin.identity, secrets.token_hex(8)
    role = identity.find_role(ROLE) or identity.create_role(name=ROLE)
    project = identity.create_project(name=f"door-{secrets.token_hex(3)}", domain_id="default")
    user = identity.create_user(name=project.name, password=password, domain_id="default")
    identity.assign_project_role_to_user(project, user, role)
    auth = {
        "auth_url": box.endpoints["keystone"],
        "username": user.name,
        "password": password,
        "user_domain_id": "default",
        "project_name": project.name,
        "project_domain_id": "default",
    }
    clouds = tmp_path / "clouds.yaml"
    clouds.write_text(yaml.safe_dump({"clouds": {"door": {"auth": auth, "region_name": REGION}}}))
    policy = box.box().etc / "keystone/policy.yaml"
    policy.write_text(text)
    yield (
        clouds,
        functools.partial(
            connect, box, "sandbox", username=user.name, password=password, project_name=project.name
        ),
    )
    policy.write_text("{}\n")
    identity.delete_user(user)
    identity.delete_project(project)
    identity.delete_role(role)


def test_a_role_of_its_own_opens_signatures_and_nothing_else(
    box: Any, least: tuple[Path, Callable[..., Any]], vo: Any, tmp_path: Path
) -> None:
    clouds, as_door = least
    with running_door(clouds, tmp_path / "door", keystone="service", secrets_cloud="") as door:
        wait_for(lambda: answers(door, vo))
        assert "Reservations" in door.client(vo).describe_instances()
    there = as_door()
    vos_port = next(iter(vo.cloud.network.ports()), None)
    assert list(there.network.ports()) == []
    if vos_port is not None:
        assert there.network.get(f"/ports/{vos_port.id}").status_code == 404
    assert there.placement.get("/resource_providers").status_code == 403
    assert there.compute.get("/servers/detail?all_tenants=1").status_code == 403
    asked = {"name": "x", "imageRef": vo.project, "flavorRef": "1", "networks": "none"}
    assert there.compute.post("/servers", json={"server": asked}, microversion="2.37").status_code == 403
    assert there.network.post("/networks", json={"network": {"name": "x"}}).status_code == 403
    assert there.identity.get("/users").status_code == 403


def answers(door: Any, vo: Any) -> bool:
    """Keystone reads its policy at the next request after a change."""
    try:
        door.client(vo).describe_regions()
    except ClientError:
        return False
    return True
