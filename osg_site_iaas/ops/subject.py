"""What is examined: the declaration, the cloud and this host, each looked at once and then shared by all checks."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Callable, Mapping, Optional, TypeVar

from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops.finding import NotKnown
from osg_site_iaas.ops.places import Places

T = TypeVar("T")
QUICK = 15  # seconds for an answer that only tells whether somebody is there
PATIENT = 30  # seconds for any other: an examination tells of a service that hangs, and does not wait for it


@dataclass
class Subject:
    """A site as seen from this host at one time."""

    file: Path
    places: Places
    now: datetime
    workers: int = 8
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    def site(self) -> Site:
        """The declaration; NotKnown where it cannot be read, which one check reports."""
        return self._once("site", lambda: load(self.file), "site.yml cannot be used: see `declaration`")

    def declared(self) -> Site:
        """The declaration, for what cannot do without it: SiteError with every problem."""
        return load(self.file)

    def cloud(self) -> Cloud:
        """A session that is logged in; NotKnown where Keystone lets nobody in, which one check reports."""
        return self._once("cloud", self._log_in, "there is no login to OpenStack: see `keystone`")

    def projects(self) -> Mapping[str, str]:
        """The ids of the projects of the site's domain, by name."""

        def ask() -> Mapping[str, str]:
            cloud, domain = self.cloud(), self.site().cloud.domain
            domains = cloud.get("identity", f"/domains?name={domain}")["domains"]
            if not domains:
                return {}
            found = cloud.get("identity", f"/projects?domain_id={domains[0]['id']}")["projects"]
            return {item["name"]: item["id"] for item in found}

        return self._once("projects", ask, "Keystone does not list projects")

    def login(self) -> tuple[Cloud, Optional[SiteError]]:
        """A session whether or not it can log in, and what is wrong with it."""
        site = self.site()
        cloud = connect(
            site.cloud.name,
            region=site.site.region,
            interface=site.cloud.endpoint_type,
            workers=self.workers,
        )
        cloud.session.timeout, cloud.attempts = PATIENT, 1
        try:
            cloud.login()
        except SiteError as error:
            return cloud, error
        return cloud, None

    def _log_in(self) -> Cloud:
        cloud, error = self.login()
        if error is not None:
            raise error
        return cloud

    def _once(self, name: str, make: Callable[[], T], otherwise: str) -> T:
        if name not in self._kept:
            try:
                self._kept[name] = make()
            except SiteError as error:
                self._kept[name] = error
        found = self._kept[name]
        if isinstance(found, SiteError):
            raise NotKnown(otherwise) from found
        result: T = found
        return result
