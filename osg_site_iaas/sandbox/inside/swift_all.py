"""Swift's proxy, account, container and object server in one process of green threads."""

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

import eventlet.wsgi  # noqa: E402
from swift.common import constraints, storage_policy, utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, appconfig, loadapp  # noqa: E402
from swift.container.updater import ContainerUpdater  # noqa: E402

try:
    from swift.common.utils import logs
except ImportError:  # Zed: it was one module
    logs = utils

import access_log  # noqa: E402


class Console(logging.StreamHandler):
    """Where Swift would write to the machine's system log."""

    def __init__(self, **_address):
        super().__init__(sys.stderr)

    def format(self, record):
        return f"{time.strftime('%Y-%m-%d %H:%M:%S')} {record.levelname} {super().format(record)}"


class Silence:
    """eventlet's own access log; ours says more."""

    def write(self, *_):
        pass


class Accountant:
    """Tells accounts what their containers hold, soon after it changed; in a real Swift a daemon does, at leisure."""

    WRITES = ("PUT", "POST", "DELETE", "COPY")

    def __init__(self, app, conf, recon):
        self.app = app
        self.changed = False
        options = {"recon_cache_path": recon, "containers_per_second": "0", "account_suppression_time": "1"}
        self.updater = ContainerUpdater({**appconfig(f"{conf}/container-server.conf"), **options})

    def __call__(self, environ, start_response):
        try:
            return self.app(environ, start_response)
        finally:
            self.changed = self.changed or environ["REQUEST_METHOD"] in self.WRITES

    def work(self):
        pause = 0.5
        while True:
            eventlet.sleep(pause)
            if self.changed:
                self.changed = False
                began = time.monotonic()
                self.updater.run_once()
                # A sweep looks at every container: where there are many, it must not take all the time.
                pause = max(0.5, 5 * (time.monotonic() - began))


def make_ring(path, port):
    """One device, one replica; made anew each time since ports may change."""
    builder = RingBuilder(4, 1, 1)
    builder.add_dev(
        {"region": 1, "zone": 1, "ip": "127.0.0.1", "port": port, "replication_ip": "127.0.0.1",
         "replication_port": port, "device": "d1", "weight": 1, "meta": ""}
    )  # fmt: skip
    builder.rebalance()
    builder.get_ring().save(path)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--conf", required=True)
    p.add_argument("--devices", required=True)
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--access-log", required=True)
    p.add_argument("backends", nargs="+", help="kind=port")
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.ThreadSafeSysLogHandler = Console
    utils.set_swift_dir(args.conf)
    constraints.reload_constraints()
    storage_policy.reload_storage_policies()
    utils.validate_configuration()
    ports = [backend.split("=") for backend in args.backends]
    for kind, port in ports:
        make_ring(f"{args.conf}/{kind}.ring.gz", int(port))
    servers = []
    for kind, port in [*ports, ("proxy", args.port)]:
        app = loadapp(f"{args.conf}/{kind}-server.conf", global_conf={})
        if kind == "proxy":
            accountant = Accountant(app, args.conf, args.devices)
            eventlet.spawn(accountant.work)
            app = access_log.AccessLog(accountant, args.access_log)
        listener = eventlet.listen(("127.0.0.1", int(port)), backlog=256)
        servers.append(
            eventlet.spawn(
                eventlet.wsgi.server,
                listener,
                app,
                Silence(),
                protocol=SwiftHttpProtocol,
                custom_pool=eventlet.GreenPool(512),
                log_output=False,
            )
        )
    for server in servers:
        server.wait()


main()
