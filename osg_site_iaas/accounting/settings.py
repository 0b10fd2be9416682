"""How the probe is set up: site.yml, and the attributes of a ProbeConfig over it, checked as one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from difflib import get_close_matches
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, TypeVar

from osg_site_iaas.accounting.attributes import KEYS, KNOWN
from osg_site_iaas.accounting.model import epoch
from osg_site_iaas.accounting.probeconfig import read_attributes
from osg_site_iaas.accounting.record import RESOURCE_TYPE, Probe
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import DeclarationError, Problem

T = TypeVar("T")
STATE = Path("/var/lib/osg-site-iaas/accounting")
CERTIFICATE = "/etc/grid-security/hostcert.pem"
KEY = "/etc/grid-security/hostkey.pem"
PLACEHOLDERS = ("generic site", "")  # what gratia-probe's template has for SiteName
_TEMPLATE = re.compile("@[A-Z_]+@")  # and for other names
_PROBE_NAME = re.compile(r"[^\s:]+:[^\s:]+")


@dataclass(frozen=True)
class Collector:
    """Where records go. ``certificate`` and ``key`` are shown over TLS; ``authorities`` is a file or a folder."""

    host: str  # host:port
    path: str = "/gratia-servlets/rmi"
    ssl: bool = False
    certificate: Path = Path(CERTIFICATE)
    key: Path = Path(KEY)
    authorities: Optional[Path] = None  # None: the system's
    timeout: int = 900  # seconds for an answer

    @property
    def url(self) -> str:
        """The address that records are posted to."""
        return f"{'https' if self.ssl else 'http'}://{self.host}{self.path}"


@dataclass(frozen=True)
class Settings:
    """Everything the probe is told, besides who is whom (which is site.yml's)."""

    probe: Probe
    collector: Collector
    enabled: bool = True
    folder: Path = STATE
    cloud: str = ""  # clouds.yaml entry
    sender: str = "direct"
    reader: str = "api"
    databases: tuple[str, ...] = ()  # files that hold a connection URL each: nova cells' databases
    settle: int = 1800  # seconds after a slice's end before it is rendered
    bundle_size: int = 100  # records
    workers: int = 4  # requests to Nova at a time
    start: int = 0  # slices that end before are not sent
    archive_months: int = 13
    vo_override: str = ""
    suppress_unknown_vo: bool = False
    quarantine_unknown_vo: bool = True
    suppress_no_dn: bool = False
    suppress_local: bool = False
    send_idle: bool = False
    traffic: bool = False  # ask for network counters, a request a running server
    metrics: Optional[Path] = None  # text file for node_exporter
    gratia_config: Optional[Path] = None  # the ProbeConfig, for the gratia sender


def from_site(site: Site, folder: Optional[Path] = None) -> Settings:
    """The settings that site.yml gives. DeclarationError, with every problem, if they cannot be used."""
    return combine(site, {}, str(site.file), folder=folder)


def combine(
    site: Site, attributes: Mapping[str, str], where: str, *, folder: Optional[Path] = None
) -> Settings:
    """Settings from site.yml with attributes of a ProbeConfig over them; ``where`` is named in problems."""
    told = site.accounting
    merged: dict[str, str] = {
        "CollectorHost": told.collector,
        "SSLHost": told.collector,
        "UseSSL": "1" if told.ssl else "0",
        "Grid": told.grid,
        "SiteName": told.site_name or site.site.resource,
        "ProbeName": told.probe_name or f"openstack:{site.site.fqdn}",
        "SettleMinutes": str(told.settle_minutes),
        "EnableProbe": "1" if told.enabled else "0",
        "Cloud": site.cloud.name,
        **{name: _plain(value) for name, value in told.options.items()},
    }
    for name, value in attributes.items():
        # a placeholder of the shipped template is as good as nothing; so is an empty value
        if (
            value
            and not (name == "SiteName" and value.lower() in PLACEHOLDERS)
            and not _TEMPLATE.search(value)
        ):
            merged[name] = value
    read = _Reader(merged, lambda name: _place(site, attributes, where, name))
    settings = _settings(site, read, folder)
    problems = [*read.problems, *_unknown(site, attributes, where)]
    if problems:
        raise DeclarationError(problems)
    return settings


def _place(site: Site, attributes: Mapping[str, str], where: str, name: str) -> tuple[str, str]:
    """The file and the path in it where an attribute was written."""
    if attributes.get(name):
        return where, name
    if name in site.accounting.options:
        return str(site.file), f"accounting.options.{name}"
    return str(site.file), KEYS.get(name, name)


def _unknown(site: Site, attributes: Mapping[str, str], where: str) -> Iterator[Problem]:
    """Options that nobody knows, and attributes of a ProbeConfig that are nearly like one: it may hold others' too."""
    for name in site.accounting.options:
        if name not in KNOWN:
            (near, *_) = (*get_close_matches(name, KNOWN, 1), "")
            todo = f"write {near}" if near else "docs/accounting.md lists the attributes"
            yield Problem(
                str(site.file), 0, 0, f"accounting.options.{name}", "there is no such attribute", todo
            )
    for name in attributes:
        for near in get_close_matches(name, KNOWN - {name}, 1, 0.85) if name not in KNOWN else ():
            yield Problem(where, 0, 0, name, "there is no such attribute", f"write {near}")


def from_probe_config(site: Site, file: Path, folder: Optional[Path] = None) -> Settings:
    """Settings from site.yml with those of a ProbeConfig over them."""
    settings = combine(site, read_attributes(file), str(file), folder=folder)
    return replace(settings, gratia_config=file)


def _settings(site: Site, read: _Reader, folder: Optional[Path]) -> Settings:
    ssl = read.flag("UseSSL", False)
    probe_name = read.probe_name()
    return Settings(
        probe=Probe(
            site_name=read.text("SiteName"),
            probe_name=probe_name,
            host=probe_name.partition(":")[2] or site.site.fqdn,
            region=site.site.region,
            grid=read.text("Grid"),
            resource_type=read.text("ResourceType", RESOURCE_TYPE),
        ),
        collector=Collector(
            host=read.host("SSLHost" if ssl else "CollectorHost"),
            path=read.text("SSLCollectorService" if ssl else "CollectorService", Collector.path),
            ssl=ssl,
            certificate=Path(read.text("CertificateFile", CERTIFICATE)),
            key=Path(read.text("KeyFile", KEY)),
            authorities=read.path("CertificateAuthorities"),
            timeout=read.number("ConnectionTimeout", 900, 1, 86400),
        ),
        enabled=read.flag("EnableProbe", True),
        folder=folder or read.path("DataFolder") or STATE,
        cloud=read.text("Cloud"),
        sender=read.choice("Sender", ("direct", "gratia")),
        reader=read.choice("Reader", ("api", "database")),
        databases=tuple(read.text("Databases").split()),
        settle=60 * read.number("SettleMinutes", 30, 0, 1440),
        bundle_size=read.number("BundleSize", 100, 1, 200),
        workers=read.number("Workers", 4, 1, 32),
        start=read.day("StartDate"),
        archive_months=read.number("ArchiveMonths", 13, 1, 120),
        vo_override=read.text("VOOverride"),
        suppress_unknown_vo=read.flag("SuppressUnknownVORecords", False),
        quarantine_unknown_vo=read.flag("QuarantineUnknownVORecords", True),
        suppress_no_dn=read.flag("SuppressNoDNRecords", False),
        suppress_local=read.flag("SuppressGridLocalRecords", False),
        send_idle=read.flag("SendIdle", False),
        traffic=read.flag("ReadTraffic", False),
        metrics=read.path("MetricsFile"),
    )


class _Reader:
    """Takes attributes as what they should be, and keeps every problem."""

    def __init__(self, attributes: Mapping[str, str], place: Callable[[str], tuple[str, str]]) -> None:
        self._attributes = attributes
        self._place = place
        self.problems: list[Problem] = []

    def text(self, name: str, default: str = "") -> str:
        return self._attributes.get(name, default).strip() or default

    def probe_name(self) -> str:
        """GRACC finds the Topology resource by what is behind the colon."""

        def read(value: str) -> str:
            if not _PROBE_NAME.fullmatch(value):
                raise ValueError(value)
            return value

        return self._take("ProbeName", "", read, "openstack:FQDN, with the FQDN of the Topology resource")

    def path(self, name: str) -> Optional[Path]:
        value = self.text(name)
        return Path(value) if value else None

    def flag(self, name: str, default: bool) -> bool:
        words = {"0": False, "false": False, "no": False, "1": True, "true": True, "yes": True}
        return self._take(name, default, lambda value: words[value.lower()], "0 or 1")

    def number(self, name: str, default: int, least: int, most: int) -> int:
        def read(value: str) -> int:
            if not least <= int(value) <= most:
                raise ValueError(value)
            return int(value)

        return self._take(name, default, read, f"a whole number from {least} to {most}")

    def choice(self, name: str, words: tuple[str, ...]) -> str:
        return self._take(name, words[0], lambda value: words[words.index(value)], " or ".join(words))

    def host(self, name: str) -> str:
        def read(value: str) -> str:
            host, _, port = value.rpartition(":")
            if not host or not 0 < int(port) < 65536 or set(host) & set("/@ "):
                raise ValueError(value)
            return value

        return self._take(name, "", read, "host:port")

    def day(self, name: str) -> int:
        def read(value: str) -> int:
            return epoch(datetime.strptime(value, "%Y-%m-%d").replace(tzinfo=timezone.utc))

        return self._take(name, 0, read, "a day as in 2026-11-22")

    def _take(self, name: str, default: T, read: Callable[[str], T], form: str) -> T:
        value = self.text(name)
        if not value:
            return default
        try:
            return read(value)
        except (ValueError, KeyError):
            file, path = self._place(name)
            self.problems.append(Problem(file, 0, 0, path, f"{value!r} is not {form}", f"write {form}"))
            return default


def _plain(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)
