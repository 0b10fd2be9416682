"""The sandbox's Keystone again, inside Apache: once with the door around it, once as it is behind mod_auth_openidc.

It is the sandbox's own Keystone in every byte, with a copy of its database and its keys. Apache runs as www-data where
the tests run as root, as it would; it may read what root may, for Keystone's code lies in root's home.
"""

from __future__ import annotations

import configparser
import contextlib
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import yaml

from osg_site_iaas.identity.assertion import JWKS_PATH
from tests.apache import as_apache, give_to_apache
from tests.interop.test_identity_fronts import APACHE, MODULES, ROOT, free_port, wait_for
from tests.sandbox.conftest import Cloud
from tests.sandbox.identity_fixtures import GridSite

# What docs/identity.md tells a site to write before a Keystone that stays as it is; a test holds the two together.
OIDC = """\
OIDCClaimPrefix OSG_SITE_
OIDCClaimDelimiter ;
OIDCPassClaimsAs environment
OIDCOAuthRemoteUserClaim sub
AuthType oauth20
"""
NEEDED = ("gridsite", "wsgi", "auth_openidc", "ssl")


@dataclass(frozen=True)
class Front(GridSite):
    """A site whose Keystone is reached at another address."""

    address: str = ""

    @property
    def url(self) -> str:
        return self.address


def at(site: GridSite, address: str) -> Front:
    """The same site, come to at ``address``."""
    return Front(**{name: getattr(site, name) for name in site.__dataclass_fields__}, address=address)


class Apache:
    """Apache with a real Keystone. ``wrapped`` and ``plain`` are addresses that end in /v3."""

    def __init__(self, cloud: Cloud, site: GridSite, folder: Path, door: str) -> None:
        self.folder = folder
        self.ports = {"wrapped": free_port(), "plain": free_port()}
        self._cloud, self._site, self._door = cloud, site, door

    def address(self, name: str) -> str:
        return f"https://localhost:{self.ports[name]}/v3"

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        self._copy_keystone()
        self._write()
        give_to_apache(self.folder)
        process = subprocess.Popen(
            [*as_apache(), "apache2", "-f", str(self.folder / "apache.conf"), "-DFOREGROUND"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            for port in self.ports.values():
                wait_for(port)
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _copy_keystone(self) -> None:
        """Its database as it is now, its keys and its configuration."""
        box = self._cloud.sandbox.box()
        shutil.copytree(box.etc / "keystone", self.folder / "etc")
        with (
            contextlib.closing(sqlite3.connect(box.folder / "db/keystone.db")) as theirs,
            contextlib.closing(sqlite3.connect(self.folder / "keystone.db")) as ours,
        ):
            theirs.backup(ours)
        conf = configparser.RawConfigParser()
        conf.read(self.folder / "etc/keystone.conf")
        # As Keystone has it unless told otherwise: a front that names a REMOTE_USER must do no harm.
        conf["auth"]["methods"] = f"external,{conf['auth']['methods']}"
        conf["database"]["connection"] = f"sqlite:///{self.folder}/keystone.db"
        for section, keys in (
            ("fernet_tokens", "fernet"), ("fernet_receipts", "fernet"), ("credential", "credential"),
        ):  # fmt: skip
            conf[section]["key_repository"] = str(self.folder / f"etc/{keys}-keys")
        with (self.folder / "etc/keystone.conf").open("w") as file:
            conf.write(file)

    def _write(self) -> None:
        common = (
            f"import os\nos.environ['OS_KEYSTONE_CONFIG_DIR'] = {str(self.folder / 'etc')!r}\n"
            f"os.environ['OSG_SITE_IAAS_IDENTITY'] = {str(self.folder / 'identity.yml')!r}\n"
            "from keystone.wsgi.api import application as keystone\n"
        )
        wrapped = "from osg_site_iaas.identity.middleware import wrap\napplication = wrap(keystone)\n"
        (self.folder / "wrapped.wsgi").write_text(common + wrapped)
        (self.folder / "plain.wsgi").write_text(common + "application = keystone\n")
        told = yaml.safe_load((self._cloud.sandbox.folder / "identity.yml").read_text())
        told.update(keys=str(self.folder / "keys"), logins=str(self.folder / "logins.sqlite"))
        (self.folder / "identity.yml").write_text(yaml.safe_dump(told))
        (self.folder / "apache.conf").write_text(self._configuration())

    def _configuration(self) -> str:
        f, pki = self.folder, self._cloud.pki
        # Not python-home: mod_wsgi has a Python of its own, of the same version.
        code = next(self._cloud.sandbox.box().python.parents[1].glob("lib/python3*/site-packages"))
        modules = ("mpm_event", "authz_core", "authn_core", "authz_user", "socache_shmcb", *reversed(NEEDED))
        grid, wsgi = APACHE.split("WSGIPassAuthorization On\n")
        oidc, location = OIDC.split("AuthType", 1)
        ids = f"{self._site.x509_provider}|{self._site.token_provider}"
        return f"""\
ServerRoot {f}
ServerName localhost
PidFile {f}/pid
DefaultRuntimeDir {f}
Mutex file:{f} default
ErrorLog {f}/error.log
LogLevel info auth_openidc:debug
{"".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so{chr(10)}" for name in modules)}
SSLSessionCache none
WSGISocketPrefix {f}/wsgi
Listen 127.0.0.1:{self.ports["wrapped"]}
Listen 127.0.0.1:{self.ports["plain"]}
<VirtualHost *:{self.ports["wrapped"]}>
SSLEngine on
SSLCertificateFile {pki}/host.pem
SSLCertificateKeyFile {pki}/host.key
SSLCACertificatePath {self._site.grid.certificates}
{grid}WSGIPassAuthorization On
WSGIDaemonProcess wrapped threads=4 python-path={code}:{ROOT}
WSGIProcessGroup wrapped
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {f}/wrapped.wsgi
<Location />
Require all granted
{wsgi}</Location>
</VirtualHost>
<VirtualHost *:{self.ports["plain"]}>
SSLEngine on
SSLCertificateFile {pki}/host.pem
SSLCertificateKeyFile {pki}/host.key
WSGIDaemonProcess plain threads=4 python-path={code}
WSGIProcessGroup plain
WSGIApplicationGroup %{{GLOBAL}}
WSGIScriptAlias / {f}/plain.wsgi
OIDCOAuthVerifyJwksUri {self._door}{JWKS_PATH}
OIDCCABundlePath {pki}/ca.pem
{oidc}
<Location />
Require all granted
</Location>
<LocationMatch "^/v3/OS-FEDERATION/identity_providers/({ids})/protocols/mapped/auth$">
AuthType{location}<RequireAll>
Require claim iss:{self.address("plain")}
Require claim aud:{self.address("plain")}
</RequireAll>
</LocationMatch>
</VirtualHost>
"""


def missing() -> str:
    """What is not installed here; empty if all is."""
    absent = [name for name in NEEDED if not (MODULES / f"mod_{name}.so").exists()]
    return ", ".join([*absent, *([] if shutil.which("apache2") else ["apache2"])])
