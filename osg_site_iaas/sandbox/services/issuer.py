"""The token issuer stand-in: vouches for the tokens that rehearsals log in with."""

from __future__ import annotations

import sys

from osg_site_iaas.sandbox.model import Box, Command
from osg_site_iaas.sandbox.service import Service


class Issuer(Service):
    """Not OpenStack; it runs with the package's own Python, which has the package."""

    name = "issuer"
    needs = ()
    ports = ("issuer",)
    has_user = False

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("issuer",)

    def command(self, box: Box) -> Command:
        return Command((
            sys.executable, "-m", "osg_site_iaas.sandbox.issuer",
            "--port", str(box.ports["issuer"]), "--state", str(box.data / "issuer"),
            "--certificate", str(box.pki / "host.pem"), "--key", str(box.pki / "host.key"),
        ))  # fmt: skip

    def health(self, box: Box) -> str:
        return box.url("issuer", "/jwks", scheme="https")


SERVICE = Issuer()
