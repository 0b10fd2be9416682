"""From a slice to a usage record: XML that GRACC counts, byte for byte the same whenever it is made. Pure.

GRACC knows a record by its content. So nothing here depends on the time of reading or on this program's version,
and what Nova does not keep (the hypervisor of the day, addresses) is left out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from osg_site_iaas.accounting.model import DAY, Assumed, Size, Slice, State, iso

FORMAT = "osg-site-iaas record 1"  # <GratiaVersion>, which is part of GRACC's checksum: never the program's version
RESOURCE_TYPE = "OpenStackVM"
TEXT_LIMIT = 255  # characters; the old collector cuts there, and the new one's index ignores longer text
CPU_RULE = "wall seconds x vCPUs: Nova does not measure CPU time"

_ILLEGAL = re.compile("[^\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]+")
_HEAD = (
    '<JobUsageRecord xmlns="http://www.gridforum.org/2003/ur-wg"'
    ' xmlns:urwg="http://www.gridforum.org/2003/ur-wg">'
)


@dataclass(frozen=True)
class Probe:
    """Who reports: the same in every record of a site."""

    site_name: str  # Topology Resource
    probe_name: str  # openstack:<fqdn of the Resource>
    host: str  # the FQDN alone
    region: str
    grid: str = "OSG"
    resource_type: str = RESOURCE_TYPE


@dataclass(frozen=True)
class Owner:
    """For whom a server ran."""

    vo: str  # as accounting reports it
    fqan: str
    project: str
    project_id: str
    user: str  # Keystone user's name, or its id where the name is not known
    username: str = ""  # user@domain
    dn: str = ""

    @property
    def common_name(self) -> str:
        """The last CN of the DN; empty without a DN."""
        return self.dn.rpartition("/CN=")[2] if "/CN=" in self.dn else ""


@dataclass(frozen=True)
class Origin:
    """What was first seen of a server, and stays in its records whatever it is renamed or rebuilt to."""

    name: str
    image: str = ""


def job_id(probe: Probe, found: Slice) -> str:
    """GlobalJobId: one slice has one, for ever."""
    return f"openstack.{probe.host}#{found.uuid}#{found.start}"


def end_time(found: Slice) -> int:
    """EndTime: the slice's last second where it ends at midnight, since GRACC charges the day of EndTime."""
    return found.end - 1 if found.end % DAY == 0 else found.end


def render(found: Slice, origin: Origin, owner: Owner, probe: Probe) -> str:
    """The record, without an XML declaration. Valid against the Gratia profile of OGF's usage record schema."""
    job = text(job_id(probe, found))
    status, described = _status(found)
    end = iso(end_time(found))
    return "".join((
        _HEAD,
        f'<RecordIdentity urwg:recordId="{job}" urwg:createTime="{end}"/>'
        f"<JobIdentity><GlobalJobId>{job}</GlobalJobId><LocalJobId>{found.uuid}</LocalJobId></JobIdentity>",
        _user(owner),
        f"<JobName>{text(origin.name)}</JobName>" if text(origin.name) else "",
        f'<Status urwg:description="{described}">{status}</Status>'
        f"<WallDuration>PT{found.wall}S</WallDuration>"
        f'<CpuDuration urwg:usageType="user" urwg:description="{CPU_RULE}">PT{found.core_seconds}S</CpuDuration>'
        f"<StartTime>{iso(found.start)}</StartTime><EndTime>{end}</EndTime>",
        _size(found.size),
        "".join(
            f'<TimeDuration urwg:type="{state.value}">PT{seconds}S</TimeDuration>'
            for state, seconds in sorted(found.others.items(), key=lambda item: item[0].value)
        ),
        f"<ProjectName>{text(owner.project)}</ProjectName>",
        f'<Resource urwg:description="ProjectId">{text(owner.project_id)}</Resource>',
        f'<Resource urwg:description="ImageId">{text(origin.image)}</Resource>' if origin.image else "",
        _assumed(found.assumed),
        _reporter(probe),
        "</JobUsageRecord>",
    ))  # fmt: skip


@lru_cache(maxsize=4096)
def text(value: str) -> str:
    """Text for an element or attribute: what XML cannot hold is a space, what is too long is cut, the rest escaped."""
    clean = _ILLEGAL.sub(" ", value).strip()[:TEXT_LIMIT].rstrip()
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _status(found: Slice) -> tuple[int, str]:
    if found.last is State.ERROR:
        return 1, "error"
    return 0, "deleted" if found.final else found.last.value.lower()


@lru_cache(maxsize=4096)
def _user(owner: Owner) -> str:
    fields: tuple[tuple[str, Optional[str]], ...] = (
        ("LocalUserId", owner.user),
        ("GlobalUsername", owner.username),
        ("DN", owner.dn),
        ("CommonName", owner.common_name),
        ("VOName", owner.fqan),
        ("ReportableVOName", owner.vo),
    )
    inner = "".join(f"<{name}>{text(value)}</{name}>" for name, value in fields if value)
    return f"<UserIdentity>{inner}</UserIdentity>"


@lru_cache(maxsize=4096)
def _size(size: Size) -> str:
    flavour = text(size.flavour)
    return "".join((
        f'<NodeCount urwg:metric="total">1</NodeCount><Processors urwg:metric="max">{size.vcpus}</Processors>',
        f'<GPUs urwg:metric="max">{size.gpus}</GPUs>' if size.gpus else "",
        f'<Memory urwg:storageUnit="MB" urwg:metric="total">{size.memory}</Memory>',
        f'<Disk urwg:storageUnit="GB" urwg:metric="total">{size.disk}</Disk>' if size.disk else "",
        f'<Queue>{flavour}</Queue><Resource urwg:description="FlavorName">{flavour}</Resource>',
    ))  # fmt: skip


@lru_cache(maxsize=64)
def _assumed(marks: frozenset[Assumed]) -> str:
    if not marks:
        return ""
    words = " ".join(sorted(mark.value for mark in marks))
    return f'<Resource urwg:description="Assumed">{words}</Resource>'


@lru_cache(maxsize=16)
def _reporter(probe: Probe) -> str:
    return "".join((
        f'<Resource urwg:description="Region">{text(probe.region)}</Resource>',
        f"<MachineName>{text(probe.host)}</MachineName><SubmitHost>{text(probe.host)}</SubmitHost>",
        f"<ProbeName>{text(probe.probe_name)}</ProbeName><SiteName>{text(probe.site_name)}</SiteName>",
        f"<Grid>{text(probe.grid)}</Grid><Njobs>1</Njobs>",
        f'<Resource urwg:description="ResourceType">{text(probe.resource_type)}</Resource>',
        f"<GratiaVersion>{FORMAT}</GratiaVersion>",
    ))  # fmt: skip
