"""Glance: images, kept as files."""

from __future__ import annotations

from osg_site_iaas.sandbox.model import Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Ini, Service, authtoken, ini


class Glance(Service):
    """Takes any format and checks none."""

    name = "glance"
    needs = ("keystone",)
    ports = ("glance",)
    databases = ("glance",)

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("glance/store", "glance/staging", "glance/tasks", "glance/lock")

    def files(self, box: Box) -> dict[str, str]:
        data = box.data / "glance"
        conf: Ini = {
            "DEFAULT": {
                "use_stderr": True,
                "enabled_backends": "files:file",
                "node_staging_uri": f"file://{data}/staging",
                "workers": 1,
            },
            "database": {"connection": box.database("glance")},
            "glance_store": {"default_backend": "files"},
            "files": {"filesystem_store_datadir": data / "store"},
            "os_glance_staging_store": {"filesystem_store_datadir": data / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": data / "tasks"},
            "paste_deploy": {
                "flavor": "keystone",
                "config_file": box.python.parents[1] / "etc/glance/glance-api-paste.ini",
            },
            "keystone_authtoken": authtoken(box, "glance"),
            "oslo_concurrency": {"lock_path": data / "lock"},
        }
        return {"glance/glance-api.conf": ini(conf)}

    def migrations(self, box: Box) -> tuple[Command, ...]:
        conf = str(box.etc / "glance/glance-api.conf")
        return (box.manage("glance.cmd.manage:main", "--config-file", conf, "db_sync"),)

    def command(self, box: Box) -> Command:
        env = {"OS_GLANCE_CONFIG_DIR": str(box.etc / "glance")}
        return box.serve("glance", "glance.wsgi.api:application", threads=8, env=env)

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("glance", "image", box.url("glance")),)

    def health(self, box: Box) -> str:
        return box.url("glance", "/versions")


SERVICE = Glance()
