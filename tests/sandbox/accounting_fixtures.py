"""A VO with servers in the sandbox, and a probe with a collector of its own."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator, Sequence

import pytest

from osg_site_iaas.accounting.nova import instant
from osg_site_iaas.accounting.run import Report, run
from osg_site_iaas.accounting.settings import Settings, from_site
from osg_site_iaas.cloud.connect import Cloud, Missing, connect
from osg_site_iaas.declaration.model import VO, Access, Accounting, Identity, Site
from osg_site_iaas.declaration.model import Cloud as Declared
from osg_site_iaas.sandbox.collector.server import Collector

PATIENCE = 120  # seconds for one step of a server


@dataclass
class Probe:
    """The probe of a site with one VO, and the collector it sends to."""

    site: Site
    cloud: Cloud
    collector: Collector
    settings: Settings

    def run(self, **changed: Any) -> Report:
        """One run, of everything that has ended by now."""
        settings = replace(self.settings, **changed)
        return run(self.site, self.cloud, None, datetime.now(timezone.utc), settings=settings, settle=0)

    def core_seconds(self, server: str) -> int:
        """What the collector counts for a server."""
        hours = sum(float(str(row["core_hours"])) for row in self.collector.store.records(job=server))
        return round(hours * 3600)


@dataclass
class Servers:
    """Servers of the VO's project."""

    cloud: Cloud
    flavours: dict[str, str]
    image: str
    made: list[str] = field(default_factory=list)

    def create(self, name: str, flavour: str = "small", until: Sequence[str] = ("ACTIVE",)) -> str:
        body = {"name": name, "flavorRef": self.flavours[flavour], "imageRef": self.image, "networks": "none"}
        answer = self.cloud.request(
            "POST", "compute", "/servers", version="2.47", json={"server": body}
        ).json()
        self.made.append(answer["server"]["id"])
        self.wait(self.made[-1], *until)
        return self.made[-1]

    def act(self, server: str, action: str, *until: str, **arguments: Any) -> None:
        self.cloud.request("POST", "compute", f"/servers/{server}/action", json={action: arguments or None})
        self.wait(server, *until)

    def row(self, server: str) -> dict[str, Any]:
        row: dict[str, Any] = self.cloud.get("compute", f"/servers/{server}", version="2.47")["server"]
        return row

    def delete(self, server: str) -> None:
        self.cloud.request("DELETE", "compute", f"/servers/{server}")
        self.wait(server)

    def wait(self, server: str, *states: str) -> None:
        """Until the server is in one of the states and at rest; without any, until it is gone."""
        deadline = time.monotonic() + PATIENCE
        row: dict[str, Any] = {}
        while time.monotonic() < deadline:
            try:
                row = self.row(server)
            except Missing:
                if not states:
                    return
                pytest.fail(f"server {server} is gone")
            if row["status"] in states and not row["OS-EXT-STS:task_state"]:
                return
            time.sleep(0.5)
        pytest.fail(f"server {server} is {row.get('status')}, not {' or '.join(states) or 'gone'}")

    def actions(self, server: str) -> dict[str, int]:
        """When each action of a server had finished, by name."""
        path = f"/servers/{server}/os-instance-actions"
        found = self.cloud.get("compute", path, version="2.58")["instanceActions"]
        return {action["action"]: instant(action["updated_at"]) for action in found}

    def ended(self, server: str) -> int:
        rows = self.cloud.get("compute", "/servers/detail?changes-since=1970-01-01T00:00:00Z", version="2.47")
        return next(
            instant(row["OS-SRV-USG:terminated_at"]) for row in rows["servers"] if row["id"] == server
        )


@pytest.fixture
def admin_cloud(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    return connect("sandbox")


@pytest.fixture
def servers(cloud: Any, domain_name: str, admin_cloud: Cloud) -> Iterator[Servers]:
    """A project ``cms`` in a domain of its own, and its servers; all of it is removed afterwards."""
    made = admin_cloud.request("POST", "identity", "/domains", json={"domain": {"name": domain_name}}).json()
    domain = made["domain"]["id"]
    body = {"project": {"name": "cms", "domain_id": domain}}
    project = admin_cloud.request("POST", "identity", "/projects", json=body).json()["project"]["id"]
    roles = {role["name"]: role["id"] for role in admin_cloud.get("identity", "/roles")["roles"]}
    user = {"name": "ann", "domain_id": domain, "password": os.urandom(12).hex()}
    number = admin_cloud.request("POST", "identity", "/users", json={"user": user}).json()["user"]["id"]
    admin_cloud.request("PUT", "identity", f"/projects/{project}/users/{number}/roles/{roles['member']}")
    connection = cloud.connect_as("ann", user["password"], project="cms", domain=domain_name)
    mine = Cloud(connection.session, name="cms", region="RegionOne", interface="public")
    flavours = {}
    for name, vcpus, disk in (("small", 1, 1), ("large", 4, 1), ("nowhere", 1, 90_000_000)):
        flavour = {"name": f"{domain_name}.{name}", "vcpus": vcpus, "ram": 64 * vcpus, "disk": disk}
        answer = admin_cloud.request("POST", "compute", "/flavors", json={"flavor": flavour}).json()
        flavours[name] = answer["flavor"]["id"]
    image = {"name": domain_name, "disk_format": "raw", "container_format": "bare", "visibility": "public"}
    picture = admin_cloud.request("POST", "image", "/images", json=image).json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    admin_cloud.request("PUT", "image", f"/images/{picture}/file", data=b"x" * 1024, headers=headers)
    found = Servers(mine, flavours, picture)
    yield found
    for server in found.made:
        admin_cloud.request("DELETE", "compute", f"/servers/{server}", ok=(204, 404))
    for flavour in flavours.values():
        admin_cloud.request("DELETE", "compute", f"/flavors/{flavour}")
    admin_cloud.request("DELETE", "image", f"/images/{picture}")
    connection.close()


@pytest.fixture
def probe(admin_cloud: Cloud, domain_name: str, tmp_path: Path) -> Iterator[Probe]:
    with Collector(tmp_path / "collector") as collector:
        site = Site(
            file=tmp_path / "site.yml", version=1, site=Identity("Example-Cloud", "cloud.example.org"),
            cloud=Declared("sandbox", domain=domain_name), accounting=Accounting(collector=collector.address),
            vos=(VO("cms", "cms", access=(Access(fqan="/cms/*"),)),),
        )  # fmt: skip
        yield Probe(site, admin_cloud, collector, from_site(site, tmp_path / "state"))
