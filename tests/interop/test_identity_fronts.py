"""Every TLS front that docs/identity.md names: what gets through to the middleware, and what does not."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
import requests
import yaml

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import front
from osg_site_iaas.identity.middleware import GridIdentity
from tests import pki
from tests.apache import as_apache, give_to_apache
from tests.interop.identity_echo import echo
from tests.unit.identity import test_chain, test_voms
from tests.unit.identity.conftest import JANE, World, make_world
from tests.voms_ac import voms_proxy

ROOT = Path(__file__).parents[2]
MODULES = Path("/usr/lib/apache2/modules")
LOGIN = "/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"
PLAIN = "/cms/Role=NULL/Capability=NULL"
# What docs/identity.md tells a site to write; the test below holds the two together.
APACHE = """\
SSLVerifyClient optional
SSLVerifyDepth 10
SSLSessionTickets off
SSLOptions +StdEnvVars +ExportCertData
WSGIPassAuthorization On
GridSiteAuth off
"""


@dataclass(frozen=True)
class Front:
    """A running front, and the grid that it trusts."""

    url: str
    world: World
    root: Path
    older: pki.Holder  # a CA without key identifiers, trusted from the start

    def ask(self, holder: pki.Holder | None, **more: Any) -> requests.Response:
        file = None
        if holder is not None:
            file = str(holder.write(self.root / f"{time.monotonic_ns()}.pem"))
        return requests.get(
            self.url + LOGIN,
            cert=(file, file) if file else None,
            verify=str(self.root / "ca.pem"),
            timeout=30,
            **more,
        )


def prepare(root: Path) -> tuple[World, front.Files, pki.Holder]:
    world = make_world(root)
    older = pki.ca(f"{pki.ORG}/CN=Older CA", identifiers=False)
    world.grid.trust(older)
    host = pki.end_entity(f"{pki.ORG}/CN=localhost", world.ca, hosts=["localhost", "127.0.0.1"])
    (root / "host.pem").write_bytes(pki.cert_pem(host.certificate))
    (root / "host.key").write_bytes(host.key_pem())
    (root / "ca.pem").write_bytes(pki.cert_pem(world.ca.certificate))
    site = {
        "version": 1, "site": {"resource": "X", "fqdn": "cloud.example.org"}, "cloud": {"name": "x"},
        "vos": {"cms": {"access": [{"fqan": "/cms/*"}]}},
    }  # fmt: skip
    (root / "site.yml").write_text(yaml.safe_dump(site))
    directories = {"certificates": str(world.grid.certificates), "vomsdir": str(world.grid.vomsdir)}
    (root / "identity.yml").write_text(
        yaml.safe_dump({**directories, "keys": None, "logins": None, "recheck": 0})
    )
    return world, front.Files(root / "host.pem", root / "host.key", world.grid.certificates), older


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise AssertionError("the front does not listen")


def python_front(root: Path) -> Iterator[Front]:
    world, files, older = prepare(root)
    if sys.version_info < (3, 10):
        with pytest.raises(SiteError) as said:
            front.context(files)
        pytest.skip(str(said.value))
    port = free_port()
    server = front.server(GridIdentity(echo, root / "identity.yml"), "127.0.0.1", port, files, threads=4)
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    wait_for(port)
    yield Front(f"https://localhost:{port}", world, root, older)
    server.stop()
    thread.join(20)


def apache_front(root: Path) -> Iterator[Front]:
    if not shutil.which("apache2") or not (MODULES / "mod_gridsite.so").exists():
        pytest.skip("apache2 with mod_gridsite and mod_wsgi is not installed")
    here = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    if not (MODULES / "mod_wsgi.so").exists() or here.encode() not in (MODULES / "mod_wsgi.so").read_bytes():
        pytest.skip(f"there is no mod_wsgi for {here}")
    world, files, older = prepare(root)
    root.chmod(0o755)
    port = free_port()
    more = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    libraries = ":".join([str(ROOT), sysconfig.get_paths()["purelib"], *more])
    (root / "app.wsgi").write_text(
        "from pathlib import Path\nfrom osg_site_iaas.identity.middleware import GridIdentity\n"
        "from tests.interop.identity_echo import echo\n"
        f"application = GridIdentity(echo, Path({str(root / 'identity.yml')!r}))\n"
    )
    server, location = APACHE.rsplit("GridSiteAuth", 1)
    modules = ("mpm_event", "authz_core", "socache_shmcb", "ssl", "wsgi", "gridsite")
    (root / "apache.conf").write_text(
        f"ServerRoot {root}\nServerName localhost\nPidFile {root}/pid\nDefaultRuntimeDir {root}\n"
        f"Mutex file:{root} default\nErrorLog {root}/error.log\nListen 127.0.0.1:{port}\n"
        + "".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so\n" for name in modules)
        + f"SSLSessionCache none\nWSGISocketPrefix {root}/wsgi\n"
        + f"<VirtualHost *:{port}>\nSSLEngine on\nSSLCertificateFile {files.certificate}\n"
        + f"SSLCertificateKeyFile {files.key}\nSSLCACertificatePath {files.authorities}\n{server}"
        + f"WSGIDaemonProcess grid threads=4 python-path={libraries}\nWSGIProcessGroup grid\n"
        + f"WSGIApplicationGroup %{{GLOBAL}}\nWSGIScriptAlias / {root}/app.wsgi\n"
        + f"<Location />\nRequire all granted\nGridSiteAuth{location}</Location>\n</VirtualHost>\n"
    )
    give_to_apache(root)
    command = [*as_apache(), "apache2", "-f", str(root / "apache.conf"), "-DFOREGROUND"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        yield Front(f"https://localhost:{port}", world, root, older)
    finally:
        process.terminate()
        process.wait(30)
        print((root / "error.log").read_text()[-4000:])  # shown where a test has failed


@pytest.fixture(scope="module", params=["python", "apache"])
def tls(request: pytest.FixtureRequest) -> Iterator[Front]:
    # Not pytest's own folder: Apache's user must be able to read it.
    root = Path(tempfile.mkdtemp(prefix="grid-front-"))
    try:
        yield from (python_front if request.param == "python" else apache_front)(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_a_voms_proxy_gets_through_with_its_identity(tls: Front) -> None:
    for holder in (
        voms_proxy(tls.world.jane, tls.world.server, [PLAIN]),
        pki.proxy(voms_proxy(tls.world.jane, tls.world.server, [PLAIN])),
    ):
        answer = tls.ask(holder)
        assert answer.status_code == 201, answer.text
        assert (answer.json()["OSG_SITE_USER"], answer.json()["OSG_SITE_VO"]) == (JANE, "cms")


def test_a_ca_without_key_identifiers_is_taken_on_every_python(tls: Front) -> None:
    """Python 3.13's default contexts refuse it (ssl.VERIFY_X509_STRICT)."""
    user = pki.end_entity(f"{pki.ORG}/CN=Older User", tls.older, identifiers=False)
    assert tls.ask(voms_proxy(user, tls.world.server, [PLAIN])).status_code == 201


