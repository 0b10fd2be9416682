"""What the page shows, as values."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Callable, Iterable, Mapping, Optional

from osg_site_iaas.accounting import status as accounting
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cloud.reader import pages
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import doctor, host_secrets, redact
from osg_site_iaas.ops.checks.doors import probe_settings
from osg_site_iaas.ops.finding import FOUND, NotHere, Result
from osg_site_iaas.ops.subject import Subject
from osg_site_iaas.ops.usage import Use, usage

LISTED = 100  # servers, the newest ones
OTHERS = "(other projects)"
# The checks of what VOs meet, with the words for everybody. The others are the site's own business.
PUBLIC: Mapping[str, str] = {
    "keystone": "Keystone", "services": "the services of OpenStack", "front": "grid logins", "ec2": "EC2",
    "ec2-tls": "EC2 from outside", "metadata": "metadata", "caches": "caches",
}  # fmt: skip


@dataclass(frozen=True)
class Server:
    """``name`` is the VO's own, and not shown where the page is for everybody."""

    name: str
    vo: str
    flavour: str
    state: str
    created: str


@dataclass(frozen=True)
class Records:
    """How accounting stands; times are seconds since the epoch."""

    sent: int
    last_slice: Optional[int]  # end of the latest usage that is on record
    success: Optional[int]
    pending: int


@dataclass(frozen=True)
class Picture:
    """A site at one time. What could not be had is empty, and a finding says why."""

    at: int
    site: str
    fqdn: str
    vos: Mapping[str, tuple[Use, ...]]
    disabled: tuple[str, ...]
    states: Mapping[str, Mapping[str, int]]  # VO -> state -> servers
    servers: tuple[Server, ...]
    records: Optional[Records]
    results: tuple[Result, ...]
    public: bool = False  # nothing in it but what is meant for everybody
    next: Optional[int] = None  # when the next one is due
    stale: Optional[int] = None  # when that is so late that none will come

    @property
    def findings(self) -> int:
        return sum(len(result.findings) or result.state == FOUND for result in self.results)

    def as_data(self) -> dict[str, Any]:
        """For programs; times of the page itself as ISO 8601, in UTC."""
        return {
            **dataclasses.asdict(self),
            "findings": self.findings,
            "made": _iso(self.at),
            "next": _iso(self.next),
            "stale": _iso(self.stale),
        }


def gather(subject: Subject, *, checks: Optional[Iterable[str]] = None, public: bool = False) -> Picture:
    """Everything that the page needs; SiteError only for a site.yml that cannot be used.

    A ``public`` picture names no server, tells of no project beside the VOs', and of checks only how those came out
    that VOs meet. No page looks at how old the one before it is.
    """
    site = subject.declared()
    if checks is None:
        checks = PUBLIC if public else [name for name in doctor.TABLE if name != "page"]
    hide = redact.Redactor(people=host_secrets.people(subject)).text
    results = [_discreet(result, public, hide) for result in doctor.examine(subject, list(checks))]
    vos: Mapping[str, tuple[Use, ...]] = {}
    servers: list[Server] = []
    try:
        cloud = subject.cloud()
        vos = usage(cloud, site, subject.projects(), workers=subject.workers)
        names = {number: name for name, number in subject.projects().items()}
        owners = {vo.project: vo.name for vo in site.vos}
        listed = pages(
            cloud, "compute", "/servers/detail?all_tenants=1", "servers", paged=True, version="2.47"
        )
        for item in listed:
            vo = owners.get(names.get(item["tenant_id"], ""), "")
            servers.append(
                Server(
                    item["name"],
                    vo or OTHERS,
                    item["flavor"]["original_name"],
                    item["status"],
                    item["created"],
                )
            )
    except (NotHere, SiteError):
        pass  # the findings have it
    states: dict[str, dict[str, int]] = {}
    for one in servers:
        if public and one.vo == OTHERS:
            continue
        of = states.setdefault(one.vo, {})
        of[one.state] = of.get(one.state, 0) + 1
    newest = sorted(servers, key=lambda one: one.created, reverse=True)[:LISTED] if not public else []
    return Picture(
        int(subject.now.timestamp()), site.site.resource, site.site.fqdn, vos,
        tuple(vo.name for vo in site.vos if not vo.enabled), states, tuple(newest), _records(subject), tuple(results),
        public,
    )  # fmt: skip


def _records(subject: Subject) -> Optional[Records]:
    try:
        with Store(probe_settings(subject).folder, readonly=True) as store:
            found = accounting.status(store, subject.now)
    except (NotHere, SiteError):
        return None
    return Records(found.sent, found.rendered, found.success, found.pending)


def _iso(at: Optional[int]) -> Optional[str]:
    return f"{datetime.fromtimestamp(at, timezone.utc):%Y-%m-%dT%H:%M:%SZ}" if at is not None else None


def _discreet(result: Result, public: bool, hide: Callable[[str], str]) -> Result:
    """Without people; and for everybody's eyes without a word of what was found."""
    if public:
        return Result(result.check, result.state)
    findings = tuple(
        dataclasses.replace(
            one,
            what=hide(one.what),
            todo=hide(one.todo),
            where=hide(one.where) if one.where else None,
        )
        for one in result.findings
    )
    return dataclasses.replace(result, findings=findings)
