"""Cinder: volumes and snapshots, kept as sparse files; API, scheduler and volume service in one process."""

from __future__ import annotations

from osg_site_iaas.sandbox.model import Box, Command, Endpoint
from osg_site_iaas.sandbox.service import HOUR_S, Ini, Service, authtoken, ini, login


class Cinder(Service):
    """Serves v3, listed under both the old and the new name of its type."""

    name = "cinder"
    needs = ("keystone", "glance")
    ports = ("cinder",)
    databases = ("cinder",)

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("cinder/lock", "cinder/volumes")

    def files(self, box: Box) -> dict[str, str]:
        data = box.data / "cinder"
        share = box.python.parents[1] / "etc/cinder"
        conf: Ini = {
            "DEFAULT": {
                "use_stderr": True,
                "state_path": data,
                "host": "sandbox",
                "my_ip": "127.0.0.1",
                "auth_strategy": "keystone",
                "transport_url": "fake://",
                "enabled_backends": "files",
                "default_volume_type": "__DEFAULT__",
                "glance_api_servers": box.url("glance"),
                "image_conversion_dir": data / "conversion",
                "api_paste_config": share / "api-paste.ini",
                "resource_query_filters_file": share / "resource_filters.json",
                "report_interval": 60,
                "service_down_time": 10 * HOUR_S,
                "periodic_interval": 600,
                "periodic_fuzzy_delay": 0,
                # The scheduler would wait this long for the volume service, which starts after it: a minute.
                "scheduler_driver_init_wait_time": 1,
            },
            "files": {"volume_driver": "cinder_files.FilesDriver", "volume_backend_name": "files"},
            "database": {"connection": box.database("cinder")},
            "keystone_authtoken": authtoken(box, "cinder"),
            "service_user": {**login(box, "cinder"), "send_service_user_token": True},
            "nova": login(box, "nova") if "nova" in box.services else {},
            "oslo_concurrency": {"lock_path": data / "lock"},
            "oslo_messaging_notifications": {"driver": "noop"},
            "coordination": {"backend_url": f"file://{data}/coordination"},
        }
        return {"cinder/cinder.conf": ini(conf)}

    def migrations(self, box: Box) -> tuple[Command, ...]:
        conf = str(box.etc / "cinder/cinder.conf")
        return (box.manage("cinder.cmd.manage:main", "--config-file", conf, "db", "sync"),)

    def command(self, box: Box) -> Command:
        return box.inside(
            "cinder_all.py", "--conf", str(box.etc / "cinder/cinder.conf"), "--port", str(box.ports["cinder"]),
            "--threads", "8", "--access-log", str(box.access_log("cinder")),
        )  # fmt: skip

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        url = box.url("cinder", "/v3")
        return (Endpoint("cinder", "block-storage", url), Endpoint("cinderv3", "volumev3", url))

    def health(self, box: Box) -> str:
        return box.url("cinder", "/healthcheck")


SERVICE = Cinder()
