"""Neutron: networks and ports that are bound at once, with no agent behind them."""

from __future__ import annotations

from osg_site_iaas.sandbox.model import Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Ini, Service, authtoken, ini

# Neutron finds its drivers by entry point; this is the smallest installed distribution that has one.
_METADATA = "Metadata-Version: 2.1\nName: osg-sandbox-neutron\nVersion: 1\n"
_ENTRY_POINTS = ini({"neutron.ml2.mechanism_drivers": {"bindall": "neutron_bind:BindAll"}})


class Neutron(Service):
    """Knows local and flat networks, routers and security groups."""

    name = "neutron"
    needs = ("keystone",)
    ports = ("neutron",)
    databases = ("neutron",)

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("neutron/lock",)

    def files(self, box: Box) -> dict[str, str]:
        data = box.data / "neutron"
        conf: Ini = {
            "DEFAULT": {
                "use_stderr": True,
                "state_path": data,
                "core_plugin": "ml2",
                "service_plugins": "router",
                "transport_url": "fake://",
                "rpc_workers": 0,
                "notify_nova_on_port_status_changes": False,
                "notify_nova_on_port_data_changes": False,
                "dhcp_agent_notification": False,
                "api_paste_config": box.python.parents[1] / "etc/neutron/api-paste.ini",
                "auth_strategy": "keystone",
                "max_allowed_address_pair": 50,
            },
            "database": {"connection": box.database("neutron")},
            "keystone_authtoken": authtoken(box, "neutron"),
            "oslo_concurrency": {"lock_path": data / "lock"},
            "ml2": {
                "type_drivers": "local,flat",
                "tenant_network_types": "local",
                "mechanism_drivers": "bindall",
                "extension_drivers": "port_security",
            },
            "ml2_type_flat": {"flat_networks": "*"},
            "securitygroup": {"enable_security_group": True},
        }
        return {
            "neutron/neutron.conf": ini(conf),
            "neutron/path/osg_sandbox_neutron-1.dist-info/METADATA": _METADATA,
            "neutron/path/osg_sandbox_neutron-1.dist-info/entry_points.txt": _ENTRY_POINTS,
        }

    def migrations(self, box: Box) -> tuple[Command, ...]:
        conf = str(box.etc / "neutron/neutron.conf")
        return (
            box.inside("neutron_schema.py", box.database("neutron")),
            box.manage("neutron.db.migration.cli:main", "--config-file", conf, "stamp", "heads"),
        )

    def command(self, box: Box) -> Command:
        env = {
            "OS_NEUTRON_CONFIG_DIR": str(box.etc / "neutron"),
            "OS_NEUTRON_CONFIG_FILES": "neutron.conf",
            "PYTHONPATH": str(box.etc / "neutron/path"),
        }
        # One thread, as for Placement.
        return box.serve("neutron", "neutron_app:application", threads=1, env=env)

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("neutron", "network", box.url("neutron")),)


SERVICE = Neutron()
