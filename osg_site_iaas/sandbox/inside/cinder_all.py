"""cinder-api, scheduler and volume service in one process of threads, with no message server."""

from cinder import monkey_patch

monkey_patch.patch(backend="threading")

import sys  # noqa: E402

import os_brick  # noqa: E402
from cinder import service  # noqa: E402
from cinder.wsgi import wsgi  # noqa: E402
from oslo_config import cfg  # noqa: E402

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
    os_brick.setup(CONF)
    # The scheduler first: the volume service tells it once, as it starts, what it can hold.
    running = [service.Service.create(binary="cinder-scheduler")]
    running[0].start()
    volume = service.Service.create(
        binary="cinder-volume", host=f"{CONF.host}@{BACKEND}", service_name=BACKEND, coordination=False
    )
    volume.start()
    running.append(volume)
    serve.serve(app, args)


main()
