"""Swift's proxy, account, container and object server in one process of green threads."""

import eventlet

eventlet.monkey_patch()

import argparse  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402

import eventlet.wsgi  # noqa: E402
from swift.common import constraints, storage_policy, utils  # noqa: E402
from swift.common.ring import RingBuilder  # noqa: E402
from swift.common.wsgi import SwiftHttpProtocol, loadapp  # noqa: E402

import access_log  # noqa: E402


class Silence:
    """eventlet's own access log; ours says more."""

    def write(self, *_):
        pass


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
            app = access_log.AccessLog(app, args.access_log)
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
