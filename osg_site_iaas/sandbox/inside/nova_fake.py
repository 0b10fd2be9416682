"""Nova's fake driver, made to survive a restart: the nodes keep their ids, and the guests are read back."""

import uuid

from nova import context, objects
from nova.virt import fake

VCPUS, MEMORY_MB, DISK_GB = 1000, 4_000_000, 60_000


class SandboxDriver(fake.FakeDriver):
    """A compute that can hold hundreds of guests; ids are made from the host's name."""

    vcpus = VCPUS
    memory_mb = MEMORY_MB
    local_gb = DISK_GB

    def init_host(self, host):
        super().init_host(host)
        for guest in objects.InstanceList.get_by_host(context.get_admin_context(), host):
            self.instances[guest.uuid] = fake.FakeInstance(guest.name, guest.power_state, guest.uuid)
            flavor = guest.flavor
            self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)

    def get_nodenames_by_uuid(self, refresh=False):
        return {_node_id(name): name for name in self.get_available_nodes()}

    def get_available_resource(self, nodename):
        resource = super().get_available_resource(nodename)
        resource["uuid"] = _node_id(nodename)
        return resource

    def get_host_uptime(self):
        return "1 day"


def _node_id(name):
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


# compute_driver is looked up below nova.virt, and nowhere else.
fake.SandboxDriver = SandboxDriver
