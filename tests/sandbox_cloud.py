"""The real OpenStack that tests talk to: one for the session, started where none was named.

With OSG_SITE_IAAS_TEST_SANDBOX=NAME (or the folder of its state) the tests use a sandbox that runs already, and leave
it running.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Iterator, Optional

import pytest
from openstack import connection
from openstack.config import OpenStackConfig

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Mark, Request, Sandbox

NAMED = "OSG_SITE_IAAS_TEST_SANDBOX"


class Cloud:
    """What a test needs of the sandbox."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.clouds_yaml = sandbox.clouds_yaml
        self.logs = sandbox.box().logs
        self.pki = sandbox.box().pki
        self.endpoints = sandbox.endpoints
        self.admin_password = sandbox.admin_password

    def connect(self, entry: str = "sandbox") -> connection.Connection:
        """A new connection as admin: ``sandbox`` in project admin, ``sandbox-system`` for the system."""
        config = OpenStackConfig(config_files=[str(self.clouds_yaml)], load_envvars=False)
        return connection.Connection(config=config.get_one(entry))

    def connect_as(self, user: str, password: str, *, project: str, domain: str) -> connection.Connection:
        """A new connection as a user of a domain in a project of the same domain."""
        return connection.Connection(
            auth={
                "auth_url": self.endpoints["keystone"],
                "username": user,
                "password": password,
                "project_name": project,
                "user_domain_name": domain,
                "project_domain_name": domain,
            },
            region_name="RegionOne",
        )

    def mark(self) -> Mark:
        """Now, for ``requests``."""
        return self.sandbox.mark()

    def requests(self, since: Mark, until: Optional[Mark] = None) -> list[Request]:
        """Every request that any service answered between two marks."""
        return self.sandbox.requests(since, until)


@pytest.fixture(scope="session")
def cloud() -> Iterator[Cloud]:
    """The sandbox, up. A session whose sandbox cannot start fails, and says why."""
    named = os.environ.get(NAMED)
    if named:
        sandbox = Sandbox.open(state=named) if "/" in named else Sandbox.open(named)
        status = sandbox.status()
        if status.state != "up":
            dead = "; ".join(f"{s.name} died" for s in status.dead)
            pytest.fail(f"{NAMED}={named}: that sandbox is {status.state} {dead}", pytrace=False)
        yield Cloud(sandbox)
        return
    # Not pytest's own temporary folder: its paths are long, and it keeps the last three.
    folder = Path(tempfile.mkdtemp(prefix="osg-sandbox-"))
    sandbox = Sandbox.open(state=folder)
    try:
        try:
            sandbox.up()
        except SandboxError as error:
            pytest.fail(f"the sandbox does not start: {error}", pytrace=False)
        yield Cloud(sandbox)
    finally:
        sandbox.down()
        shutil.rmtree(folder, ignore_errors=True)
