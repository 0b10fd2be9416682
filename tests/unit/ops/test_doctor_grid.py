"""Certificates, authorities and revocation lists on a host, good and bad, as the doctor sees them."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import http.server
import os
import socketserver
import threading
from pathlib import Path
from typing import Iterator

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.identity.watch import Counters, serve_status
from osg_site_iaas.ops import doctor
from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, Finding, Result
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.subject import Subject
from tests import pki
from tests.issuer import Issuer
from tests.serving import over_tls

DAY = dt.timedelta(days=1)
SITE = """\
version: 1
site: {resource: Example-Cloud, fqdn: cloud.example.org}
cloud: {name: nowhere}
vos: {cms: {access: [{fqan: /cms/*}]}}
"""


class Host:
    """A host's folders, with a good certificate, a CA and its list to begin with."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(folder / "etc", folder / "state", folder / "grid", folder / "ProbeConfig")
        for path in (self.places.etc, self.places.state, self.places.grid):
            path.mkdir()
        (self.places.etc / "site.yml").write_text(SITE)
        self.ca = pki.ca("/DC=org/DC=example/CN=CA", end=400 * DAY)
        self.grid = pki.Grid(self.places.grid)
        self.grid.trust(self.ca)
        self.grid.revoke(self.ca)
        self.places.identity.write_text(f"certificates: {self.grid.certificates}\n")
        self.certificate()

    def certificate(self, host: str = "cloud.example.org", **made: dt.timedelta) -> None:
        holder = pki.end_entity(
            f"/DC=org/DC=example/CN={host}", self.ca, hosts=[host], **{"end": 60 * DAY, **made}
        )
        (self.places.grid / "hostcert.pem").write_bytes(pki.cert_pem(holder.certificate))
        (self.places.grid / "hostkey.pem").write_bytes(holder.key_pem())
        (self.places.grid / "hostkey.pem").chmod(0o600)

    @property
    def subject(self) -> Subject:
        return Subject(self.places.etc / "site.yml", self.places, dt.datetime.now(dt.timezone.utc))

    def look(self, check: str) -> Result:
        (result,) = doctor.examine(self.subject, [check])
        return result

    def says(self, check: str) -> str:
        result = self.look(check)
        assert result.state == FOUND
        assert all(one.todo for one in result.findings)
        return " | ".join(one.what for one in result.findings)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("check", ["declaration", "certificates", "authorities", "revocation"])
def test_a_good_host_has_no_findings(host: Host, check: str) -> None:
    assert host.look(check).state == OK


def test_a_host_certificate_that_expired_or_soon_will_is_found(host: Host) -> None:
    host.certificate(start=-30 * DAY, end=-3 * DAY)
    assert "the host's certificate expired 3 days ago" in host.says("certificates")
    host.certificate(end=5 * DAY + dt.timedelta(hours=1))
    assert "expires in 5 days" in host.says("certificates")
    host.certificate(start=DAY)
    assert "is not valid before" in host.says("certificates")


def test_a_host_certificate_for_another_name_or_with_another_key_is_found(host: Host) -> None:
    host.certificate("other.example.org")
    assert "it is for other.example.org, and the site is cloud.example.org" in host.says("certificates")
    host.certificate()
    stranger = pki.end_entity("/DC=org/DC=example/CN=x", host.ca)
    (host.places.grid / "hostkey.pem").write_bytes(stranger.key_pem())
    assert "the key is not the certificate's" in host.says("certificates")


def test_a_list_of_revocations_that_ended_or_cannot_be_read_shuts_people_out_and_is_found(host: Host) -> None:
    host.grid.revoke(host.ca, start=-9 * DAY, end=-2 * DAY - dt.timedelta(hours=1))
    assert "ended 2 days ago: nobody of it gets in" in host.says("revocation")
    host.grid.revoke(host.ca, end=dt.timedelta(hours=3, minutes=5))
    assert "ends in 3 hours" in host.says("revocation")
    for stem in host.grid.stems(host.ca):
        (host.grid.certificates / f"{stem}.r0").write_text("not a list")
    assert "cannot be read" in host.says("revocation")


def test_a_missing_list_is_found_only_where_the_site_wants_one(host: Host) -> None:
    for stem in host.grid.stems(host.ca):
        (host.grid.certificates / f"{stem}.r0").unlink()
    assert host.look("revocation").state == OK
    host.places.identity.write_text(f"certificates: {host.grid.certificates}\nrequire_crl: true\n")
    assert "has no revocation list, and require_crl is set" in host.says("revocation")


def test_a_ca_that_expired_or_lacks_its_policy_is_found(host: Host) -> None:
    old = pki.ca("/DC=org/DC=old/CN=CA", start=-9 * DAY, end=-DAY * 3)
    host.grid.trust(old, policy="")
    said = host.says("authorities")
    assert "expired 3 days ago" in said
    assert "has no signing policy" in said


def test_what_a_host_does_not_have_is_skipped_and_said(host: Host) -> None:
    host.places.identity.unlink()
    (host.places.grid / "hostcert.pem").unlink()
    for check in ("certificates", "authorities", "revocation", "front", "ec2", "metadata", "drift"):
        result = host.look(check)
        assert (result.state, bool(result.said)) == (SKIPPED, True), check


def test_a_declaration_that_is_wrong_is_found_line_by_line_and_skips_what_needs_it(host: Host) -> None:
    (host.places.etc / "site.yml").write_text(SITE.replace("resource", "resuorce"))
    result = host.look("declaration")
    assert any("resuorce" in one.what or "resource" in one.what for one in result.findings)
    assert host.look("quotas").said == "site.yml cannot be used: see `declaration`"


def test_a_secret_that_others_may_read_is_found(host: Host) -> None:
    host.places.secrets.mkdir(mode=0o700)
    (host.places.secrets / "metadata").write_text("x" * 20)
    (host.places.secrets / "metadata").chmod(0o640)
    (finding,) = host.look("secrets").findings
    assert finding.todo == f"chmod 0600 {host.places.secrets / 'metadata'}"
    (host.places.secrets / "metadata").chmod(0o600)
    assert host.look("secrets").state == OK
    (host.places.secrets / "below").mkdir(mode=0o700)
    (host.places.secrets / "below/key").touch(0o644)
    (host.places.grid / "hostkey.pem").chmod(0o640)
    (host.places.secrets / "gone").symlink_to(host.places.secrets / "nowhere")
    found = {one.where: one.what for one in host.look("secrets").findings}
    assert found == {
        str(host.places.secrets / "below/key"): "has mode 0644: others may read it",
        str(host.places.grid / "hostkey.pem"): "has mode 0640: others may read it",
        str(host.places.secrets / "gone"): "it leads to nothing",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_secret_of_somebody_else_is_found(host: Host) -> None:
    host.places.secrets.mkdir(mode=0o700)
    (host.places.secrets / "metadata").touch(0o600)
    os.chown(host.places.secrets / "metadata", 65534, -1)
    assert "belongs to nobody, who may read it" in host.says("secrets")


def test_a_check_that_fails_is_a_finding_and_the_others_are_made(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: Subject) -> Iterator[Finding]:
        raise ZeroDivisionError("by\x1b[2J zero")

    monkeypatch.setitem(doctor.TABLE, "disk", fails)  # type: ignore[arg-type]
    results = {
        result.check: result for result in doctor.examine(host.subject, ["declaration", "disk", "secrets"])
    }
    assert results["declaration"].state == OK
    assert "could not be examined: ZeroDivisionError: by\\x1b[2J zero" in results["disk"].findings[0].what


def test_what_could_not_be_examined_is_not_called_well(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--etc",
        str(host.places.etc),
        "--state",
        str(host.places.state),
        "--grid",
        str(host.places.grid),
    ]
    words += ["--probe-config", str(host.places.probe_config)]
    assert main(["doctor", "/nope/site.yml", *words, "--only", "quotas", "front"]) == 1
    assert "0 checks made, 1 skipped, 1 could not be made: no findings" in capsys.readouterr().out


def test_an_expired_certificate_above_the_hosts_own_is_found(host: Host) -> None:
    file = host.places.grid / "hostcert.pem"
    old = pki.ca("/DC=org/DC=old/CN=Intermediate", start=-9 * DAY, end=-3 * DAY)
    file.write_bytes(file.read_bytes() + pki.cert_pem(old.certificate))
    assert "CN=Intermediate,DC=old,DC=org, which stands above it in the file, expired 3 days" in host.says(
        "certificates"
    )


def test_an_issuer_whose_keys_are_not_to_be_had_is_found(host: Host, tmp_path: Path) -> None:
    assert host.look("issuers").state == SKIPPED  # nobody is let in by token
    with Issuer(tmp_path) as issuer:
        access = f"{{issuer: '{issuer.url}', group: /cms}}"
        providers = f"identity_providers: {{igwn: {{type: token, remote_ids: ['{issuer.url}']}}}}\n"
        (host.places.etc / "site.yml").write_text(SITE.replace("{fqan: /cms/*}", access) + providers)
        host.places.identity.write_text(
            f"certificates: {host.grid.certificates}\nissuer_ca: {issuer.ca_file}\n"
        )
        assert host.look("issuers").state == OK
    assert "its keys cannot be fetched" in host.says("issuers")


def test_a_metadata_door_is_looked_for_only_where_one_is_meant_to_run(host: Host, tmp_path: Path) -> None:
    # options say nothing: a role may have left them, and nothing starts by them
    (host.places.etc / "metadata.env").write_text("OPTIONS=--bind 127.0.0.1:9\n")
    host.places = dataclasses.replace(host.places, enabled=tmp_path / "wants")
    assert host.look("metadata").state == SKIPPED
    host.places.enabled.mkdir()
    (host.places.enabled / "osg-site-iaas-metadata.service").touch()
    assert "does not answer" in host.says("metadata")
    (host.places.enabled / "osg-site-iaas-metadata.service").unlink()
    host.places.clouds.mkdir()
    (host.places.clouds / "metadata.yaml").touch(0o600)
    assert "does not answer" in host.says("metadata")


def test_a_metadata_door_in_the_place_of_neutrons_agent_is_asked_at_its_socket(
    host: Host, tmp_path: Path
) -> None:
    file = tmp_path / "metadata_proxy"
    host.places.clouds.mkdir()
    (host.places.clouds / "metadata.yaml").touch(0o600)
    (host.places.etc / "metadata.env").write_text(f"OPTIONS=--region here --socket {file} --tags\n")
    assert "does not answer" in host.says("metadata")

    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/health" else 404)
            self.end_headers()

        def address_string(self) -> str:
            return "socket"

    with socketserver.UnixStreamServer(str(file), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            assert host.look("metadata").state == OK
        finally:
            server.shutdown()
    assert "does not answer" in host.says("metadata")


@contextlib.contextmanager
def tls(host: Host) -> Iterator[int]:
    """Somebody who shows the host's certificate as it is now."""
    with over_tls(host.places.grid / "hostcert.pem", host.places.grid / "hostkey.pem") as port:
        yield port


def test_the_front_says_itself_what_keeps_credentials_out(host: Host) -> None:
    wrong: list[str] = []
    server = serve_status("127.0.0.1:0", Counters(), lambda: wrong[0] if wrong else None)
    env = host.places.etc / "front.env"
    status = f"--status 127.0.0.1:{server.server_address[1]}"
    try:
        with tls(host) as port:
            env.write_text(f'OPTIONS="--address 127.0.0.1 --port {port} {status}"\n')
            assert host.look("front").state == OK
            host.certificate()  # renewed, and nothing was restarted
            assert "shows another certificate than" in host.says("front")
            wrong.append("no CA can be read")
            assert "cannot let grid credentials in: no CA can be read" in host.says("front")
        assert "takes no connection by TLS" in host.says("front")
    finally:
        server.shutdown()
        server.server_close()
    assert "does not answer" in host.says("front")
