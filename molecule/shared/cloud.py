"""What the tests that start real guests share. A guest is emulated: give it minutes on a busy machine."""

import json
import time

LONG = 2400
LOGIN = "OS_CLIENT_CONFIG_FILE=/etc/openstack/clouds.yaml OS_CLOUD=admin"
# Says on the console what it is and what the metadata service answers it.
USER_DATA = r"""#!/bin/sh
exec > /dev/ttyS0 2>&1
echo
python3 - <<'EOF'
import json, socket, urllib.request
def ask(path):
    url = "http://169.254.169.254/latest/meta-data/" + path
    return urllib.request.urlopen(url, timeout=300).read().decode()
saw = {"hostname": socket.gethostname(), "address": ask("local-ipv4"), "id": ask("instance-id")}
print("SAW", json.dumps(saw), flush=True)
EOF
"""
# Nova's own metadata has no EC2 document, for which cloud-init would wait minutes.
OPENSTACK = "cc: {datasource_list: [OpenStack]} end_cc"
# On a busy machine a guest waits minutes for its devices; without ttyS0 in 90 s it would never ask for a login there.
KERNEL = (
    "root=LABEL=root ro console=ttyS0 net.ifnames=0 mitigations=off systemd.default_timeout_start_sec=15min"
)
IMAGE = """
set -e
cd /root/guest
kernel=$(openstack image create --container-format aki --disk-format aki --public --file kernel kernel -f value -c id)
initrd=$(openstack image create --container-format ari --disk-format ari --public --file initrd initrd -f value -c id)
openstack image create --public --container-format bare --disk-format qcow2 --file disk.qcow2 \\
    --property kernel_id=$kernel --property ramdisk_id=$initrd --property os_command_line='{line}' \\
    --property hw_rng_model=virtio guest -f value -c id
"""


def wait_for(what, seconds=LONG):
    """What a function says as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, f"waited {seconds} s for {what.__name__}"
        time.sleep(5)
    return found


class Cloud:
    """The openstack client of a host, as its administrator."""

    def __init__(self, host):
        self.host = host

    def do(self, words):
        return self.host.check_output(f"{LOGIN} openstack {words}")

    def ask(self, words):
        return json.loads(self.do(f"{words} -f json"))

    def image(self, more=""):
        """Has the image `guest`; a second `molecule verify` finds the first one's."""
        line = f"{KERNEL} {more}".strip()
        if not self.ask("image list --name guest"):
            self.host.check_output(f"export {LOGIN}; {IMAGE.format(line=line)}")

    def console(self, server):
        found = self.host.run(f"{LOGIN} openstack console log show {server}")
        return found.stdout if found.succeeded else ""

    def active(self, server):
        """The server, once it runs."""

        def settled():
            found = self.ask(f"server show {server}")
            assert found["status"] != "ERROR", found["fault"]
            return found["status"] == "ACTIVE" and found

        return wait_for(settled, 900)

    def saw(self, server):
        """What the guest's user data says it saw."""

        def said():
            lines = [line for line in self.console(server).splitlines() if line.startswith("SAW {")]
            return lines and json.loads(lines[-1][4:])

        return wait_for(said)

    def login(self, server):
        """Waits until the console asks who is there."""

        def asks():
            return " login:" in self.console(server)

        assert wait_for(asks)
