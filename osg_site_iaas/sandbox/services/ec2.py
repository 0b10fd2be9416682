"""The EC2 door of this package in front of the sandbox's OpenStack; it runs with the package's own Python."""

from __future__ import annotations

import sys

import yaml

from osg_site_iaas.sandbox.model import REGION, Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Service, login


class Ec2(Service):
    name = "ec2"
    needs = ("keystone", "nova", "glance", "neutron")
    ports = ("ec2",)

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("ec2",)

    def files(self, box: Box) -> dict[str, str]:
        user = login(box, "ec2")
        region = user.pop("region_name")
        user.pop("auth_type")
        cloud = {"auth": user, "region_name": region, "identity_api_version": 3}
        settings = {
            "cloud": "door",
            "keystone": "service",
            "region": REGION,
            "bind": f"127.0.0.1:{box.ports['ec2']}",
            "state": str(box.data / "ec2"),
            "workers": 1,
        }
        return {
            "ec2/clouds.yaml": yaml.safe_dump({"clouds": {"door": cloud}}),
            "ec2/ec2.yml": yaml.safe_dump(settings),
        }

    def command(self, box: Box) -> Command:
        return Command(
            (sys.executable, "-m", "osg_site_iaas.cli.ec2_door", "--config", str(box.etc / "ec2/ec2.yml")),
            {"OS_CLIENT_CONFIG_FILE": str(box.etc / "ec2/clouds.yaml")},
        )

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("ec2", "ec2", box.url("ec2", "/")),)

    def health(self, box: Box) -> str:
        return box.url("ec2", "/health")


SERVICE = Ec2()
