"""The main job of the product, told on a sandbox: from OSG Topology to a delivered usage record.

Each step does the real thing through the same functions that the commands use, and returns what a reader should know.
"""

from __future__ import annotations

import os
import re
import time
from contextlib import contextmanager
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
from osg_site_iaas.cloud.connect import Cloud, connect
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
        self._ec2: Any = None
        self._instance = ""  # as the EC2 door names it
        self._server = ""  # as Nova does
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
        yield Step("Start a server with boto3", self.start_server)
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
        password = secrets.read(secrets.password_file(self.site.cloud.secrets, self._user)).strip()
        entry = {
            "auth": {
                "auth_url": self.sandbox.endpoints["keystone"],
                "username": self._user,
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
        """A server by EC2, signed with the VO's own key."""
        with _in_words():
            return self._start(progress)

    def _start(self, progress: Progress) -> str:
        self._ec2 = self._door()
        image = self._ec2.describe_images(Filters=[{"Name": "name", "Values": ["osg-worker"]}])["Images"]
        if not image:
            raise SandboxError("the VO does not see image osg-worker", todo="was it taken out of site.yml?")
        name = datetime.now(timezone.utc).strftime("worker-%H%M%S")
        made = self._ec2.run_instances(
            ImageId=image[0]["ImageId"],
            InstanceType="osg.small",
            MinCount=1,
            MaxCount=1,
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
        )
        self._instance = made["Instances"][0]["InstanceId"]
        server = self._wait(("running",), progress)
        # the door's ids are the beginnings of Nova's
        servers = self._as_vo().get("compute", "/servers")["servers"]
        start = self._instance[len("i-") :]
        self._server = next(one["id"] for one in servers if one["id"].replace("-", "").startswith(start))
        return f"{self._instance} ({name}) is running at {server['PrivateIpAddress']}"

    def end_server(self, progress: Progress) -> str:
        """Let it run for a moment, terminate it, and see what Nova remembers."""
        for second in range(RUN_SECONDS):
            progress(f"it runs: {second + 1} of {RUN_SECONDS} s")
            time.sleep(1)
        with _in_words():
            self._ec2.terminate_instances(InstanceIds=[self._instance])
            self._wait(("terminated",), progress)
        path = f"/servers/{self._server}/os-instance-actions"
        actions = self._as_vo().get("compute", path, version="2.21")["instanceActions"]
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
    def _user(self) -> str:
        """The VO's service user that the demo has declared."""
        users = [user.name for user in self.site.vo(VO).service_users if user.name.endswith(f"-{USER}")]
        if not users:
            raise SandboxError(f"VO {VO} has no service user {USER}", todo=f"put it back into {self.file}")
        return users[0]

    @property
    def collector_url(self) -> str:
        """Where the stand-in for OSG's collector answers."""
        return self.sandbox.box().url("collector", "")

    def _as_vo(self) -> Cloud:
        if self._vo is None:
            raise SandboxError("nobody is logged in as the VO")
        return self._vo

    def _door(self) -> Any:
        """boto3's EC2 client, with the key that apply made for the VO."""
        try:
            import boto3  # type: ignore[import-untyped]
        except ImportError as error:
            raise SandboxError("boto3 is not installed", todo="pip install 'osg-site-iaas[demo]'") from error
        folder = self.site.cloud.secrets
        key = secrets.kept_ec2_key(folder, self._user)
        if key is None:
            raise SandboxError(f"there is no key of {self._user} in {folder}", todo="apply writes it again")
        return boto3.client(
            "ec2",
            endpoint_url=self.sandbox.endpoints["ec2"],
            region_name=self.site.site.region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
        )

    def _wait(self, states: tuple[str, ...], progress: Progress) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self._ec2.describe_instances(InstanceIds=[self._instance])
            found = answer["Reservations"][0]["Instances"][0]
            state = found["State"]["Name"]
            if state in states:
                return found
            if state == "terminated":
                raise SandboxError(
                    f"{self._instance} ended: {found.get('StateReason', {}).get('Message', '')}"
                )
            progress(f"the EC2 door says {state}")
            time.sleep(0.5)
        raise SandboxError(f"{self._instance} is not {states[0]} after {PATIENCE} s")


@contextmanager
def _in_words() -> Iterator[None]:
    """What botocore raises, as an error that the demo can show."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise SandboxError(
            f"boto3: {error}", todo="`osg-site-iaas sandbox logs ec2` shows the door's side"
        ) from error


def _readable(xml: str) -> str:
    """The record with one element a line, for a person."""
    xml = xml.replace("xmlns:ns0=", "xmlns:urwg=").replace("ns0:", "urwg:")  # as it was sent
    document = minidom.parseString(xml.encode())  # noqa: S318 - our own record, back from our own collector
    return "\n".join(line for line in document.toprettyxml(indent="  ").splitlines()[1:] if line.strip())
