"""The main job of the product, told on a sandbox: from OSG Topology to a delivered usage record.

Each step does the real thing through the same functions that the commands use, and returns what a reader should know.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Optional
from xml.dom import minidom

import requests
import yaml

from osg_site_iaas.accounting import run as usage
from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.apply import apply, check_login
from osg_site_iaas.cloud.connect import Cloud, Missing, connect
from osg_site_iaas.cloud.observe import observe, plan
from osg_site_iaas.declaration.load import check, load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SandboxError, SiteError
from osg_site_iaas.plan import render
from osg_site_iaas.sandbox.sandbox import Sandbox

TOPOLOGY = Path(__file__).parent / "topology"
RESOURCE = "Example-Cloud"
VO = "cms"
USER = "demo"
RUN_SECONDS = 3  # how long the demo's server runs: long enough to be more than zero in its record
PATIENCE = 120  # seconds for Nova to start or delete it

# What a person would add to what Topology knows: sizes, a network, an image, and a login for the VO.
ADDED = """
flavours:
  osg.small: {vcpus: 1, ram: 2 GiB, disk: 20 GiB}
  osg.large: {vcpus: 8, ram: 16 GiB, disk: 80 GiB}

networks:
  workers:
    shared: true
    subnets:
      workers-v4: {cidr: 10.20.0.0/16}

images:
  osg-worker:
    source: file:osg-worker.raw
    disk_format: raw
    visibility: public
    properties: {os_distro: debian}
"""
LOGIN = "    service_users:\n      demo: {password: generated, ec2_key: true}\n"
Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One line of the table: what it is called, and what it does; the result is for a reader."""

    title: str
    run: Callable[[Progress], str]


