"""Swift: objects, with the S3 face; proxy, account, container and object server in one process."""

from __future__ import annotations

from osg_site_iaas.sandbox.model import REGION, Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Service, ini, login

PIPELINE = (
    "catch_errors gatekeeper healthcheck proxy-logging cache listing_formats container_sync bulk tempurl"
    " authtoken s3api s3token keystoneauth staticweb copy container-quotas account-quotas slo dlo"
    " versioned_writes symlink proxy-logging proxy-server"
)
OWN_NAME = {
    "container-quotas": "container_quotas",
    "account-quotas": "account_quotas",
    "proxy-logging": "proxy_logging",
}
PATIENCE = 60  # seconds for an answer of one server of Swift to another: a busy machine is no reason to fail
ELSEWHERE = {"authtoken", "cache", "proxy-server"}


class Swift(Service):
    """Needs nothing but its folder."""

    name = "swift"
    needs = ("keystone",)
    ports = ("swift", "swift-account", "swift-container", "swift-object")
    secrets = ("swift-hash",)

    def folders(self, box: Box) -> tuple[str, ...]:
        return ("swift/d1",)

    def files(self, box: Box) -> dict[str, str]:
        files = {
            "swift/swift.conf": ini(
                {
                    "swift-hash": {
                        "swift_hash_path_prefix": box.secrets["swift-hash"],
                        "swift_hash_path_suffix": box.secrets["swift-hash"],
                    },
                    "storage-policy:0": {"name": "sandbox", "default": "yes"},
                    # Tokens and S3 signatures of federated users can be long.
                    "swift-constraints": {"max_header_size": 16384},
                }
            ),
            "swift/proxy-server.conf": ini(self._proxy(box)),
        }
        for kind in ("account", "container", "object"):
            content: dict[str, dict[str, object]] = {
                "DEFAULT": {
                    **self._common(box, f"swift-{kind}"),
                    "devices": box.data / "swift",
                    "mount_check": False,
                },
                "pipeline:main": {"pipeline": f"{kind}-server"},
                f"app:{kind}-server": {"use": f"egg:swift#{kind}"},
                f"{kind}-replicator": {},
                f"{kind}-auditor": {},
            }
            if kind == "object":
                # A container that did not hear of an object in time hears of it from a daemon, which is not here.
                content["DEFAULT"]["container_update_timeout"] = PATIENCE
            files[f"swift/{kind}-server.conf"] = ini(content)
        return files

    def _common(self, box: Box, port: str) -> dict[str, object]:
        return {
            "bind_ip": "127.0.0.1",
            "bind_port": box.ports[port],
            "workers": 0,
            "swift_dir": box.etc / "swift",
            "conn_timeout": PATIENCE,
            "node_timeout": PATIENCE,
            "log_name": port,
            "log_level": "WARNING",
        }

    def _proxy(self, box: Box) -> dict[str, dict[str, object]]:
        user = login(box, "swift")
        filters: dict[str, dict[str, object]] = {
            f"filter:{name}": {"use": f"egg:swift#{OWN_NAME.get(name, name)}"}
            for name in PIPELINE.split()
            if name not in ELSEWHERE
        }
        filters["filter:s3api"].update(location=REGION, s3_acl=False, dns_compliant_bucket_names=False)
        filters["filter:s3token"].update(
            {
                **user,
                "auth_uri": box.url("keystone", "/v3"),
                "reseller_prefix": "AUTH_",
                "delay_auth_decision": True,
                "secret_cache_duration": 60,
            }
        )
        filters["filter:keystoneauth"].update(
            operator_roles="admin, manager, member",
            reseller_prefix="AUTH_",
            reseller_admin_role="ResellerAdmin",
        )
        filters["filter:versioned_writes"]["allow_object_versioning"] = True
        return {
            "DEFAULT": self._common(box, "swift"),
            "pipeline:main": {"pipeline": PIPELINE},
            "app:proxy-server": {
                "use": "egg:swift#proxy",
                "conn_timeout": PATIENCE,
                "node_timeout": PATIENCE,
                "account_autocreate": True,
                "allow_account_management": True,
                # A minute in a real Swift: tests of quotas would have to wait for it.
                "recheck_account_existence": 1,
                "recheck_container_existence": 1,
            },
            "filter:authtoken": {
                "paste.filter_factory": "keystonemiddleware.auth_token:filter_factory",
                "www_authenticate_uri": box.url("keystone", "/v3"),
                **user,
                "delay_auth_decision": True,
            },
            "filter:cache": {"paste.filter_factory": "swift_cache:filter_factory"},
            **filters,
        }

    def command(self, box: Box) -> Command:
        ports = [f"{kind}={box.ports[f'swift-{kind}']}" for kind in ("account", "container", "object")]
        return box.inside(
            "swift_all.py", "--conf", str(box.etc / "swift"), "--devices", str(box.data / "swift"),
            "--port", str(box.ports["swift"]), "--access-log", str(box.access_log("swift")), *ports,
        )  # fmt: skip

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("swift", "object-store", box.url("swift", "/v1/AUTH_%(project_id)s")),)

    def health(self, box: Box) -> str:
        return box.url("swift", "/healthcheck")


SERVICE = Swift()
