"""A site with two VOs in the sandbox, a grid that its door trusts, and members who come to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from keystoneauth1 import loading, session

from tests import pki, voms_ac
from tests.issuer import Issuer
from tests.sandbox_cloud import Cloud

ORG = "/DC=org/DC=sandbox"
SERVER = f"{ORG}/OU=Services/CN=voms.example.org"
CMS, PILOT = "/cms/Role=NULL/Capability=NULL", "/cms/Role=pilot/Capability=NULL"
AUDIENCE = "https://cloud.example.org"


@dataclass(frozen=True)
class GridSite:
    """What the tests need: names, addresses, and makers of credentials."""

    cloud: Cloud
    folder: Path
    tag: str  # in the names of all that is made, so that several can share a sandbox
    grid: pki.Grid
    ca: pki.Holder
    server: pki.Holder
    issuer: Issuer

    @property
    def url(self) -> str:
        """Keystone's TLS door."""
        return self.cloud.endpoints["keystone-tls"]

    @property
    def ca_file(self) -> str:
        return str(self.cloud.pki / "ca.pem")

    @property
    def x509_provider(self) -> str:
        return f"grid-{self.tag}"

    @property
    def token_provider(self) -> str:
        return f"igwn-{self.tag}"

    @property
    def domain(self) -> str:
        return f"osg-{self.tag}"

    @property
    def site_file(self) -> Path:
        return self.folder / "site.yml"

    def login_url(self, provider: str, base: str = "") -> str:
        return f"{base or self.url}/OS-FEDERATION/identity_providers/{provider}/protocols/mapped/auth"

    def user(self, name: str) -> pki.Holder:
        return pki.end_entity(f"{ORG}/OU=People/CN={name} {self.tag}", self.ca)

    def proxy(self, user: pki.Holder, *fqans: str, **made: Any) -> pki.Holder:
        """A VOMS proxy of cms, or a plain one without FQANs."""
        return voms_ac.voms_proxy(user, self.server, fqans, **made) if fqans else pki.proxy(user)

    def file(self, holder: pki.Holder) -> str:
        return str(holder.write(self.folder / f"proxy-{uuid.uuid4().hex[:8]}.pem"))

    def knock(self, holder: pki.Holder, provider: str = "", **more: Any) -> requests.Response:
        """One federated login, as plain https."""
        file = self.file(holder)
        url = self.login_url(provider or self.x509_provider)
        return requests.get(url, cert=(file, file), verify=self.ca_file, timeout=30, **more)

    def knock_with_token(self, token: str, **more: Any) -> requests.Response:
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        url = self.login_url(self.token_provider)
        return requests.post(url, headers=headers, verify=self.ca_file, timeout=30, **more)

    def session(self, plugin: str, vo: str = "cms", **options: Any) -> session.Session:
        """A keystoneauth session through one of our plugins, in the VO's project."""
        loader = loading.get_plugin_loader(plugin)
        auth = loader.load_from_options(
            auth_url=self.url, project_name=vo, project_domain_name=self.domain, **options
        )
        return session.Session(auth=auth, verify=self.ca_file)

    def proxy_session(self, holder: pki.Holder, vo: str = "cms") -> session.Session:
        return self.session(
            "v3gridproxy",
            vo,
            identity_provider=self.x509_provider,
            protocol="mapped",
            proxy=self.file(holder),
        )


