"""nova-api, conductor, scheduler and several fake computes in one process of green threads."""

import nova.monkey_patch  # noqa: I001 - first of all

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import nova.conf
import os_vif
from nova import config, context, objects, service
from nova.api.openstack import wsgi_app
from nova.compute import rpcapi as compute_rpcapi
from nova.conductor import rpcapi as conductor_rpcapi
from nova.objects import host_mapping
from nova.scheduler import rpcapi as scheduler_rpcapi
from nova.virt import fake
from oslo_log import log as logging
from oslo_service import _options as service_options

sys.path.insert(0, str(Path(__file__).parents[1]))

import green

import serve
import sqlite_tuning  # noqa: F401

CONF = nova.conf.CONF
LOG = logging.getLogger("sandbox.nova")


class SandboxDriver(fake.FakeDriver):
    """A compute that can hold hundreds of guests, and reads them back when it starts again."""

    vcpus, memory_mb, local_gb = 1000, 4_000_000, 60_000

    def init_host(self, host):
        super().init_host(host)
        for guest in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            self.instances[guest.uuid] = fake.FakeInstance(guest.name, guest.power_state, guest.uuid)
            flavor = guest.flavor
            self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)

    def get_host_uptime(self):
        return "1 day"


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


def start(binary, topic, host=None):
    made = service.Service.create(host=host, binary=binary, topic=topic)
    made.start()
    return made


def discover(count):
    """Put every compute into its cell."""
    while len(objects.HostMappingList.get_all(context.get_admin_context())) < count:
        host_mapping.discover_hosts(context.get_admin_context())
        time.sleep(0.5)


def main():
    args = serve.parser().parse_args()
    sys.argv = ["nova-sandbox"]
    computes = [f"fake-{number}" for number in range(1, int(os.environ["SANDBOX_COMPUTES"]) + 1)]
    config.parse_args(sys.argv, default_config_files=[os.environ["OS_NOVA_CONFIG_DIR"] + "/nova.conf"])
    logging.setup(CONF, "nova")
    objects.register_all()
    CONF.register_opts(service_options.service_opts)
    os_vif.initialize()
    # compute_driver is looked up below nova.virt, and nowhere else.
    fake.SandboxDriver = SandboxDriver
    wsgi_app.init_global_data = lambda *_args, **_more: None
    app = wsgi_app.init_application("osapi_compute")
    wait_for(os.environ["SANDBOX_WAIT_FOR"].split())
    running = [
        start("nova-conductor", conductor_rpcapi.RPC_TOPIC),
        start("nova-scheduler", scheduler_rpcapi.RPC_TOPIC),
        *(start("nova-compute", compute_rpcapi.RPC_TOPIC, host) for host in computes),
    ]
    discover(len(computes))
    LOG.info("%s services run", len(running))
    green.serve(app, args)


main()
