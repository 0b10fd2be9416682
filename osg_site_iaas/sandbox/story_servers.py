"""The servers of the demo: started through the EC2 door and by every tool, ended, and what Nova counts of them."""

from __future__ import annotations

import itertools
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Callable, Iterator, Mapping, Sequence

from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox.visitor import TOOLS, Visitor, Wanted

IMAGE, FLAVOUR, NETWORK = "osg-worker", "osg.small", "workers"
RUN_SECONDS = 3  # how long the demo's server runs: long enough to be more than zero in its record
PATIENCE = 120  # seconds for Nova to start or delete it

Progress = Callable[[str], None]


class Servers:
    """One server of ``member`` that is accounted for, and one by every tool; ``admin`` is asked whose they are."""

    def __init__(self, admin: Cloud, member: Visitor) -> None:
        self._admin = admin
        self._member = member
        self._ec2 = member.ec2()
        self._image = ""  # as the EC2 door names it
        self._instance = ""  # as the EC2 door names it
        self.server = ""  # as Nova does

    def start(self, progress: Progress) -> str:
        """A server by EC2; it is the member's and runs, or SandboxError."""
        with _in_words():
            found = self._ec2.describe_images(Filters=[{"Name": "name", "Values": [IMAGE]}])["Images"]
            if not found:
                raise SandboxError(f"the VO does not see image {IMAGE}", todo="was it taken out of site.yml?")
            self._image = found[0]["ImageId"]
            name = datetime.now(timezone.utc).strftime("worker-%H%M%S")
            made = self._ec2.run_instances(
                ImageId=self._image,
                InstanceType=FLAVOUR,
                MinCount=1,
                MaxCount=1,
                TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": name}]}],
            )
            self._instance = made["Instances"][0]["InstanceId"]
            server = self._wait("running", progress)
        nova = self._all()[self._instance]
        self.server = str(nova["id"])
        _must_be_its(nova, self._member)
        where = f"{server['PrivateIpAddress']}, in project {self._member.who['project']}"
        return f"{self._instance} ({name}) is running at {where}"

    def start_with_every_tool(self, visitors: Sequence[Visitor], progress: Progress) -> str:
        """One by each tool with each credential; whose they are is Nova's word, asked as the administrator."""
        wanted = Wanted(IMAGE, self._image, FLAVOUR, NETWORK)
        made: list[tuple[Visitor, str]] = []

        def one(part: tuple[Visitor, str]) -> None:
            visitor, tool = part
            progress(f"{tool}, as {visitor.vo}")
            made.append((visitor, visitor.start(tool, wanted)))

        try:
            with _in_words(), ThreadPoolExecutor(2) as pool:
                list(pool.map(one, itertools.product(visitors, TOOLS)))
            servers = self._all()
            for visitor, instance in made:
                _must_be_its(servers[instance], visitor)
        finally:  # also those that the tools started before one of them failed
            with _in_words():
                for visitor in visitors:
                    own = [instance for owner, instance in made if owner is visitor]
                    if own:
                        visitor.ec2().terminate_instances(InstanceIds=own)
        whose = ", ".join(f"{visitor.vo}'s by its {visitor.kind}" for visitor in visitors)
        return f"{len(made)} servers, each in its VO's project, and ended again: {', '.join(TOOLS)}; {whose}"

    def end(self, progress: Progress) -> str:
        """Let it run for a moment, terminate it, and see what Nova counted and remembers."""
        for second in range(RUN_SECONDS):
            progress(f"it runs: {second + 1} of {RUN_SECONDS} s")
            time.sleep(1)
        with _in_words():
            self._ec2.terminate_instances(InstanceIds=[self._instance])
            self._wait("terminated", progress)
        path = f"/servers/{self.server}/os-instance-actions"
        actions = self._admin.get("compute", path, version="2.21")["instanceActions"]
        counted = self._counted()
        seconds = round(counted["hours"] * 3600)
        return f"Nova counts {seconds} s × {counted['vcpus']} vCPU, and remembers: " + ", ".join(
            action["action"] for action in reversed(actions)
        )

    def _counted(self) -> Mapping[str, Any]:
        """Nova's own usage report of the server: ``hours`` from its launch to its end, ``vcpus``."""
        project = self._member.who["project_id"]
        now = datetime.now(timezone.utc).replace(tzinfo=None)
        start, end = now - timedelta(days=1), now + timedelta(minutes=1)  # without them Nova reports nothing
        path = f"/os-simple-tenant-usage/{project}?start={start.isoformat()}&end={end.isoformat()}"
        for usage in self._admin.get("compute", path)["tenant_usage"].get("server_usages", ()):
            if usage["instance_id"] == self.server:
                found: Mapping[str, Any] = usage
                return found
        raise SandboxError(f"Nova's usage report of project {project} has no server {self.server}")

    def _all(self) -> dict[str, Mapping[str, Any]]:
        """Every server there is, by the id that the EC2 door gives it."""
        found = self._admin.get("compute", "/servers/detail?all_tenants=1")["servers"]
        return {ec2_id("i", server["id"]): server for server in found}

    def _wait(self, wanted: str, progress: Progress) -> Any:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            answer = self._ec2.describe_instances(InstanceIds=[self._instance])
            found = answer["Reservations"][0]["Instances"][0]
            state = found["State"]["Name"]
            if state == wanted:
                return found
            if state == "terminated":
                why = found.get("StateReason", {}).get("Message", "")
                raise SandboxError(f"{self._instance} ended: {why}")
            progress(f"the EC2 door says {state}")
            time.sleep(0.5)
        raise SandboxError(f"{self._instance} is not {wanted} after {PATIENCE} s")


def _must_be_its(server: Mapping[str, Any], visitor: Visitor) -> None:
    """The server is in the VO's project, and made by this very person; else SandboxError."""
    who = visitor.who
    if (server["tenant_id"], server["user_id"]) != (who["project_id"], who["user_id"]):
        raise SandboxError(f"server {server['id']} does not belong to {visitor.vo}: {server['tenant_id']}")


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
