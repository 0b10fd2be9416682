"""Placement: what each compute has left."""

from __future__ import annotations

from osg_site_iaas.sandbox.model import Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Ini, Service, authtoken, ini


class Placement(Service):
    """Keeps its inventory in one database of its own."""

    name = "placement"
    needs = ("keystone",)
    ports = ("placement",)
    databases = ("placement",)

    def files(self, box: Box) -> dict[str, str]:
        conf: Ini = {
            "DEFAULT": {"use_stderr": True},
            "api": {"auth_strategy": "keystone"},
            "placement_database": {"connection": box.database("placement")},
            "keystone_authtoken": authtoken(box, "placement"),
        }
        return {"placement/placement.conf": ini(conf)}

    def _env(self, box: Box) -> dict[str, str]:
        return {"OS_PLACEMENT_CONFIG_DIR": str(box.etc / "placement")}

    def migrations(self, box: Box) -> tuple[Command, ...]:
        conf = str(box.etc / "placement/placement.conf")
        return (
            box.manage("placement.cmd.manage:main", "--config-file", conf, "db", "sync", env=self._env(box)),
        )

    def command(self, box: Box) -> Command:
        # One thread: Placement retries inside a transaction, and two writers then block each other on SQLite.
        return box.serve("placement", "placement.wsgi.api:application", threads=1, env=self._env(box))

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("placement", "placement", box.url("placement")),)


SERVICE = Placement()
