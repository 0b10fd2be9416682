"""For whom a server ran: Keystone's projects and users in the words of OSG's accounting. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Union

from osg_site_iaas.accounting.record import Owner
from osg_site_iaas.declaration import fqan
from osg_site_iaas.declaration.model import VO, Site
from osg_site_iaas.mapping.credential import Certificate
from osg_site_iaas.mapping.names import person


@dataclass(frozen=True)
class Name:
    """What Keystone calls a project or a user, and the domain it is in."""

    name: str
    domain: str


@dataclass(frozen=True)
class Nobody:
    """Why no VO is known for a server, and who owns it all the same."""

    why: str
    anybody: Owner  # without a VO


class Owners:
    """Finds owners. ``projects`` and ``users`` are Keystone's, by id."""

    def __init__(
        self, site: Site, projects: Mapping[str, Name], users: Mapping[str, Name], *, vo_override: str = ""
    ) -> None:
        self._vos = {Name(vo.project, site.cloud.domain): vo for vo in site.vos}
        self._projects = projects
        self._users = users
        self._override = vo_override
        self._kept: dict[tuple[str, str], Union[Owner, Nobody]] = {}

    def owner(self, project: str, user: str) -> Union[Owner, Nobody]:
        """The owner of a server of that project, made by that user (both Keystone ids)."""
        key = (project, user)
        if key not in self._kept:
            self._kept[key] = self._owner(project, user)
        return self._kept[key]

    def _owner(self, project: str, user: str) -> Union[Owner, Nobody]:
        name = self._projects.get(project)
        vo = self._vos.get(name) if name is not None else None
        who = self._users.get(user)
        credential = person(who.name) if who is not None else None
        owner = Owner(
            vo=self._override or _reported(vo),
            fqan=f"/{self._override}/Role=NULL" if self._override else _fqan(vo),
            project=name.name if name is not None else project,
            project_id=project,
            user=who.name if who is not None else user,
            username=f"{who.name}@{who.domain}" if who is not None else "",
            dn=credential.dn if isinstance(credential, Certificate) else "",
        )
        if vo is None and not self._override:
            known = f"{name.name} (domain {name.domain})" if name is not None else f"with id {project}"
            return Nobody(f"project {known} belongs to no VO of site.yml", owner)
        return owner


def _reported(vo: Union[VO, None]) -> str:
    return "" if vo is None else vo.reporting_name or vo.name


def _fqan(vo: Union[VO, None]) -> str:
    """The plain membership of the VO that the access lines speak of, else of the VO's own name."""
    if vo is None:
        return ""
    spoken = (fqan.vo_of(access.fqan) for access in vo.access if access.fqan is not None)
    return f"/{next((name for name in spoken if name), vo.name)}/Role=NULL"
