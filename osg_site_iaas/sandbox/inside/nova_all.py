"""nova-api, conductor, scheduler and several fake computes in one process, with no message server."""

from nova import monkey_patch

monkey_patch.patch(backend="threading")

import os  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
import time  # noqa: E402
import urllib.error  # noqa: E402
import urllib.request  # noqa: E402
import uuid  # noqa: E402
from pathlib import Path  # noqa: E402

import nova.conf  # noqa: E402
import os_vif  # noqa: E402
from nova import config, context, objects, service  # noqa: E402
from nova.api.openstack import wsgi_app  # noqa: E402
from nova.compute import rpcapi as compute_rpcapi  # noqa: E402
from nova.conductor import rpcapi as conductor_rpcapi  # noqa: E402
from nova.objects import host_mapping  # noqa: E402
from nova.scheduler import rpcapi as scheduler_rpcapi  # noqa: E402
from oslo_log import log as logging  # noqa: E402
from oslo_service import opts as service_options  # noqa: E402

import serve  # noqa: E402
import sqlite_tuning  # noqa: E402, F401

CONF = nova.conf.CONF
LOG = logging.getLogger("sandbox.nova")


def wait_for(urls):
    """Placement must answer before the first compute starts, or its inventory comes only minutes later."""
    for url in urls:
        while True:
            try:
                urllib.request.urlopen(url, timeout=10).close()
                break
            except urllib.error.HTTPError as answer:
                if answer.code < 500:
                    break
            except OSError:
                pass
            time.sleep(0.2)


def start(binary, topic, alternative=None, host=None):
    made = service.Service.create(host=host, binary=binary, topic=topic, topic_alt=alternative)
    made.start()
    return made


def discover(count):
    """Put every compute into its cell, as the hosts appear; then stop looking."""
    while True:
        try:
            host_mapping.discover_hosts(context.get_admin_context())
            if len(objects.HostMappingList.get_all(context.get_admin_context())) >= count:
                return
        except Exception:
            LOG.exception("computes not discovered yet")
        time.sleep(1)


def main():
    args = serve.parser().parse_args()
    sys.argv = ["nova-sandbox"]
    computes = [f"fake-{number}" for number in range(1, int(os.environ["SANDBOX_COMPUTES"]) + 1)]
    config.parse_args(sys.argv, default_config_files=[os.environ["OS_NOVA_CONFIG_DIR"] + "/nova.conf"])
    logging.setup(CONF, "nova")
    objects.register_all()
    service_options.register_service_opts(CONF)
    os_vif.initialize()
    identity = Path(CONF.state_path) / "compute_id"
    if not identity.exists():
        identity.write_text(str(uuid.uuid4()))
    import nova_fake  # noqa: F401

    wsgi_app.init_global_data = lambda *_args, **_more: None
    app = wsgi_app.init_application("osapi_compute", "nova-api-os-compute")
    wait_for(os.environ["SANDBOX_WAIT_FOR"].split())
    running = [
        start("nova-conductor", conductor_rpcapi.RPC_TOPIC),
        start("nova-scheduler", scheduler_rpcapi.RPC_TOPIC),
    ]
    for host in computes:
        running.append(start("nova-compute", compute_rpcapi.RPC_TOPIC, compute_rpcapi.RPC_TOPIC_ALT, host))
    discover(len(computes))
    serve.serve(app, args)


threading.current_thread().name = "main"
main()
