"""A site, a Nova that tells histories, and a real collector stand-in: what runs of the probe work with."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, ContextManager, Iterable, Optional, Sequence

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


# as it is shipped, and with an attribute that a site had in the ProbeConfigs of its other probes
PROBE_CONFIG = """<ProbeConfiguration CollectorHost="" ProbeName="" SiteName="" Grid="" EnableProbe="1" Sender="gratia"
  LogLevel="-1" DebugLevel="-1" BundleSize="1" DataFolder="{folder}/data/" WorkingFolder="{folder}/tmp"
  LogFolder="{folder}/log" SuppressNoDNRecords="1" MapUnknownToGroup="1" CertInfoLogPattern="{folder}/data/*"/>
"""


def in_child_returning(work: Callable[[], Report]) -> Report:
    """``work`` in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writer, "wb") as pipe:
            try:
                pickle.dump(work(), pipe)
            except BaseException as error:  # noqa: BLE001 - handed to the parent
                pickle.dump(error, pipe)
            pipe.flush()
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        result = pickle.load(pipe)
    os.waitpid(child, 0)
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, Report)
    return result


class World:
    """Everything around the probe. ``run`` is one run of it, at a time that is Nova's and ours."""

    def __init__(self, folder: Path, collector: Collector) -> None:
        self.collector = collector
        self.settings: Settings = replace(from_site(site(collector.address), folder / "state"), workers=2)
        self.nova = TellingNova((), 0)
        self.vos: Sequence[str] = VOS
        self.sender: Optional[ContextManager[Sender]] = None
        self.meter: Any = None  # tells network counters
        self.in_child = False  # this process is there for one run alone

    def live(self, lives: Iterable[Life]) -> None:
        self.nova.lives.update({life.uuid: life for life in lives})

    def run(self, now: int, **changed: object) -> Report:
        self.nova.now = now
        settings = replace(self.settings, **changed)  # type: ignore[arg-type]
        parts = Parts(
            self.nova,
            lambda users: owners(self.vos),
            self.sender,
            lambda: sum(self.nova.asked.values()),
            self.meter,
        )
        if settings.sender == "gratia" and not self.in_child:  # it starts once a process, for one collector
            return in_child_returning(lambda: perform(settings, parts, moment(now)))
        return perform(settings, parts, moment(now))

    def through_gratia(self, folder: Path) -> None:
        """From now on send through gratia-probe-common, with folders of its own."""
        folder.mkdir()
        file = folder / "ProbeConfig"
        file.write_text(PROBE_CONFIG.format(folder=folder))
        self.settings = replace(self.settings, sender="gratia", gratia_config=file)

    def aim(self, host: str, timeout: int = 60) -> None:
        """Send to that collector from now on, and wait so many seconds for an answer."""
        collector = replace(self.settings.collector, host=host, timeout=timeout)
        self.settings = replace(self.settings, collector=collector)

    def core_seconds(self) -> dict[int, float]:
        """What the collector counts, by day since the epoch."""
        days: dict[int, float] = {}
        for row in self.collector.store.records(limit=1 << 30):
            day = int(moment(0).fromisoformat(f"{row['day']}T00:00:00+00:00").timestamp()) // 86400
            days[day] = days.get(day, 0) + float(str(row["core_hours"])) * 3600
        return {day: round(seconds) for day, seconds in days.items() if round(seconds)}