class Story:
    """The steps, and what one leaves for the next."""

    def __init__(self, folder: Path, sandbox: Sandbox, write_site: Callable[[Path], None]) -> None:
        self.folder = folder
        self.sandbox = sandbox
        self.file = folder / "site.yml"
        self._write_site = write_site
        self._site: Optional[Site] = None
        self._admin: Optional[Cloud] = None
        self._vo: Optional[Cloud] = None
        self._server = ""
        self.record = ""

    def steps(self) -> Iterator[Step]:
        """In the order in which they need one another."""
        yield Step("Start a real OpenStack", self.start)
        yield Step("Write site.yml from OSG Topology", self.declare)
        yield Step("Check it", self.check)
        yield Step("Plan", self.plan)
        yield Step("Apply", self.apply)
        yield Step("Plan again", self.plan_again)
        yield Step(f"Log in as VO {VO}", self.log_in)
        yield Step("Start a server", self.start_server)
        yield Step("End it, and read its usage", self.end_server)
        yield Step("Deliver its usage record", self.account)

    def start(self, progress: Progress) -> str:
        """The sandbox, up."""
        status = self.sandbox.up(progress)
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.sandbox.clouds_yaml)
        return f"{len(status.services)} services at {self.sandbox.endpoints['keystone']}"

    def declare(self, progress: Progress) -> str:
        """A site.yml, unless there is one from an earlier run: it may have been edited."""
        if not self.file.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            (self.folder / "osg-worker.raw").write_bytes(
                b"not a bootable image: the sandbox's hypervisor is fake\n" * 999
            )
            progress("reading rgsummary.xml, vosummary.xml and voms-mapfile-default")
            self._write_site(self.file)
            text = self.file.read_text(encoding="utf-8")
            text, found = re.subn(rf"(?m)^  {VO}:.*\n", lambda match: match.group(0) + LOGIN, text, count=1)
            if not found:
                raise SandboxError(f"the demo's Topology has no VO {VO}")
            self.file.write_text(text.rstrip("\n") + "\n" + ADDED + self._accounting(), encoding="utf-8")
        return f"{self.file} ({len(self.file.read_text(encoding='utf-8').splitlines())} lines)"

    def _accounting(self) -> str:
        host = self.collector_url.split("//")[1]
        return f"\naccounting:\n  collector: {host}   # the sandbox's stand-in for GRACC\n"

    def check(self, progress: Progress) -> str:
        """Every problem, or the site."""
        problems = check(self.file)
        self._site = load(self.file)
        vos = ", ".join(vo.name for vo in self._site.vos)
        return f"{len(problems)} problems; VOs {vos}" if problems else f"no problem; VOs {vos}"

    @property
    def site(self) -> Site:
        """The declaration, once it is checked."""
        if self._site is None:
            self._site = load(self.file)
        return self._site

    @property
    def admin(self) -> Cloud:
        """A session as the sandbox's administrator."""
        if self._admin is None:
            self._admin = connect(self.site.cloud.name)
        return self._admin

    def plan(self, progress: Progress) -> str:
        """What would change."""
        progress("reading the cloud")
        return render.summary(plan(self.site, observe(self.admin, self.site)))

    def apply(self, progress: Progress) -> str:
        """Make it so."""
        world = observe(self.admin, self.site)
        wanted = plan(self.site, world)
        if wanted.conflicts:
            first = wanted.conflicts[0]
            raise SiteError(f"{first.ref}: {first.why}", todo=first.todo)
        check_login(self.admin, wanted)
        total = len(wanted.changes)
        count = 0

        def tell(change: Any, reason: Optional[str]) -> None:
            nonlocal count
            count += 1
            progress(f"{count} of {total}: {render.heading(change.ref)}")

        outcome = apply(self.admin, self.site, world, wanted, progress=tell)
        if outcome.failed:
            change, reason = outcome.failed[0]
            raise SiteError(f"{len(outcome.failed)} changes failed, {change.ref} first: {reason}")
        return f"{len(outcome.done)} changes made" if total else "nothing to do: it is what site.yml says"

    def plan_again(self, progress: Progress) -> str:
        """Nothing left to do, or the demo fails."""
        left = plan(self.site, observe(self.admin, self.site))
        if left.changes:
            raise SandboxError(f"the plan is not empty after apply: {render.summary(left)}")
        return render.summary(left)

    def log_in(self, progress: Progress) -> str:
        """A token of the VO's own, from its password user."""
        vo = self.site.vo(VO)
        user = next(user.name for user in vo.service_users if user.name.endswith(f"-{USER}"))
        password = secrets.read(secrets.password_file(self.site.cloud.secrets, user)).strip()
        entry = {
            "auth": {
                "auth_url": self.sandbox.endpoints["keystone"],
                "username": user,
                "password": password,
                "project_name": vo.project,
                "user_domain_name": self.site.cloud.domain,
                "project_domain_name": self.site.cloud.domain,
            },
            "region_name": self.site.site.region,
        }
        own = yaml.safe_load(self.sandbox.clouds_yaml.read_text(encoding="utf-8"))
        own["clouds"][VO] = entry
        secrets.write(self.clouds_yaml, yaml.safe_dump(own))
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.clouds_yaml)
        self._vo = connect(VO)
        token = self._vo.login()
        roles = ", ".join(sorted(role["name"] for role in token["roles"]))
        return f"user {token['user']['name']}, project {token['project']['name']}, roles {roles}"

    @property
    def clouds_yaml(self) -> Path:
        """Entries for the administrator and the VO, for the openstack client."""
        return self.folder / "clouds.yaml"

    def start_server(self, progress: Progress) -> str:
        """A server of the VO's own choosing, active."""
        cloud = self._as_vo()
        flavour = _find(cloud.get("compute", "/flavors")["flavors"], "osg.small")
        image = _find(cloud.get("image", "/images?name=osg-worker")["images"], "osg-worker")
        network = _find(cloud.get("network", "/networks?name=workers")["networks"], "workers")
        name = datetime.now(timezone.utc).strftime("worker-%H%M%S")
        body = {"name": name, "flavorRef": flavour, "imageRef": image, "networks": [{"uuid": network}]}
        made = cloud.request("POST", "compute", "/servers", json={"server": body}).json()
        self._server = made["server"]["id"]
        server = self._wait(lambda found: found and found["status"] in ("ACTIVE", "ERROR"), progress)
        if server["status"] != "ACTIVE":
            raise SandboxError(f"Nova says {server['status']}: {server.get('fault', {}).get('message', '')}")
        address = next(ip["addr"] for ips in server["addresses"].values() for ip in ips)
        return f"{name} is {server['status']} at {address}"

    def end_server(self, progress: Progress) -> str:
        """Let it run for a moment, delete it, and see what Nova remembers."""
        cloud = self._as_vo()
        for second in range(RUN_SECONDS):
            progress(f"it runs: {second + 1} of {RUN_SECONDS} s")
            time.sleep(1)
        cloud.request("DELETE", "compute", f"/servers/{self._server}")
        self._wait(lambda found: found is None, progress)
        path = f"/servers/{self._server}/os-instance-actions"
        actions = cloud.get("compute", path, version="2.21")["instanceActions"]
        return "Nova remembers: " + ", ".join(action["action"] for action in reversed(actions))

    def account(self, progress: Progress) -> str:
        """Its usage, as the record that OSG's accounting takes, and what the collector made of it."""
        now = datetime.now(timezone.utc)
        # settle=0: a site waits half an hour for late news of a server that has ended
        report = usage.run(self.site, self.admin, self.folder / "accounting", now, settle=0)
        if report.errors:
            raise SandboxError(report.errors[0])
        found = [item for item in self._collected() if self._server in item["job"]]
        if len(found) != 1:
            raise SandboxError(f"the collector has {len(found)} records of server {self._server}, not one")
        self.record = _readable(found[0]["fields"]["RawXML"])
        hours = float(found[0]["core_hours"])
        return f"the collector has it once: VO {found[0]['vo']}, {hours:.5f} core-hours"

    def _collected(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.collector_url}/query/records", timeout=30)
        records: list[dict[str, Any]] = answer.json()
        return records

    @property
    def collector_url(self) -> str:
        """Where the stand-in for OSG's collector answers."""
        return self.sandbox.box().url("collector", "")

    def _as_vo(self) -> Cloud:
        if self._vo is None:
            raise SandboxError("nobody is logged in as the VO")
        return self._vo

    def _wait(self, done: Callable[[Any], Any], progress: Progress) -> Any:
        cloud = self._as_vo()
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                found = cloud.get("compute", f"/servers/{self._server}")["server"]
            except Missing:
                found = None
            if done(found):
                return found
            progress(f"Nova says {found['status'] if found else 'nothing'}")
            time.sleep(0.25)
        raise SandboxError(f"server {self._server} is not where it should be after {PATIENCE} s")


def _readable(xml: str) -> str:
    """The record with one element a line, for a person."""
    xml = xml.replace("xmlns:ns0=", "xmlns:urwg=").replace("ns0:", "urwg:")  # as it was sent
    document = minidom.parseString(xml.encode())  # noqa: S318 - our own record, back from our own collector
    return "\n".join(line for line in document.toprettyxml(indent="  ").splitlines()[1:] if line.strip())


def _find(items: list[dict[str, Any]], name: str) -> str:
    for item in items:
        if item["name"] == name:
            return str(item["id"])
    raise SandboxError(f"the VO does not see {name}", todo="was it taken out of site.yml?")
