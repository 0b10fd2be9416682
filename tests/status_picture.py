"""Sites to draw status pages of: two VOs, one of which is full, servers, findings; and one of a great many VOs."""

from __future__ import annotations

import random

from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, Finding, Result
from osg_site_iaas.ops.status.gather import Picture, Records, Server
from osg_site_iaas.ops.status.history import Sample
from osg_site_iaas.ops.usage import Use

NOW = 1795480000
DAY = 86400
HOUR = 3600
LONG = "atlas-physics-analysis-preservation-and-reinterpretation-working-group"


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
         Result("ec2", SKIPPED, "no door here")), next=NOW + 900, stale=NOW + 2100,
    )  # fmt: skip


def samples() -> list[Sample]:
    found = []
    for hour in range(35 * 24, 0, -1):
        cores = 120 if hour == 1 else (hour * 7) % 201
        found.append(Sample(NOW - hour * 3600, {"cms": {"cores": (cores, 100 if hour > 400 else 200)}}))
    return found


def nothing() -> Picture:
    """A site of which nothing is known."""
    return Picture(NOW, "Example-Cloud", "cloud.example.org", {}, (), {}, (), None, ())


def crowd(vos: int) -> tuple[Picture, list[Sample]]:
    """A site of many VOs, long names among them, whose history has all that a history can have, and every look."""
    dice = random.Random(7)
    names = [LONG, *(f"vo{number:03}.example.org" for number in range(1, vos))]
    quota = {name: dice.choice((1, 40, 400, 4000)) for name in names}
    looks = [*range(NOW - 35 * DAY, NOW - 2 * DAY, HOUR), *range(NOW - 2 * DAY, NOW + 1, 900)]
    found = [
        Sample(at, {name: {"cores": (dice.randint(0, quota[name]), quota[name])} for name in names})
        for at in looks
        if not NOW - 20 * DAY < at < NOW - 15 * DAY  # the timer was off
    ]
    uses = {
        name: (
            Use("compute", "instances", quota[name] // 3, quota[name]),
            Use("compute", "cores", *found[-1].vos[name]["cores"]),
            Use("compute", "ram", quota[name] * 2000, quota[name] * 2048),
            Use("volume", "gigabytes", 12345, 20000), Use("network", "floatingip", 5, 0),
        )
        for name in names
    }  # fmt: skip
    states = {name: {"ACTIVE": quota[name] // 3, "BUILD": 1, "ERROR": quota[name] % 3} for name in names}
    servers = tuple(
        Server(f"{LONG}-{n}", names[n % vos], "osg.very-large-memory", ("ACTIVE", "ERROR")[n % 9 == 0],
               "2026-11-23T10:00:00Z")
        for n in range(100)
    )  # fmt: skip
    seen = Picture(
        NOW, "Example-Cloud", "cloud.example.org", uses, (names[-1],), states, servers,
        Records(1_234_567, NOW - 3600, NOW - 1800, 7), picture().results, next=NOW + 900, stale=NOW + 2100,
    )  # fmt: skip
    return seen, found
