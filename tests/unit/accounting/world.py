"""A site, a Nova that tells histories, and a real collector stand-in: what runs of the probe work with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Iterable, Optional, Sequence

from nova_history import Life, TellingNova

from osg_site_iaas.accounting.model import moment
from osg_site_iaas.accounting.owners import Name, Owners
from osg_site_iaas.accounting.run import Parts, Report, perform
from osg_site_iaas.accounting.send import Sender
from osg_site_iaas.accounting.settings import Settings, from_site
from osg_site_iaas.declaration.model import VO, Access, Accounting, Cloud, Identity, Site
from osg_site_iaas.sandbox.collector.server import Collector

VOS = ("cms", "icecube", "ligo")


def site(collector: str = "127.0.0.1:1", vos: Sequence[str] = VOS) -> Site:
    return Site(
        file=Path("site.yml"), version=1, site=Identity("Example-Cloud", "cloud.example.org"),
        cloud=Cloud("example"), accounting=Accounting(collector=collector),
        vos=tuple(VO(name, name, access=(Access(fqan=f"/{name}/*"),)) for name in vos),
    )  # fmt: skip


def owners(vos: Sequence[str] = VOS) -> Owners:
    """Projects p0, p1, ... are those of the VOs."""
    projects = {f"p{number}": Name(name, "osg") for number, name in enumerate(VOS)}
    users = {f"user-{project}": Name(f"/DC=org/CN=Robot {project}", "osg") for project in projects}
    return Owners(site(vos=vos), projects, users)


class World:
    """Everything around the probe. ``run`` is one run of it, at a time that is Nova's and ours."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.collector = collector
        self.settings: Settings = replace(from_site(site(collector.address), folder / "state"), workers=2)
        self.nova = TellingNova((), 0)
        self.vos: Sequence[str] = VOS
        self.sender: Optional[Sender] = None

    def live(self, lives: Iterable[Life]) -> None:
        self.nova.lives.update({life.uuid: life for life in lives})

    def run(self, now: int, **changed: object) -> Report:
        self.nova.now = now
        settings = replace(self.settings, **changed)  # type: ignore[arg-type]
        parts = Parts(
            self.nova, lambda users: owners(self.vos), self.sender, lambda: sum(self.nova.asked.values())
        )
        return perform(settings, parts, moment(now))

    def core_seconds(self) -> dict[int, float]:
        """What the collector counts, by day since the epoch."""
        days: dict[int, float] = {}
        for row in self.collector.store.records(limit=1 << 30):
            day = int(moment(0).fromisoformat(f"{row['day']}T00:00:00+00:00").timestamp()) // 86400
            days[day] = days.get(day, 0) + float(str(row["core_hours"])) * 3600
        return {day: round(seconds) for day, seconds in days.items() if round(seconds)}
