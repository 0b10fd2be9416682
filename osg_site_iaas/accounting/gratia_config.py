"""The ProbeConfig that gratia-probe-common gets: the site's own, with what this probe knows or decides put in. Pure.

The site's may leave out what site.yml says, and the library would judge every record a second time, look for other
jobs' certificates by the digits in a server's id (and delete those it finds), and clear folders it shares with other
probes. So it works in folders of its own, sends to where the settings say, and lets every record through.
"""

from __future__ import annotations

from pathlib import Path
from typing import Mapping
from xml.sax.saxutils import quoteattr

from osg_site_iaas.accounting.probeconfig import ROOT
from osg_site_iaas.accounting.settings import Settings

# what the library cannot do without, where the site's ProbeConfig says nothing
DEFAULTS = {
    "LogLevel": "2",
    "DebugLevel": "0",
    "LogRotate": "31",
    "UseSyslog": "0",
    "MaxPendingFiles": "100000",
    "MaxStagedArchives": "400",
    "DataFileExpiration": "31",
    "QuarantineSize": "200",
    "GratiaExtension": "gratia.xml",
    "RegistrationService": "/gratia-registration/register",
}


def folder(settings: Settings) -> Path:
    """Where the library keeps its things."""
    return settings.folder / "gratia"


def effective(settings: Settings, attributes: Mapping[str, str]) -> Mapping[str, str]:
    """The attributes; ``attributes`` are the site's ProbeConfig, empty if it has none."""
    probe, collector, own = settings.probe, settings.collector, folder(settings)
    told = {name: value for name, value in attributes.items() if value}
    return {
        "LogFolder": str(own / "log"),
        **DEFAULTS,
        **told,
        "CollectorHost": collector.host,
        "SSLHost": collector.host,
        "SSLRegistrationHost": collector.host,
        "CollectorService": collector.path,
        "SSLCollectorService": collector.path,
        "UseSSL": "1" if collector.ssl else "0",
        "UseGratiaCertificates": "0",
        "CertificateFile": str(collector.certificate),
        "KeyFile": str(collector.key),
        "ConnectionTimeout": str(collector.timeout),
        "ProbeName": probe.probe_name,
        "SiteName": probe.site_name,
        "Grid": probe.grid,
        "EnableProbe": "1",
        "BundleSize": str(
            max(settings.bundle_size, 2)
        ),  # with less it speaks another protocol, unknown to GRACC
        # decided before a record was made
        "VOOverride": "",
        "MapUnknownToGroup": "",
        "MapGroupToRole": "",
        "SuppressUnknownVORecords": "0",
        "QuarantineUnknownVORecords": "0",
        "SuppressNoDNRecords": "0",
        "SuppressGridLocalRecords": "0",
        "NoCertinfoBatchRecordsAreLocal": "0",
        "UserVOMapFile": "",
        "CertInfoLogPattern": "",
        "CondorCEHistoryFolder": str(own / "no-history"),
        "DataFolder": f"{own / 'data'}/",
        "WorkingFolder": str(own / "tmp"),
    }


def text(attributes: Mapping[str, str]) -> str:
    """The attributes as a ProbeConfig."""
    lines = "".join(f"\n  {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{ROOT}{lines}\n/>\n"