def _declaration(tag: str, issuer: str, cloud: Cloud) -> dict[str, Any]:
    network = {"vo": "cms", "subnets": {f"cms-{tag}": {"cidr": "10.77.0.0/24"}}}
    return {
        "version": 1,
        "site": {"resource": "Example-Cloud", "fqdn": "cloud.example.org"},
        "cloud": {"name": "sandbox", "domain": f"osg-{tag}", "secrets": "secrets"},
        "identity_providers": {
            f"grid-{tag}": {"type": "x509", "authorization_ttl": 60},
            f"igwn-{tag}": {
                "type": "token", "remote_ids": [issuer], "audiences": [AUDIENCE], "authorization_ttl": 60,
            },
        },
        "networks": {f"cms-{tag}": network} if "neutron" in cloud.endpoints else {},
        "vos": {
            "cms": {
                "access": [
                    {"fqan": "/cms/Role=pilot/Capability=NULL", "role": "manager"},
                    {"fqan": "/cms/*"},
                    {"issuer": issuer, "group": "/cms"},
                ],
                "service_users": {"pilot": {"ec2_key": True}},
            },
            "ligo": {"access": [{"issuer": issuer, "scope": "compute.create", "subject": "ligo-pilot"}]},
        },
    }  # fmt: skip


def sandbox_ca(cloud: Cloud) -> pki.Holder:
    """The sandbox's own authority, with its key."""
    certificate = x509.load_pem_x509_certificate((cloud.pki / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((cloud.pki / "ca.key").read_bytes(), None)
    return pki.Holder(certificate, key)


def apply(cloud: Cloud, site: Path) -> str:
    """``osg-site-iaas apply``, as an administrator types it; what it printed."""
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml)}
    done = subprocess.run(
        [sys.executable, "-m", "osg_site_iaas", "apply", str(site), "--yes"],
        env=env, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextlib.contextmanager
def opened(cloud: Cloud, folder: Path, tag: str, issuer: Issuer) -> Iterator[GridSite]:
    """The site applied, and its door open; both are gone afterwards."""
    authority = sandbox_ca(cloud)
    grid = pki.Grid(folder)
    grid.trust(authority, f"{ORG}/*")
    server = pki.end_entity(SERVER, authority, hosts=["voms.example.org"])
    grid.lsc("cms", SERVER, authority.dn)
    site = GridSite(cloud, folder, tag, grid, authority, server, issuer)
    site.site_file.write_text(yaml.safe_dump(_declaration(tag, issuer.url, cloud), sort_keys=False))
    _roles(cloud)
    apply(cloud, site.site_file)
    settings = {
        "site": str(site.site_file), "certificates": str(grid.certificates), "vomsdir": str(grid.vomsdir),
        "hosts": ["localhost"], "issuer_ca": str(issuer.ca_file), "recheck": 0,
        "keys": str(folder / "keys"), "logins": str(folder / "logins.sqlite"),
    }  # fmt: skip
    file = cloud.sandbox.folder / "identity.yml"
    file.write_text(yaml.safe_dump(settings))
    try:
        yield site
    finally:
        file.unlink()
        _remove(site)


@pytest.fixture(scope="module")
def grid_site(cloud: Cloud) -> Iterator[GridSite]:
    """One for each module, since the sandbox has one door; in the sandbox's folder, which every release can see."""
    tag = uuid.uuid4().hex[:6]
    folder = cloud.sandbox.folder / f"grid-{tag}"
    folder.mkdir(mode=0o700)
    try:
        with Issuer(folder) as issuer, opened(cloud, folder, tag, issuer) as site:
            yield site
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _roles(cloud: Cloud) -> None:
    """An older Keystone has no manager; the tests use it as a role that differs from member."""
    admin = cloud.connect()
    if admin.identity.find_role("manager") is None:
        admin.identity.create_role(name="manager")
    admin.close()


def _remove(site: GridSite) -> None:
    """What ``apply`` made: providers and mappings have no domain whose end would be theirs."""
    admin = site.cloud.connect()
    for provider in (site.x509_provider, site.token_provider):
        admin.identity.delete(f"/OS-FEDERATION/identity_providers/{provider}")
        admin.identity.delete(f"/OS-FEDERATION/mappings/osg-site-iaas-{provider}")
    for domain in admin.identity.domains(name=site.domain):
        admin.identity.update_domain(domain, is_enabled=False)
        admin.identity.delete_domain(domain)
    admin.close()
