"""Memory, time and requests of the API reader over a long history, from a stand-in Nova that speaks HTTP.

  python benchmarks/accounting_api.py [--servers N] [--active N] [--ended N] [--traffic]

The stand-in (parts/standin_nova.py) is a process of its own and makes servers up as it is asked, so that the memory
that is told is the probe's alone. Servers that ended before ``StartDate`` cost no request of their own; it is set so
that about one in twenty does. Nothing is sent. accounting_scale.py measures the database reader over the same servers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Optional

from accounting_scale import NOW, PROJECTS, memory
from keystoneauth1 import session
from keystoneauth1.identity import v3

from osg_site_iaas.accounting.diagnostics import Diagnostics
from osg_site_iaas.accounting.model import DAY, moment
from osg_site_iaas.accounting.nova import NovaApi
from osg_site_iaas.accounting.owners import Name, Owners
from osg_site_iaas.accounting.run import Parts, perform
from osg_site_iaas.accounting.settings import Settings, from_site
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.declaration.model import VO, Identity, Site
from osg_site_iaas.declaration.model import Cloud as Declared

STANDIN = Path(__file__).parent / "parts" / "standin_nova.py"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=20_000)
    parser.add_argument("--active", type=int, default=2_000)
    parser.add_argument("--ended", type=int, default=100, help="servers that end between two runs")
    parser.add_argument(
        "--traffic", action="store_true", help="read network counters too, in a run of its own"
    )
    args = parser.parse_args()
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    command = [sys.executable, str(STANDIN), str(args.servers), str(args.active), str(NOW)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as standin:
        try:
            assert standin.stdout is not None
            Scale(standin.stdout.readline().strip(), Path(tempfile.mkdtemp(prefix="accounting-"))).runs(args)
        finally:
            standin.kill()


class Scale:
    """A probe for a site of 300 projects, and the stand-in it reads."""

    def __init__(self, address: str, folder: Path) -> None:
        self._address = address
        site = Site(
            Path("site.yml"), 1, Identity("Example-Cloud", "cloud.example.org"), Declared("x"),
            vos=tuple(VO(f"vo{n}", f"vo{n}") for n in range(PROJECTS)),
        )  # fmt: skip
        self._settings: Settings = replace(
            from_site(site, folder / "state"), enabled=False, start=NOW - DAY + 60_000
        )
        self._owners = Owners(site, {f"p{n}": Name(f"vo{n}", "osg") for n in range(PROJECTS)}, {})

    def runs(self, args: argparse.Namespace) -> None:
        self.timed("first run", NOW)
        self.timed(f"a run after {args.ended} servers ended", NOW + 3600, args.ended)
        self.timed("a run after nothing happened", NOW + 7200, args.ended)
        if args.traffic:
            self.timed("the same, and network counters", NOW + 7300, args.ended, traffic=True)
        self.timed("the run that closes the day", NOW + DAY + 1800, args.ended)
        size = sum(file.stat().st_size for file in self._settings.folder.rglob("*") if file.is_file())
        print(f"most memory {memory():.0f} MiB, state {size / 2**20:.0f} MiB")

    def timed(self, what: str, now: int, ended: int = 0, *, traffic: bool = False) -> None:
        """One run, with a login of its own, and what it took."""
        request = urllib.request.Request(f"{self._address}/now/{now}/{ended}", method="PUT")
        urllib.request.urlopen(request).close()
        wall, cpu = time.perf_counter(), time.process_time()
        auth = v3.Password(f"{self._address}/v3", username="admin", password="x", user_domain_id="default")
        cloud = Cloud(session.Session(auth=auth), name="standin", region="R", interface="public")
        api = NovaApi(cloud, moment(now))
        shown: Optional[float] = None

        def progress(what: str, count: int) -> None:
            nonlocal shown
            if shown is None or time.perf_counter() - shown > 60:
                shown = time.perf_counter()
                print(f"  {what} ... {shown - wall:.0f} s, {memory():.0f} MiB", file=sys.stderr, flush=True)

        parts = Parts(api, lambda users: self._owners, meter=Diagnostics(cloud, moment(now)))
        settings = replace(self._settings, traffic=traffic)
        report = perform(settings, parts, moment(now), progress=progress)
        assert report.ok, report.errors
        assert report.read is not None
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        words = (
            f"{report.read.changed} changed, {report.read.actions_read} actions read, {api.requests} requests"
        )
        print(f"{what:36} {wall:8.1f} s, CPU {cpu:7.1f} s, memory {memory():5.0f} MiB  {words}", flush=True)


if __name__ == "__main__":
    main()
