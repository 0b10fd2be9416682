"""Records over TLS to a collector that shows a certificate and demands one: a real server, real certificates."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Optional

import pki
import pytest
from cryptography.x509 import load_pem_x509_certificate
from world import site

from osg_site_iaas.accounting.send import Direct, Fate, Outcome
from osg_site_iaas.accounting.settings import Collector, combine
from osg_site_iaas.errors import AccountingError
from osg_site_iaas.sandbox.collector.server import Collector as StandIn
from osg_site_iaas.sandbox.collector.server import Tls

RECORD = "<JobUsageRecord/>"


class Files(NamedTuple):
    """A host's certificate and key, and the authority's certificate."""

    certificate: Path
    key: Path
    authority: Path


def host(folder: Path, authority: pki.Holder, name: str = "collector", address: str = "127.0.0.1") -> Files:
    folder.mkdir(parents=True, exist_ok=True)
    made = pki.end_entity(f"{pki.ORG}/CN={name}.example.org", authority, hosts=[address])
    files = Files(*(folder / f"{name}-{part}.pem" for part in ("cert", "key", "ca")))
    files.certificate.write_bytes(pki.cert_pem(made.certificate))
    files.key.touch(mode=0o600)
    files.key.write_bytes(made.key_pem())
    files.authority.write_bytes(pki.cert_pem(authority.certificate))
    return files


def hashed(folder: Path, authority: Path) -> Path:
    """A folder of authorities as /etc/grid-security/certificates is one."""
    folder.mkdir()
    subject = load_pem_x509_certificate(authority.read_bytes()).subject
    (folder / f"{pki.new_hash(subject)}.0").write_bytes(authority.read_bytes())
    return folder


def send(address: str, probe: Files, authorities: Optional[Path]) -> Outcome:
    collector = Collector(
        address, ssl=True, certificate=probe.certificate, key=probe.key, authorities=authorities, timeout=60
    )
    with Direct(collector, "openstack:cloud.example.org", 100) as sender:
        return sender.send([RECORD], 0)


def test_a_host_certificate_is_shown_and_the_collectors_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, stranger = pki.ca(), pki.ca(f"{pki.ORG}/CN=Stranger")
    server, probe = host(tmp_path, ours), host(tmp_path, ours, "probe")
    forged = host(tmp_path, stranger, "forged")
    tls = Tls(server.certificate, server.key, client_ca=server.authority)
    with StandIn(tmp_path / "collector", tls=tls) as collector:
        assert send(collector.address, probe, server.authority) == Outcome(Fate.TAKEN)
        assert (
            send(collector.address, probe, hashed(tmp_path / "hashed", server.authority)).fate is Fate.TAKEN
        )
        # what the environment says of authorities is for others
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(forged.authority))
        assert send(collector.address, probe, server.authority).fate is Fate.TAKEN
        monkeypatch.delenv("REQUESTS_CA_BUNDLE")
        refused = send(collector.address, forged, server.authority)
        assert refused.fate is Fate.LATER
        unknown = send(collector.address, probe, forged.authority)
        assert unknown.fate is Fate.LATER
        assert unknown.words.startswith("TLS:")
        assert collector.store.stats()["Records"] == 3


def test_a_collector_of_another_name_gets_nothing(tmp_path: Path) -> None:
    ours = pki.ca()
    server, probe = host(tmp_path, ours, address="192.0.2.1"), host(tmp_path, ours, "probe")
    with StandIn(tmp_path / "collector", tls=Tls(server.certificate, server.key)) as collector:
        outcome = send(collector.address, probe, server.authority)
        assert outcome.fate is Fate.LATER
        assert "certificate is not valid for '127.0.0.1'" in outcome.words
        assert collector.store.stats()["Records"] == 0


def test_a_key_that_cannot_be_used_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    ours = pki.ca()
    probe = host(tmp_path, ours, "probe")
    with pytest.raises(AccountingError, match=r"cannot read .*none\.pem"):
        send("127.0.0.1:1", probe._replace(key=tmp_path / "none.pem"), None)
    other = host(tmp_path, ours, "other")
    with pytest.raises(AccountingError, match="do not belong together"):
        send("127.0.0.1:1", probe._replace(key=other.key), None)
    with pytest.raises(AccountingError, match="CertificateAuthorities"):
        send("127.0.0.1:1", probe, tmp_path / "nowhere")


def test_what_a_probe_config_says_of_tls(tmp_path: Path) -> None:
    settings = combine(
        site("plain.example.org:80"),
        {
            "UseSSL": "1", "SSLHost": "gracc.example.org:443", "SSLCollectorService": "/secure",
            "CertificateFile": "/etc/c.pem", "KeyFile": "/etc/k.pem", "CertificateAuthorities": str(tmp_path),
        },
        "ProbeConfig",
    )  # fmt: skip
    collector = settings.collector
    assert collector.url == "https://gracc.example.org:443/secure"
    assert (str(collector.certificate), str(collector.key)) == ("/etc/c.pem", "/etc/k.pem")
    assert collector.authorities == tmp_path
