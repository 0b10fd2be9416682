"""How fast usage becomes records: into the outbox, and from there into a collector that keeps up.

  python benchmarks/accounting_outbox.py [RECORDS]

The yardsticks are gratia-probe-common's, measured on the same kind of machine: 261 records/s into its outbox, and
162 records/s from there into GRACC. With OSG_SITE_IAAS_GRATIA naming the folder of its Python package, its own
Send() is measured in the same run: on a loaded machine only the ratio says anything.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/unit/accounting")]

from nova_history import SIZES  # noqa: E402

from osg_site_iaas.accounting.archive import Archive  # noqa: E402
from osg_site_iaas.accounting.closing import Limits, close  # noqa: E402
from osg_site_iaas.accounting.deliver import Delivery  # noqa: E402
from osg_site_iaas.accounting.ledger import NEW, Entry, Ledger  # noqa: E402
from osg_site_iaas.accounting.model import Action, Place, Sighting, Slice  # noqa: E402
from osg_site_iaas.accounting.observed import Observed, Seen  # noqa: E402
from osg_site_iaas.accounting.owners import Name, Owners  # noqa: E402
from osg_site_iaas.accounting.record import Origin, Owner, Probe, render  # noqa: E402
from osg_site_iaas.accounting.send import Direct  # noqa: E402
from osg_site_iaas.accounting.settings import Collector, from_site  # noqa: E402
from osg_site_iaas.accounting.store import Store  # noqa: E402
from osg_site_iaas.declaration.model import VO, Cloud, Identity, Site  # noqa: E402

BASE = 1795305600
GRATIA_OUTBOX, GRATIA_SENT = 261, 162


def main() -> None:
    """Print a table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU is this process's alone")
    folder = Path(tempfile.mkdtemp(prefix="accounting-"))
    vos = tuple(VO(f"vo{n}", f"vo{n}") for n in range(300))
    site = Site(Path("site.yml"), 1, Identity("Example-Cloud", "cloud.example.org"), Cloud("x"), vos=vos)
    owners = Owners(site, {f"p{n}": Name(f"vo{n}", "osg") for n in range(300)}, {})
    settings = from_site(site, folder / "state")
    with Store(settings.folder) as store:
        observed = Observed(store)
        ledger = Ledger(store, observed)
        with timed("servers and actions stored", count):
            for first in range(0, count, 1000):
                numbers = range(first, min(first + 1000, count))
                observed.see([server(n) for n in numbers], BASE + 4000)
                observed.learn([(uuid(n), actions(n), BASE + 4000) for n in numbers])
        with timed("history to slice to record to outbox", count):
            close(observed, ledger, lambda users: owners, settings, Limits(BASE + 90_000, BASE + 90_000))
        outbox_alone(folder / "alone", count, owners, settings.probe)
        if os.environ.get("OSG_SITE_IAAS_GRATIA"):
            peer(folder / "gratia")
        command = [
            sys.executable, "-m", "osg_site_iaas.sandbox.collector", "--port", "28999", "--state", str(folder / "c")
        ]  # fmt: skip
        collector = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            with Direct(Collector("127.0.0.1:28999"), "p", 100) as sender:
                while sender.ping().words:
                    time.sleep(0.2)
                now = datetime(2026, 11, 23, tzinfo=timezone.utc)
                with timed("sent, archived and acknowledged", count, GRATIA_SENT):
                    archive = Archive(settings.folder)
                    done = Delivery(store, ledger, archive, sender, now, lambda what, n: None).run(100)
                    archive.close()
                assert done.sent == count, done
        finally:
            collector.terminate()
            collector.wait()
    size = sum(file.stat().st_size for file in settings.folder.rglob("*") if file.is_file())
    print(
        f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB, state {size / 2**20:.0f} MiB"
    )


