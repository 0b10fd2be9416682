"""The main job of the product, told on a sandbox: from OSG Topology to VOs' servers and a delivered usage record.

The VOs come as they come to a site: one with a VOMS proxy, the other with a token of its issuer. Each
step does the real thing through the same functions that the commands use, and returns what a reader should know.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Callable, Iterator, Optional
from xml.dom import minidom

import requests
import yaml

from osg_site_iaas.accounting import run as usage
from osg_site_iaas.accounting import statement_files
from osg_site_iaas.accounting.settings import from_site
from osg_site_iaas.accounting.statement import Month
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.apply import apply, check_login
from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.cloud.observe import observe, plan
from osg_site_iaas.declaration.load import check, load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SandboxError, SiteError
from osg_site_iaas.plan import render
from osg_site_iaas.sandbox.grid import Grid, can_make_proxies
from osg_site_iaas.sandbox.sandbox import Sandbox
from osg_site_iaas.sandbox.story_servers import Servers
from osg_site_iaas.sandbox.visitor import Visitor

TOPOLOGY = Path(__file__).parent / "topology"
RESOURCE = "Example-Cloud"
VO = "cms"  # comes with a VOMS proxy
OTHER = "icecube"  # comes with a token
SUBJECT = "icecube-pilot"  # whom Topology's line for its issuer lets in

# What a person would add to what Topology knows: sizes, a network and an image.
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
# Topology's example issuer does not answer; the sandbox has one that does, at a port of its own.
_ISSUER = re.compile(rf"https://(?:[\w.-]*example\.org|127\.0\.0\.1:\d+)/{OTHER}(?![\w/-])")
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
        self._member: Optional[Visitor] = None
        self._pilot: Optional[Visitor] = None
        self._vms: Optional[Servers] = None
        self.record = ""
        self.statement: Optional[Path] = None

    def steps(self) -> Iterator[Step]:
        """In the order in which they need one another."""
        yield Step("Start a real OpenStack", self.start)
        yield Step("Write site.yml from OSG Topology", self.declare)
        yield Step("Check it", self.check)
        yield Step("Plan", self.plan)
        yield Step("Apply", self.apply)
        yield Step("Plan again", self.plan_again)
        yield Step("Log in with a VOMS proxy", self.log_in_with_proxy)
        yield Step("Log in with a token", self.log_in_with_token)
        yield Step("Start a server with boto3", self.start_server)
        yield Step("Start one with every tool", self.start_with_every_tool)
        yield Step("End it, and read its usage", self.end_server)
        yield Step("Deliver its usage record", self.account)
        yield Step("Write its VO's statement", self.write_statement)

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
            self.file.write_text(text.rstrip("\n") + "\n" + ADDED + self._accounting(), encoding="utf-8")
        text = self.file.read_text(encoding="utf-8")
        ours = _ISSUER.sub(self.grid.issuer(OTHER), text)
        if ours != text:
            self.file.write_text(ours, encoding="utf-8")
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

    @property
    def grid(self) -> Grid:
        """Who vouches for the VOs' people here."""
        return Grid(self.sandbox.box())

    def log_in_with_proxy(self, progress: Progress) -> str:
        """As a member of the one VO: a proxy made by VOMS' own program, and ``osg-iaas login``."""
        self.grid.prepare(vo.name for vo in self.site.vos)
        self.grid.open_door(self.file)
        if not can_make_proxies():
            return f"left out: voms-clients is not installed here; {OTHER} does it all with its token"
        progress("voms-proxy-fake makes a proxy")
        proxy = self.grid.proxy(self._private("members") / f"proxy-{VO}", VO)
        self._member = self._come(Visitor(VO, proxy, "proxy", self.folder / "members" / VO), progress)
        return self._welcomed(self._member)

    def log_in_with_token(self, progress: Progress) -> str:
        """As the other VO's pilot: a signed token of its issuer, and ``osg-iaas login``."""
        audience = f"https://{self.site.site.fqdn}"
        file = self._private("members") / f"token-{OTHER}"
        self.grid.token(file, OTHER, subject=SUBJECT, audience=audience)
        self._pilot = self._come(Visitor(OTHER, file, "token", self.folder / "members" / OTHER), progress)
        return self._welcomed(self._pilot)

    def _come(self, visitor: Visitor, progress: Progress) -> Visitor:
        progress(f"osg-iaas login --{visitor.kind} {visitor.credential.name}")
        visitor.login(self.sandbox.endpoints["keystone-tls"], self.grid.ca)
        own = self.clouds_yaml if self.clouds_yaml.exists() else self.sandbox.clouds_yaml
        known = yaml.safe_load(own.read_text(encoding="utf-8"))
        known["clouds"].update(yaml.safe_load(self.sandbox.clouds_yaml.read_text(encoding="utf-8"))["clouds"])
        known["clouds"][visitor.vo] = visitor.clouds[visitor.name]
        secrets.write(self.clouds_yaml, yaml.safe_dump(known))
        os.environ["OS_CLIENT_CONFIG_FILE"] = str(self.clouds_yaml)
        return visitor

    @staticmethod
    def _welcomed(visitor: Visitor) -> str:
        who = visitor.who
        return f"{who['user']}: project {who['project']}, roles {', '.join(who['roles'])}"

    def _private(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    @property
    def clouds_yaml(self) -> Path:
        """Entries for the administrator and the VO, for the openstack client."""
        return self.folder / "clouds.yaml"

    def start_server(self, progress: Progress) -> str:
        """A server by EC2, signed with a key that the login opened."""
        self._vms = Servers(self.admin, self.member)
        return self._vms.start(progress)

    def start_with_every_tool(self, progress: Progress) -> str:
        """One by each tool with each credential."""
        return self.vms.start_with_every_tool(
            [visitor for visitor in (self._member, self._pilot) if visitor], progress
        )

    def end_server(self, progress: Progress) -> str:
        """Let it run for a moment, terminate it, and see what Nova remembers."""
        return self.vms.end(progress)

    @property
    def vms(self) -> Servers:
        """The servers of the demo, once one is started."""
        if self._vms is None:
            raise SandboxError("no server was started")
        return self._vms

    @property
    def member(self) -> Visitor:
        """Who came with the proxy; where none could be made, who came with the token."""
        found = self._member or self._pilot
        if found is None:
            raise SandboxError("nobody is logged in as the VO")
        return found

    def account(self, progress: Progress) -> str:
        """Its usage, as the record that OSG's accounting takes, and what the collector made of it."""
        now = datetime.now(timezone.utc)
        # settle=0: a site waits half an hour for late news of a server that has ended
        report = usage.run(self.site, self.admin, self.folder / "accounting", now, settle=0)
        if report.errors:
            raise SandboxError(report.errors[0])
        found = [item for item in self._collected() if self.vms.server in item["job"]]
        if len(found) != 1:
            raise SandboxError(f"the collector has {len(found)} records of server {self.vms.server}, not one")
        self.record = _readable(found[0]["fields"]["RawXML"])
        hours = float(found[0]["core_hours"])
        return f"the collector has it once: VO {found[0]['vo']}, {hours:.5f} core-hours"

    def write_statement(self, progress: Progress) -> str:
        """What the VO used this month, as the page that an administrator mails."""
        settings = from_site(self.site, self.folder / "accounting")
        month = Month.of(f"{datetime.now(timezone.utc):%Y-%m}")
        with Store(settings.folder, readonly=True) as store:
            written = statement_files.write(store, settings, month, self.folder / "statements")
        if not written:
            raise SandboxError(f"no VO has a statement of {month}")
        self.statement = max(written, key=lambda one: one.core_hours).html
        told = ", ".join(f"{one.vo} {one.core_hours:.5f} core-hours" for one in written)
        return f"{told}: {self.statement.parent}"

    def _collected(self) -> list[dict[str, Any]]:
        answer = requests.get(f"{self.collector_url}/query/records", timeout=30)
        records: list[dict[str, Any]] = answer.json()
        return records

    @property
    def collector_url(self) -> str:
        """Where the stand-in for OSG's collector answers."""
        return self.sandbox.box().url("collector", "")


def _readable(xml: str) -> str:
    """The record with one element a line, for a person."""
    xml = xml.replace("xmlns:ns0=", "xmlns:urwg=").replace("ns0:", "urwg:")  # as it was sent
    document = minidom.parseString(xml.encode())  # noqa: S318 - our own record, back from our own collector
    return "\n".join(line for line in document.toprettyxml(indent="  ").splitlines()[1:] if line.strip())
