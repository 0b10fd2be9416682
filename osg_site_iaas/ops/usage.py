"""What each VO may use and does use, service by service."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Mapping, Optional

from osg_site_iaas.cloud.connect import Cloud, Forbidden, Missing
from osg_site_iaas.declaration.model import VO, Site

# service -> its limits that a VO meets, with the words for them
WATCHED: Mapping[str, Mapping[str, str]] = {
    "compute": {"instances": "servers", "cores": "cores", "ram": "MiB of memory"},
    "volume": {"volumes": "volumes", "gigabytes": "GiB of volumes"},
    "network": {"floatingip": "floating addresses", "port": "ports"},
}
PATHS = {
    "compute": "/os-quota-sets/{}/detail",
    "volume": "/os-quota-sets/{}?usage=true",
    "network": "/quotas/{}/details.json",
}


@dataclass(frozen=True)
class Use:
    """One limit. -1 is no limit."""

    service: str
    name: str
    used: int
    limit: int

    @property
    def words(self) -> str:
        return WATCHED[self.service][self.name]


def usage(
    cloud: Cloud, site: Site, projects: Mapping[str, str], *, workers: int = 8
) -> dict[str, tuple[Use, ...]]:
    """The limits of each VO that has a project; three requests a VO, several at a time."""
    there = [(vo.name, projects[vo.project]) for vo in site.vos if vo.project in projects]
    asked = [(service, vo, project) for vo, project in there for service in PATHS if cloud.has(service)]
    found: dict[str, list[Use]] = {vo: [] for vo, _ in there}
    with ThreadPoolExecutor(workers, thread_name_prefix="usage") as pool:
        answers = pool.map(lambda one: _ask(cloud, one[0], one[2]), asked)
        for (_, vo, _), uses in zip(asked, answers):
            found[vo].extend(uses)
    return {vo: tuple(uses) for vo, uses in found.items()}


def of_project(cloud: Cloud, project: str) -> tuple[Use, ...]:
    """The limits of one project."""
    return tuple(use for service in PATHS if cloud.has(service) for use in _ask(cloud, service, project))


def way_out(site: Site, vo: VO, use: Use) -> str:
    """What gives a VO more than a limit that it has used up: raising it, or only applying what is declared."""
    line = f"vos.{vo.name}.quota.{use.service}.{use.name}"
    declared: Optional[int] = getattr(vo.quota, use.service).get(use.name)
    if declared is not None and (declared == -1 or declared > use.limit):
        allowed = "any number" if declared == -1 else str(declared)
        return f"site.yml allows {allowed}, and the cloud was told otherwise: osg-site-iaas apply {site.file}"
    if declared is None:
        return f"declare {line} ({site.where(f'vos.{vo.name}')}) and apply, or let the VO end what it does not need"
    above = f" from {declared} to more than {use.limit}" if declared < use.limit else ""
    return f"raise {line}{above} ({site.where(f'vos.{vo.name}')}) and apply, or let the VO end what it does not need"


def _ask(cloud: Cloud, service: str, project: str) -> list[Use]:
    try:
        answer = cloud.get(service, PATHS[service].format(project))
    except (Missing, Forbidden):  # a Neutron without the extension quota_details
        return []
    limits = answer.get("quota_set") or answer.get("quota") or {}
    found = []
    for name in WATCHED[service]:
        use = _use(service, name, limits.get(name))
        if use is not None:
            found.append(use)
    return found


def _use(service: str, name: str, said: Any) -> Optional[Use]:
    if not isinstance(said, dict):
        return None
    used = int(said.get("in_use", said.get("used")) or 0) + int(said.get("reserved") or 0)
    return Use(service, name, used, int(said["limit"]))
