"""Answers HTTP, and TLS where asked, for one WSGI application with cheroot's threads."""

import argparse
import importlib
import os
import signal
import sys
import threading

from cheroot import wsgi

import access_log


def load(name):
    """The object named ``module:attribute``."""
    module, attribute = name.split(":")
    return getattr(importlib.import_module(module), attribute)


def parser():
    """What every program that serves understands."""
    p = argparse.ArgumentParser()
    p.add_argument("--port", type=int, required=True)
    p.add_argument("--threads", type=int, default=8)
    p.add_argument("--access-log", required=True)
    return p


class Input:
    """A request's body that the application cannot close: Glance does, and cheroot then loses the connection."""

    def __init__(self, body):
        self.read = body.read
        self.readline = body.readline
        self.readlines = body.readlines
        self.body = body

    def __iter__(self):
        return iter(self.body)

    def close(self):
        pass


def keep_input_open(app):
    """The application, given bodies of that kind."""

    def call(environ, start_response):
        environ["wsgi.input"] = Input(environ["wsgi.input"])
        return app(environ, start_response)

    return call


def serve(app, args, tls=None):
    """Serve until SIGTERM; ``tls`` is (port, adapter) of a second door."""
    # The threads do no clean-up worth waiting for: what matters is in SQLite's files.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = access_log.AccessLog(keep_input_open(app), args.access_log)
    server = wsgi.Server(("127.0.0.1", args.port), app, numthreads=args.threads, request_queue_size=128)
    servers = [server]
    if tls:
        second = wsgi.Server(("127.0.0.1", tls[0]), app, numthreads=4, request_queue_size=128)
        second.ssl_adapter = tls[1]
        servers.append(second)
    for each in servers:
        each.prepare()
    for each in servers[1:]:
        threading.Thread(target=each.serve, daemon=True).start()
    server.serve()


def main():
    p = parser()
    p.add_argument("--app", required=True)
    p.add_argument("--wrap", help="module:attribute of a function that takes the application and returns one")
    p.add_argument("--wrap-path", help="where that module is, if not in the services' own environment")
    p.add_argument("--tls-port", type=int)
    p.add_argument("--cert")
    p.add_argument("--key")
    p.add_argument("--ca")
    args = p.parse_args()
    sys.argv = sys.argv[:1]  # the application parses what it finds there
    import sqlite_tuning  # noqa: F401

    app = load(args.app)
    if args.wrap:
        # Last, so that the services' own libraries go before any of the same name there.
        sys.path.append(args.wrap_path)
        app = load(args.wrap)(app)
    tls = None
    if args.tls_port:
        import grid_tls

        tls = (args.tls_port, grid_tls.Adapter(args.cert, args.key, args.ca))
    serve(app, args, tls)


if __name__ == "__main__":
    main()
