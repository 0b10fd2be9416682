"""Keystone: identity, on HTTP and on TLS with client certificates. One process, so that its cache is true."""

from __future__ import annotations

import json
from pathlib import Path

from osg_site_iaas.sandbox.model import REGION, Box, Command, Endpoint
from osg_site_iaas.sandbox.service import Ini, Service, choose, ini, registry

TOKEN_SECONDS = 12 * 3600
# Where osg_site_iaas itself is imported from: the wrapper is usually a part of it.
PACKAGE_PATH = Path(__file__).parents[3]
# Grid logins: the product's own door, as soon as there is an identity.yml in the sandbox's folder.
GRID_DOOR = "osg_site_iaas.identity.middleware:wrap_when_configured"


class Keystone(Service):
    """Everything else logs in here."""

    name = "keystone"
    ports = ("keystone", "keystone-tls")
    secrets = ("admin", "fernet-0", "fernet-1", "credential-0", "credential-1")
    has_user = False
    databases = ("keystone",)

    def files(self, box: Box) -> dict[str, str]:
        conf: Ini = {
            "DEFAULT": {"log_file": "", "use_stderr": True, "public_endpoint": box.url("keystone")},
            "database": {"connection": box.database("keystone")},
            "token": {"provider": "fernet", "expiration": TOKEN_SECONDS},
            "fernet_tokens": {"key_repository": box.etc / "keystone/fernet-keys"},
            "fernet_receipts": {"key_repository": box.etc / "keystone/fernet-keys"},
            "credential": {"key_repository": box.etc / "keystone/credential-keys"},
            "cache": {"enabled": True, "backend": "oslo_cache.dict", "expiration_time": 300},
            # Logins are frequent in tests and the passwords are random: cheap hashes take nothing from them.
            "identity": {"password_hash_algorithm": "bcrypt", "password_hash_rounds": 4},
            "auth": {"methods": "password,token,application_credential,mapped,ec2credential"},
        }
        files = {
            "keystone/keystone.conf": ini(conf),
            "keystone/seed.json": json.dumps(self.seed(box), indent=1),
        }
        for kind in ("fernet", "credential"):
            for number in "01":
                files[f"keystone/{kind}-keys/{number}"] = box.secrets[f"{kind}-{number}"]
        return files

    def seed(self, box: Box) -> dict[str, object]:
        """What Keystone holds before anybody uses it: service users, roles and the catalogue."""
        services = choose(box.services, registry())
        return {
            "region": REGION,
            "admin_password": box.secrets["admin"],
            "roles": ["service", "ResellerAdmin"],
            "users": {s.name: box.secrets[s.name] for s in services if s.has_user},
            "endpoints": [vars(e) for s in services for e in s.endpoints(box)],
        }

    def migrations(self, box: Box) -> tuple[Command, ...]:
        conf = str(box.etc / "keystone/keystone.conf")
        return (box.manage("keystone.cmd.manage:main", "--config-file", conf, "db_sync"),)

    def command(self, box: Box) -> Command:
        pki = box.pki
        more: tuple[str, ...] = (
            "--tls-port", str(box.ports["keystone-tls"]), "--cert", str(pki / "host.pem"),
            "--key", str(pki / "host.key"), "--ca", str(pki / "ca.pem"),
            "--wrap", box.wrapper or GRID_DOOR, "--wrap-path", str(PACKAGE_PATH),
        )  # fmt: skip
        env = {
            "OS_KEYSTONE_CONFIG_DIR": str(box.etc / "keystone"),
            "SANDBOX_SEED": str(box.etc / "keystone/seed.json"),
            "OSG_SITE_IAAS_IDENTITY": str(box.folder / "identity.yml"),
            **box.wrapper_env,
        }
        return box.serve("keystone", "keystone_app:application", threads=8, env=env, more=more)

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        return (Endpoint("keystone", "identity", box.url("keystone", "/v3")),)

    def health(self, box: Box) -> str:
        return box.url("keystone", "/v3")


SERVICE = Keystone()