def refused(answer: Any) -> bool:
    """Whether nobody got in: TLS ended, or the middleware said no."""
    try:
        found = answer()
    except requests.exceptions.ConnectionError:
        return True
    return found.status_code == 401 and "\n" not in found.json()["error"]["message"]


@pytest.mark.parametrize("case", test_chain.REFUSED)
def test_no_bad_chain_gets_through(case: str, tls: Front) -> None:
    assert refused(lambda: tls.ask(test_chain.REFUSED[case][0](tls.world)))


# Those that change the grid itself are put to the middleware alone.
_CHANGES = {"revoked server", "another host of the VO", "stolen, with the serial number of another CA"}


@pytest.mark.parametrize("case", sorted(set(test_voms.REFUSED) - _CHANGES))
def test_no_bad_attributes_get_through(case: str, tls: Front) -> None:
    assert refused(lambda: tls.ask(test_voms.REFUSED[case][0](tls.world)))


def test_a_limited_proxy_does_not_get_through(tls: Front) -> None:
    holder = pki.proxy(voms_proxy(tls.world.jane, tls.world.server, [PLAIN]), policy=pki.LIMITED)
    assert "limited" in tls.ask(holder).json()["error"]["message"]


@pytest.mark.parametrize("holder", ["none", "plain"])
def test_headers_make_nobody(holder: str, tls: Front) -> None:
    names = {
        "OSG_SITE_USER": "/CN=admin", "OSG_SITE_GROUPS": "cms-member", "OSG_SITE_IDP": "grid",
        "SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_S_DN": JANE, "REMOTE_USER": JANE,
        "SSL_CLIENT_CERT": pki.cert_pem(tls.world.jane.certificate).decode().replace("\n", " "),
        "GRST_CRED_AURI_0": f"dn:{JANE}", "GRST_VOMS_FQANS": PLAIN,
    }  # fmt: skip
    headers = {**names, **{name.replace("_", "-"): value for name, value in names.items()}}
    who = None if holder == "none" else pki.proxy(tls.world.jane)
    assert tls.ask(who, headers=headers).status_code == 401


def test_a_revoked_user_is_refused_without_a_restart(tls: Front) -> None:
    user = pki.end_entity(f"{pki.ORG}/CN=Soon Revoked", tls.world.ca)
    holder = voms_proxy(user, tls.world.server, [PLAIN])
    assert tls.ask(holder).status_code == 201
    try:
        tls.world.grid.revoke(tls.world.ca, [user.certificate.serial_number])
        assert "revoked" in tls.ask(holder).json()["error"]["message"]
    finally:
        tls.world.grid.revoke(tls.world.ca)


def test_the_python_front_takes_up_a_new_ca_without_a_restart(tls: Front) -> None:
    if any(tls.root.glob("apache.conf")):
        pytest.skip("OpenSSL inside Apache looks into the folder itself")
    other = pki.ca(f"{pki.ORG}/CN=New CA {os.getpid()}")
    holder = voms_proxy(pki.end_entity(f"{pki.ORG}/CN=New User", other), tls.world.server, [PLAIN])
    assert refused(lambda: tls.ask(holder))
    tls.world.grid.trust(other)
    time.sleep(5.5)  # the front looks at the folder every five seconds
    assert tls.ask(holder).status_code == 201


def test_the_documented_directives_are_those_tested() -> None:
    text = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
    for directive in APACHE.splitlines():
        assert directive in text