def outbox_alone(folder: Path, count: int, owners: Owners, probe: Probe) -> None:
    """From a slice to a durable record: what a Send() of gratia-probe-common does, without the network."""
    with Store(folder) as store:
        observed = Observed(store)
        ledger = Ledger(store, observed)
        observed.see([server(n) for n in range(count)], BASE + 4000)
        known = observed.due(BASE + 90_000, count=0)
        for first in range(0, count, 500):
            known += observed.known([uuid(n) for n in range(first, min(first + 500, count))])
        slices = [Slice(k.server.uuid, BASE, BASE + 3600, SIZES[0], 3500) for k in known]
        with timed("slice to record to outbox", count, GRATIA_OUTBOX):
            for first in range(0, count, 500):
                batch = []
                for one, found in zip(known[first : first + 500], slices[first : first + 500]):
                    owner = owners.owner(one.project, one.user)
                    assert isinstance(owner, Owner)
                    record = render(found, Origin(one.name, one.image), owner, probe)
                    batch.append((one, [Entry(found, owner.vo, NEW, record)], BASE + 3600, None))
                ledger.add(batch)


PEER = """
import sys, time
sys.path.append(sys.argv[1])
import gratia.common.Gratia as g
import gratia.common.global_state as state
g.RegisterReporter("b", "1"); g.RegisterService("b", "1"); g.Initialize(sys.argv[2])
state.bundle_size = 1 << 30
began, cpu = time.perf_counter(), time.process_time()
for n in range(300):
    r = g.UsageRecord("OpenStackVM")
    r.LocalJobId(f"job-{n}"); r.GlobalJobId(f"job#{n}"); r.LocalUserId("u"); r.VOName("/vo0/Role=NULL")
    r.ReportableVOName("vo0"); r.WallDuration(3500); r.CpuDuration(3500, "user"); r.StartTime(1795305600)
    r.EndTime(1795309200); r.Processors(1); g.Send(r)
print(300 / (time.perf_counter() - began), time.process_time() - cpu)
state.CurrentBundle.clear()
"""


def peer(folder: Path) -> None:
    """gratia-probe-common's own Send() to its outbox, in the same minute on the same machine."""
    for name in ("data", "tmp", "log", "condor"):
        (folder / name).mkdir(parents=True)
    from world import PROBE_CONFIG

    (folder / "ProbeConfig").write_text(PROBE_CONFIG.format(host="127.0.0.1:1", folder=folder, timeout=60))
    command = [sys.executable, "-c", PEER, os.environ["OSG_SITE_IAAS_GRATIA"], str(folder / "ProbeConfig")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rate, cpu = (float(word) for word in done.stdout.split())
    print(f"{'gratia-probe-common: Send() to its outbox':42} {300:8} {rate:25.0f}/s   CPU {cpu:.2f} s")


@contextmanager
def timed(what: str, count: int, yardstick: int = 0) -> Iterator[None]:
    """Print how long the block took."""
    wall, cpu = time.perf_counter(), time.process_time()
    yield
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    times = f"{count / wall / yardstick:6.1f} times {yardstick}/s" if yardstick else ""
    print(
        f"{what:42} {count:8} in {wall:7.2f} s  {count / wall:9.0f}/s   CPU {cpu:.2f} s, {count / cpu:.0f}/s {times}"
    )


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012x}"


def server(number: int) -> Seen:
    sight = Sighting(BASE + 3600, None, SIZES[number % 4], False, Place("host"))
    return Seen(
        uuid(number), f"p{number % 300}", "u", f"worker-{number}", "image", BASE, sight, BASE + 9, BASE + 3600
    )


def actions(number: int) -> list[Action]:
    stop = BASE + 1000 + number % 900
    return [
        Action(BASE, BASE + 9, "create", "r1"), Action(stop, stop + 5, "stop", "r2"),
        Action(stop + 60, stop + 62, "start", "r3"), Action(BASE + 3599, BASE + 3600, "delete", "r4"),
    ]  # fmt: skip


if __name__ == "__main__":
    main()
