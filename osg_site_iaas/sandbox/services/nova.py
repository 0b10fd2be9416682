"""Nova: API, conductor, scheduler and several fake computes, all in one process."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from osg_site_iaas.sandbox.model import Box, Command, Endpoint
from osg_site_iaas.sandbox.service import HOUR_S, Ini, Service, authtoken, ini, login


class Nova(Service):
    """Servers are fake; their records, ports, volumes and history are not."""

    name = "nova"
    needs = ("keystone", "placement", "glance", "neutron")
    ports = ("nova",)
    databases = ("nova_api", "nova", "nova_cell0")

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("nova/lock",)

    def files(self, box: Box) -> dict[str, str]:
        data = box.data / "nova"
        conf: Ini = {
            "DEFAULT": {
                "use_stderr": True,
                "state_path": data,
                "host": "fake-1",
                "my_ip": "127.0.0.1",
                "compute_driver": "fake.SandboxDriver",
                "transport_url": "fake://",
                "vif_plugging_timeout": 0,
                "vif_plugging_is_fatal": False,
                "reserved_host_memory_mb": 0,
                "reserved_host_disk_mb": 0,
                # An idle sandbox should cost nothing: what a real cloud does every few seconds is rare here.
                "report_interval": 60,
                "service_down_time": 10 * HOUR_S,
                "update_resources_interval": HOUR_S,
                "sync_power_state_interval": -1,
                "heal_instance_info_cache_interval": -1,
                "instance_delete_interval": HOUR_S,
                "shelved_poll_interval": -1,
                "running_deleted_instance_action": "noop",
            },
            # A tenth of the time of a request, for developers of Nova.
            "api": {"response_validation": "ignore"},
            "api_database": {"connection": box.database("nova_api")},
            "database": {"connection": box.database("nova")},
            "keystone_authtoken": authtoken(box, "nova"),
            "service_user": {**login(box, "nova"), "send_service_user_token": True},
            "placement": login(box, "placement"),
            "neutron": login(box, "neutron"),
            "keystone": login(box, "nova"),
            "cinder": {"catalog_info": "volumev3:cinderv3:publicURL"},
            "oslo_concurrency": {"lock_path": data / "lock"},
            "oslo_messaging_notifications": {"driver": "noop"},
            "filter_scheduler": {"track_instance_changes": False},
            "vnc": {"enabled": False},
            "spice": {"enabled": False},
        }
        paste = (box.python.parents[1] / "etc/nova/api-paste.ini").read_text()
        return {"nova/nova.conf": ini(conf), "nova/api-paste.ini": paste}

    def migrations(self, box: Box) -> tuple[Command, ...]:
        def nova(*arguments: str) -> Command:
            conf = str(box.etc / "nova/nova.conf")
            return box.manage("nova.cmd.manage:main", "--config-file", conf, *arguments)

        return (
            nova("api_db", "sync"),
            nova("cell_v2", "map_cell0", "--database_connection", box.database("nova_cell0")),
            nova("db", "sync"),
            nova(
                "cell_v2", "create_cell", "--name", "cell1",
                "--database_connection", box.database("nova"), "--transport-url", "fake://",
            ),
        )  # fmt: skip

    def adopt(self, box: Box) -> None:
        """Nova keeps where its cells' databases are in a table; the template was made elsewhere."""
        with closing(sqlite3.connect(box.folder / "db/nova_api.db")) as base, base:
            for cell, database in (("cell0", "nova_cell0"), ("cell1", "nova")):
                base.execute(
                    "UPDATE cell_mappings SET database_connection = ? WHERE name = ?",
                    (box.database(database), cell),
                )

    def command(self, box: Box) -> Command:
        env = {
            "OS_NOVA_CONFIG_DIR": str(box.etc / "nova"),
            "SANDBOX_COMPUTES": str(box.computes),
            "SANDBOX_WAIT_FOR": box.url("placement", "/") + " " + box.url("keystone", "/v3"),
        }
        return box.inside(
            "nova_all.py", "--port", str(box.ports["nova"]), "--threads", "16",
            "--access-log", str(box.access_log("nova")), env=env,
        )  # fmt: skip

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("nova", "compute", box.url("nova", "/v2.1")),)


SERVICE = Nova()
