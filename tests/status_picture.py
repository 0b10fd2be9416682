"""A site to draw a status page of: two VOs, one of which is full, servers, findings."""

from __future__ import annotations

from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, Finding, Result
from osg_site_iaas.ops.status.gather import Picture, Records, Server
from osg_site_iaas.ops.status.history import Sample
from osg_site_iaas.ops.usage import Use

NOW = 1795480000
DAY = 86400


def picture() -> Picture:
    uses = {
        "cms": (
            Use("compute", "instances", 60, 100), Use("compute", "cores", 120, 200),
            Use("compute", "ram", 245760, 409600), Use("volume", "gigabytes", 10, -1),
            Use("network", "floatingip", 2, 2),
        ),
        "icecube": (Use("compute", "instances", 0, 10), Use("compute", "cores", 0, 20)),
    }  # fmt: skip
    crl = Finding(
        "the revocation list of CN=CA ended 2 days ago",
        "does fetch-crl run?",
        "/etc/grid-security/certificates",
    )
    return Picture(
        NOW, "Example-Cloud", "cloud.example.org", uses, ("icecube",), {"cms": {"ACTIVE": 58, "ERROR": 2}},
        tuple(Server(f"pilot-{n}", "cms", "osg.small", "ACTIVE", "2026-11-23T10:00:00Z") for n in range(3)),
        Records(1234, NOW - 3600, NOW - 1800, 7),
        (Result("declaration", OK), Result("revocation", FOUND, findings=(crl,)),
         Result("ec2", SKIPPED, "no door here")),
    )  # fmt: skip


def samples() -> list[Sample]:
    found = []
    for hour in range(35 * 24, 0, -1):
        cores = 120 if hour == 1 else (hour * 7) % 201
        found.append(Sample(NOW - hour * 3600, {"cms": {"cores": (cores, 100 if hour > 400 else 200)}}))
    return found
