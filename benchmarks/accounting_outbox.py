"""How fast usage becomes records: into the outbox, and from there into a collector that keeps up.

  python benchmarks/accounting_outbox.py [RECORDS]

The yardsticks are gratia-probe-common's, measured on the same kind of machine: 261 records/s into its outbox, and
162 records/s from there into GRACC. With OSG_SITE_IAAS_GRATIA naming the folder of its Python package, its own
Send() is measured in the same run: on a loaded machine only the ratio says anything.
"""

from __future__ import annotations

import os
import resource
import socket
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
        with collector(SINK) as address:
            gratia = peer(folder / "gratia", address) if os.environ.get("OSG_SITE_IAAS_GRATIA") else (0, 0)
            ratio(f"gratia-probe-common: {PEERS} by Send() to its outbox", PEERS, gratia[0])
            ratio(f"gratia-probe-common: {PEERS} by Send() to a collector", PEERS, gratia[1])
            deliver(store, ledger, settings.folder, address, count, "a collector that only counts", gratia[1])
        again = refill(store, settings.folder, 20)
        standing = [
            sys.executable,
            "-m",
            "osg_site_iaas.sandbox.collector",
            "--state",
            str(folder / "c"),
            "--port",
        ]
        with collector(standing) as address:
            alone(address, again)
            deliver(store, ledger, settings.folder, address, again, "the sandbox's stand-in", 0)
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


PEERS = 500
PEER = """
import sys, time
sys.path.append(sys.argv[1])
import gratia.common.Gratia as g
import gratia.common.global_state as state
g.RegisterReporter("b", "1"); g.RegisterService("b", "1"); g.Initialize(sys.argv[2])
def send(count, kind):
    began = time.perf_counter()
    for n in range(count):
        r = g.UsageRecord("OpenStackVM")
        r.LocalJobId(f"job-{n}"); r.GlobalJobId(f"{kind}#{n}"); r.LocalUserId("u"); r.VOName("/vo0/Role=NULL")
        r.ReportableVOName("vo0"); r.WallDuration(3500); r.CpuDuration(3500, "user"); r.StartTime(1795305600)
        r.EndTime(1795309200); r.Processors(1); g.Send(r)
    return time.perf_counter() - began
state.bundle_size = 100
whole = send(int(sys.argv[3]), "sent")
state.bundle_size = 1 << 30
print(send(int(sys.argv[3]), "kept"), whole)
state.CurrentBundle.clear()
"""
SINK = [
    sys.executable,
    "-c",
    """
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert b"xxx" in body or b"%3C%2FJobUsageRecord%3E" in body or b"ProbeDetails" in body
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"OK")
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
""",
]


def refill(store: Store, folder: Path, bundles: int) -> int:
    """Put some of what was sent back into the outbox, out of the archive; how many records."""
    archive = Archive(folder)
    count = 0
    with store.transaction() as db:
        for bundle in range(1, min(bundles, store.note("bundle") or 0) + 1):
            records = archive.get(bundle)
            count += len(records)
            db.executemany(
                "UPDATE slice SET state = 'new', record = ? WHERE id = ?",
                [(record, number) for number, record in records.items()],
            )
    return count


def peer(folder: Path, address: str) -> tuple[float, float]:
    """gratia-probe-common's own Send(), to its outbox and on to a collector, in the same minute: seconds."""
    for name in ("data", "tmp", "log", "condor"):
        (folder / name).mkdir(parents=True)
    from world import PROBE_CONFIG

    (folder / "ProbeConfig").write_text(PROBE_CONFIG.format(host=address, folder=folder, timeout=60))
    command = [
        sys.executable, "-c", PEER, os.environ["OSG_SITE_IAAS_GRATIA"], str(folder / "ProbeConfig"), str(PEERS)
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    kept, sent = (float(word) for word in done.stdout.split()[-2:])
    return kept, sent


@contextmanager
def collector(command: list[str]) -> Iterator[str]:
    """A collector in a process of its own; its address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen([*command, str(port)], stderr=subprocess.DEVNULL)
    try:
        with Direct(Collector(f"127.0.0.1:{port}"), "p", 100) as sender:
            while sender.ping().words:
                time.sleep(0.2)
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def deliver(
    store: Store, ledger: Ledger, folder: Path, address: str, count: int, to: str, beside: float
) -> None:
    """Everything in the outbox to a collector: sent, archived and acknowledged."""
    now = datetime(2026, 11, 23, tzinfo=timezone.utc)
    began = time.perf_counter()
    with Direct(Collector(address), "p", 100) as sender, timed(f"sent to {to}", count, GRATIA_SENT):
        archive = Archive(folder)
        done = Delivery(store, ledger, archive, sender, now, lambda what, n: None).run(100)
        archive.close()
    took = time.perf_counter() - began
    assert done.sent == count, done
    if beside:
        print(f"    {beside / PEERS * count / took:.1f} times gratia-probe-common beside it")


def alone(address: str, count: int) -> None:
    """What a collector can take at most: bundles one after the other, and nothing else done."""
    slice_ = Slice(uuid(0), BASE, BASE + 3600, SIZES[0], 3500)
    owner = Owner("vo0", "/vo0/Role=NULL", "vo0", "p0", "u")
    probe = Probe("Example-Cloud", "openstack:cloud.example.org", "cloud.example.org", "RegionOne")
    record = render(slice_, Origin("worker-1", "image"), owner, probe)
    bundles = [[record.replace(uuid(0), uuid(n + m)) for m in range(100)] for n in range(0, count, 100)]
    with Direct(Collector(address), "p", 100) as sender, timed("the stand-in alone takes", count):
        for bundle in bundles:
            assert sender.send(bundle, 0).words == ""


def ratio(what: str, count: int, seconds: float) -> None:
    """A line of the peer's."""
    if seconds:
        print(f"{what:52} {count / seconds:9.0f}/s")


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
