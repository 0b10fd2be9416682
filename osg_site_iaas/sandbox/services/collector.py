"""The collector stand-in: where the sandbox's usage records go."""

from __future__ import annotations

import sys

from osg_site_iaas.sandbox.model import Box, Command
from osg_site_iaas.sandbox.service import Service


class Collector(Service):
    """Not OpenStack and not GRACC; it runs with the package's own Python, which has the package."""

    name = "collector"
    needs = ()
    ports = ("collector",)
    has_user = False

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("collector",)

    def command(self, box: Box) -> Command:
        return Command((
            sys.executable, "-m", "osg_site_iaas.sandbox.collector",
            "--port", str(box.ports["collector"]), "--state", str(box.data / "collector"),
        ))  # fmt: skip

    def health(self, box: Box) -> str:
        return box.url("collector", "/stats")


SERVICE = Collector()
