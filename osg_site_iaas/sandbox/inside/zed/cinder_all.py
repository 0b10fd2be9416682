"""cinder-api, scheduler and volume service in one process of green threads, with no message server."""

import eventlet

eventlet.monkey_patch()

import sys  # noqa: E402
import threading  # noqa: E402
from pathlib import Path  # noqa: E402

# As Cinder's own programs do, for https://github.com/eventlet/eventlet/issues/592
import __original_module_threading as original_threading  # noqa: E402

original_threading.current_thread.__globals__["_active"] = threading._active

import os_brick  # noqa: E402
from cinder import service  # noqa: E402
from cinder.wsgi import wsgi  # noqa: E402
from oslo_config import cfg  # noqa: E402

sys.path.insert(0, str(Path(__file__).parents[1]))

import green  # noqa: E402

import serve  # noqa: E402
import sqlite_tuning  # noqa: E402, F401

BACKEND = "files"
CONF = cfg.CONF


def main():
    parser = serve.parser()
    parser.add_argument("--conf", required=True)
    args = parser.parse_args()
    sys.argv = ["cinder-sandbox", "--config-file", args.conf]
    app = wsgi.initialize_application()
    if hasattr(os_brick, "setup"):
        os_brick.setup(CONF)
    # The scheduler first: the volume service tells it once, as it starts, what it can hold.
    running = [service.Service.create(binary="cinder-scheduler")]
    running[0].start()
    volume = service.Service.create(
        binary="cinder-volume", host=f"{CONF.host}@{BACKEND}", service_name=BACKEND, coordination=False
    )
    volume.start()
    running.append(volume)
    green.serve(app, args)


main()
