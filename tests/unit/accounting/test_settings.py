"""The probe's settings: site.yml's, a ProbeConfig's over them, and every problem of both."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from histories import BASE
from world import site

from osg_site_iaas.accounting.attributes import KNOWN, OURS
from osg_site_iaas.accounting.probeconfig import parse, read_attributes
from osg_site_iaas.accounting.settings import (
    CERTIFICATE,
    STATE,
    Settings,
    _Reader,
    _settings,
    combine,
    from_probe_config,
    from_site,
)
from osg_site_iaas.declaration.model import Accounting
from osg_site_iaas.errors import AccountingError, DeclarationError

SHIPPED = Path(__file__).parents[3] / "probes/openstack/ProbeConfig"


def told(**attributes: str) -> Settings:
    return combine(site("gracc.example.org:80"), attributes, "ProbeConfig")


def test_what_site_yml_gives() -> None:
    settings = from_site(site("gracc.example.org:80"))
    assert settings.probe.site_name == "Example-Cloud"
    assert settings.probe.probe_name == "openstack:cloud.example.org"
    assert settings.probe.host == "cloud.example.org"
    assert settings.collector.url == "http://gracc.example.org:80/gratia-servlets/rmi"
    assert (settings.settle, settings.bundle_size, settings.sender, settings.reader) == (
        1800,
        100,
        "direct",
        "api",
    )
    assert (settings.folder, settings.cloud, settings.enabled) == (STATE, "example", True)


def test_options_of_site_yml_are_attributes() -> None:
    accounting = Accounting(
        settle_minutes=5, options={"BundleSize": 50, "UseSSL": True, "SSLHost": "g.example.org:443"}
    )
    settings = from_site(replace(site(), accounting=accounting))
    assert (settings.bundle_size, settings.settle) == (50, 300)
    assert settings.collector.url == "https://g.example.org:443/gratia-servlets/rmi"


def test_a_probe_config_goes_over_site_yml() -> None:
    settings = told(
        ProbeName="openstack:other.example.org", SiteName="Other", Grid="Local", EnableProbe="0", BundleSize="200",
        CollectorHost="c.example.org:8880", DataFolder="/srv/gratia", VOOverride="cms", Sender="gratia",
        SuppressUnknownVORecords="1", QuarantineUnknownVORecords="0", ConnectionTimeout="60",
        StartDate="2026-11-22", ResourceType="Batch", SettleMinutes="60", ArchiveMonths="24",
    )  # fmt: skip
    assert (settings.probe.host, settings.probe.site_name, settings.probe.grid) == (
        "other.example.org",
        "Other",
        "Local",
    )
    assert (settings.enabled, settings.bundle_size, settings.collector.timeout) == (False, 200, 60)
    assert (settings.folder, settings.vo_override, settings.sender) == (Path("/srv/gratia"), "cms", "gratia")
    assert (settings.suppress_unknown_vo, settings.quarantine_unknown_vo) == (True, False)
    assert (settings.start, settings.settle, settings.archive_months) == (BASE, 3600, 24)
    assert settings.probe.resource_type == "Batch"


def test_tls_takes_the_ssl_host_and_the_hosts_certificate() -> None:
    settings = told(
        UseSSL="1",
        SSLHost="s.example.org:443",
        CollectorHost="c.example.org:80",
        CertificateAuthorities="/ca",
    )
    assert settings.collector.url == "https://s.example.org:443/gratia-servlets/rmi"
    assert (settings.collector.certificate, settings.collector.authorities) == (
        Path(CERTIFICATE),
        Path("/ca"),
    )


@pytest.mark.parametrize(
    "name, value", [("SiteName", "Generic site"), ("ProbeName", "openstack:@PROBE_HOST@"), ("SiteName", "")]
)
def test_a_placeholder_is_as_good_as_nothing(name: str, value: str) -> None:
    assert told(**{name: value}).probe == from_site(site()).probe


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(DeclarationError) as error:
        told(
            BundleSize="1000",
            UseSSL="maybe",
            CollectorHost="http://x",
            Sender="pigeon",
            StartDate="yesterday",
            ProbeName="cloud.example.org",
        )
    assert {problem.path for problem in error.value.problems} == {
        "BundleSize", "UseSSL", "CollectorHost", "Sender", "StartDate", "ProbeName"
    }  # fmt: skip
    assert all(problem.file == "ProbeConfig" and problem.todo for problem in error.value.problems)


def test_every_attribute_that_is_read_is_one_that_may_be_written() -> None:
    asked = set()

    class Watching(dict[str, str]):
        def get(self, name: str, default: str = "") -> str:  # type: ignore[override]
            asked.add(name)
            return default

    reader = _Reader(Watching(), lambda name: ("", name))
    _settings(site(), reader, None)
    assert asked | {"SiteFile", "SSLHost", "SSLCollectorService"} == OURS
    assert {name for name in read_attributes(SHIPPED) if not name.startswith(("Title", "Comments"))} <= KNOWN


def test_a_word_that_is_nearly_an_attribute_is_told_and_what_others_need_is_not() -> None:
    with pytest.raises(DeclarationError) as error:
        told(BundelSize="50", Comments1="x", Title3="y", MyOwnNote="z", CondorLocation="/usr")
    (problem,) = error.value.problems
    assert (problem.path, problem.todo) == ("BundelSize", "write BundleSize")


def test_options_of_site_yml_are_known_ones_and_problems_say_where_they_are() -> None:
    accounting = Accounting(collector="x:y", options={"MyOwnNote": 1, "Sender": "pigeon", "LogLevel": 3})
    with pytest.raises(DeclarationError) as error:
        combine(replace(site(), accounting=accounting), {"BundleSize": "0"}, "ProbeConfig")
    assert {(problem.file, problem.path) for problem in error.value.problems} == {
        ("site.yml", "accounting.options.MyOwnNote"), ("site.yml", "accounting.options.Sender"),
        ("site.yml", "accounting.collector"), ("ProbeConfig", "BundleSize"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "<Other/>", "<ProbeConfiguration", '<!DOCTYPE a [<!ENTITY b "c">]><ProbeConfiguration/>']
)
def test_what_is_no_probe_config_is_told(text: str) -> None:
    with pytest.raises(AccountingError, match="ProbeConfig"):
        parse(text, "here")


def test_a_missing_probe_config_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccountingError, match="cannot read"):
        read_attributes(tmp_path / "none")


def test_the_shipped_probe_config_changes_nothing_but_what_it_says() -> None:
    settings = from_probe_config(site("gracc.example.org:80"), SHIPPED)
    assert settings.gratia_config == SHIPPED
    assert settings.enabled is False  # until the administrator has looked at it
    assert settings.probe == from_site(site()).probe
    assert settings.sender == "direct"
    assert settings.folder == Path("/var/lib/gratia/openstack")
