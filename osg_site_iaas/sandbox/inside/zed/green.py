"""Answers HTTP with green threads, in a process that eventlet has patched."""

import os
import signal

import eventlet
import eventlet.wsgi

import access_log

AT_ONCE = 64


class Silence:
    """eventlet's own access log; ours says more."""

    def write(self, *_):
        pass


def serve(app, args):
    """Serve until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    eventlet.wsgi.server(
        eventlet.listen(("127.0.0.1", args.port), backlog=128),
        access_log.AccessLog(app, args.access_log),
        Silence(),
        custom_pool=eventlet.GreenPool(AT_ONCE),
        log_output=False,
    )
