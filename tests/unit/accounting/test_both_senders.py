"""Our own client and gratia-probe-common: one content, whichever sends, and nothing sent twice by a change of mind."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pki
import pytest
from nova_history import expected
from test_collector_tls import hashed, host
from test_run import END, HOUR, steady
from world import World, site

from osg_site_iaas.accounting.gratia_config import effective, text
from osg_site_iaas.accounting.gratia_sender import _check_python
from osg_site_iaas.accounting.model import DAY
from osg_site_iaas.accounting.probeconfig import parse, read_attributes
from osg_site_iaas.accounting.settings import Collector, from_site
from osg_site_iaas.errors import AccountingError
from osg_site_iaas.sandbox.collector.server import Collector as StandIn
from osg_site_iaas.sandbox.collector.server import Tls

SHIPPED = Path(__file__).parents[3] / "probes/openstack/ProbeConfig"
CERTIFICATE = (
    "<GratiaCertInfo><DN>/CN=Other</DN><VO>other</VO><FQAN>/other</FQAN><BatchManager>condor</BatchManager>"
    "</GratiaCertInfo>"
)
needs_gratia = pytest.mark.skipif(
    find_spec("gratia") is None,
    reason="gratia-probe-common is not installed (OSG_SITE_IAAS_GRATIA can name its folder)",
)


@needs_gratia
def test_what_both_send_is_one_to_the_collector(world: World, tmp_path: Path) -> None:
    told = steady(20)
    world.live(told)
    assert world.run(END + HOUR).ok
    once = world.collector.store.totals()
    world.through_gratia(tmp_path / "gratia")
    again = world.run(END + HOUR, folder=tmp_path / "again")
    assert again.ok, again.errors
    twice = world.collector.store.totals()
    assert again.delivered.sent == once["arrivals"]
    assert twice["arrivals"] == 2 * once["arrivals"]
    assert twice["documents"] == once["documents"]
    assert world.core_seconds() == dict(expected(told))


@needs_gratia
def test_a_change_of_the_sender_sends_nothing_again(world: World, tmp_path: Path) -> None:
    told = steady(20)
    world.live(told)
    direct = world.settings
    world.run(END - 4 * DAY)
    world.through_gratia(tmp_path / "gratia")
    world.run(END - 3 * DAY)
    world.settings = replace(direct, folder=world.settings.folder)
    world.run(END + HOUR)
    totals = world.collector.store.totals()
    assert totals["arrivals"] == totals["documents"]
    assert world.core_seconds() == dict(expected(told))


@needs_gratia
def test_the_library_leaves_the_certificates_of_other_jobs_alone(world: World, tmp_path: Path) -> None:
    told = steady(20)
    world.live(told)
    world.through_gratia(tmp_path / "gratia")
    (tmp_path / "gratia/data").mkdir()
    others = {
        tmp_path / "gratia/data" / f"gratia_certinfo_{manager}_{digits[0]}"
        for life in told
        for manager in ("condor", "pbs")
        if (digits := re.findall(r"\d+", life.uuid))
    }
    for file in others:
        file.write_text(CERTIFICATE)
    assert world.run(END + HOUR).ok
    assert all(file.exists() for file in others)
    assert world.core_seconds() == dict(expected(told))


def test_the_library_is_not_asked_for_what_it_cannot_do(tmp_path: Path) -> None:
    settings = from_site(site(), tmp_path)
    secure = replace(settings, collector=replace(settings.collector, ssl=True))
    _check_python(settings, (3, 13))
    _check_python(secure, (3, 11))
    with pytest.raises(AccountingError, match=r"cannot do HTTPS on Python 3\.12"):
        _check_python(secure, (3, 12))


@needs_gratia
@pytest.mark.skipif(sys.version_info >= (3, 12), reason="the library has no HTTPS there")
def test_the_library_sends_over_tls_to_whom_the_authorities_vouch_for(world: World, tmp_path: Path) -> None:
    told = steady(20)
    world.live(told)
    ours = pki.ca()
    server, probe = host(tmp_path, ours), host(tmp_path, ours, "probe")
    stranger = host(tmp_path, pki.ca(f"{pki.ORG}/CN=Stranger"), "stranger")
    tls = Tls(server.certificate, server.key, client_ca=server.authority)
    with StandIn(tmp_path / "secure", tls=tls) as collector:
        world.through_gratia(tmp_path / "gratia")
        secure = Collector(
            collector.address, ssl=True, certificate=probe.certificate, key=probe.key, timeout=60,
            authorities=stranger.authority,
        )  # fmt: skip
        world.settings = replace(world.settings, collector=secure)
        assert not world.run(END + HOUR).ok
        assert collector.store.totals()["documents"] == 0
        world.settings = replace(
            world.settings, collector=replace(secure, authorities=hashed(tmp_path / "ca", server.authority))
        )
        report = world.run(END + 2 * HOUR)
        assert report.ok, report.errors
        assert collector.store.totals()["documents"] == report.delivered.sent > 20


def test_the_library_is_told_what_site_yml_says_where_the_probe_config_says_nothing(tmp_path: Path) -> None:
    declared = site("gracc.example.org:80")
    settings = replace(from_site(declared, tmp_path), sender="gratia", bundle_size=1)
    told = parse(text(effective(settings, read_attributes(SHIPPED))), "here")
    assert (told["CollectorHost"], told["ProbeName"], told["SiteName"], told["Grid"]) == (
        "gracc.example.org:80", "openstack:cloud.example.org", "Example-Cloud", "OSG",
    )  # fmt: skip
    assert int(told["BundleSize"]) > 1


def test_the_library_judges_nothing_and_keeps_to_its_own_folders(tmp_path: Path) -> None:
    settings = from_site(site(), tmp_path / "state")
    theirs = {
        "DataFolder": "/var/lib/gratia/data/", "WorkingFolder": "/var/lib/gratia/tmp", "VOOverride": "cms",
        "SuppressNoDNRecords": "1", "MapGroupToRole": "1", "CertInfoLogPattern": "/var/log/*", "LogLevel": "5",
        "CollectorHost": 'a "quoted" <host>',
    }  # fmt: skip
    told = parse(text(effective(settings, theirs)), "here")
    assert Path(told["DataFolder"]).is_relative_to(tmp_path / "state/gratia")
    assert Path(told["WorkingFolder"]).is_relative_to(tmp_path / "state/gratia")
    assert (told["VOOverride"], told["MapGroupToRole"], told["CertInfoLogPattern"]) == ("", "", "")
    assert (told["SuppressNoDNRecords"], told["QuarantineUnknownVORecords"], told["LogLevel"]) == (
        "0",
        "0",
        "5",
    )
    assert told["CollectorHost"] == "127.0.0.1:1"


def test_the_library_shows_the_certificate_that_the_settings_name(tmp_path: Path) -> None:
    secure = Collector("s.example.org:443", ssl=True, certificate=Path("/c"), key=Path("/k"))
    told = effective(replace(from_site(site(), tmp_path), collector=secure), {"UseSSL": "0"})
    assert (told["UseSSL"], told["SSLHost"]) == ("1", "s.example.org:443")
    assert (told["CertificateFile"], told["KeyFile"]) == ("/c", "/k")
