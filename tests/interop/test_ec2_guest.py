"""A real guest boots: cloud-init's EC2 datasource asks the metadata door with IMDSv2, and runs its user data.

QEMU without hardware help in a network namespace, so minutes; its image is made once and kept in the cache.
"""

from __future__ import annotations

import json
import re
import secrets

import pytest
from ec2_fixtures import wait_for

from tests.interop import guest
from tests.interop.metadata_rig import port_of, process, way

pytest_plugins = ("ec2_fixtures",)
pytestmark = [pytest.mark.sandbox, pytest.mark.long]

# What the VO's job would be: it says what it sees, and tries to be told of the other instance.
USER_DATA = r"""#!/bin/sh
exec > /dev/ttyS0 2>&1
echo
python3 - <<'EOF'
import json, subprocess, urllib.error, urllib.request

def ask(path, method="GET", **headers):
    url = "http://169.254.169.254/latest/" + path
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=named), timeout=120) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

_, token = ask("api/token", "PUT", X_aws_ec2_metadata_token_ttl_seconds="600")
own = {"X_aws_ec2_metadata_token": token}
query = subprocess.run(["cloud-init", "query", "--all"], capture_output=True, text=True).stdout
saw = {
    "cloud-id": subprocess.run(["cloud-id"], capture_output=True, text=True).stdout.strip(),
    "instance": json.loads(query)["v1"]["instance_id"],
    "hostname": subprocess.run(["hostname"], capture_output=True, text=True).stdout.strip(),
    "without a token": ask("meta-data/instance-id")[0],
    "with a token": ask("meta-data/instance-id", **own),
    "tag": ask("meta-data/tags/instance/VO", **own),
    "document": json.loads(ask("dynamic/instance-identity/document", **own)[1])["instanceId"],
    "mac": ask("meta-data/mac", **own),
    "key": open("/root/.ssh/authorized_keys").read(),
    "as another": [
        ask("user-data", X_Forwarded_For="@OTHER@", **own)[0],
        ask("user-data", X_Instance_ID="@SERVER@", X_Tenant_ID="@PROJECT@", **own)[1].startswith("#!/bin/sh"),
        ask("user-data", X_aws_ec2_metadata_token="@TOKEN@")[0],
    ],
}
print("SAW", json.dumps(saw), flush=True)
EOF
echo GUEST-END
poweroff -f
"""


def test_a_guest_boots_with_the_ids_of_the_api_and_runs_its_user_data(box, admin, ec2, vo, image, tmp_path):
    if guest.missing():
        pytest.fail(f"missing on this machine: {', '.join(guest.missing())}", pytrace=False)
    disk = guest.image()
    ec2.create_key_pair(KeyName="boot", KeyType="ed25519")
    asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": 1, "MaxCount": 1}
    secret = f"of-the-other-{secrets.token_hex(8)}"
    other = ec2.run_instances(**asked, UserData=f"#!/bin/sh\necho {secret}\n")["Instances"][0]["InstanceId"]
    theirs = port_of(vo, other)
    data = USER_DATA.replace("@OTHER@", theirs.fixed_ips[0]["ip_address"]).replace(
        "@SERVER@", theirs.device_id
    )
    data = data.replace("@PROJECT@", vo.project).replace("@TOKEN@", secrets.token_urlsafe(40))
    tags = [
        {
            "ResourceType": "instance",
            "Tags": [{"Key": "VO", "Value": "cms"}, {"Key": "Name", "Value": "pilot"}],
        }
    ]
    name = ec2.run_instances(**asked, KeyName="boot", UserData=data, TagSpecifications=tags)["Instances"][0][
        "InstanceId"
    ]
    port = port_of(vo, name)
    public = vo.cloud.compute.find_keypair("boot").public_key
    console = tmp_path / "console"
    address = port.fixed_ips[0]["ip_address"]
    with guest.network(f"osg{secrets.token_hex(3)}", "10.20.0.1", address) as space:
        dhcp = guest.dhcp_command(space, port.mac_address, tmp_path / "leases")
        boot = guest.boot_command(space, disk, tmp_path, port.mac_address)
        with (
            way(box, admin, space, {"network": port.network_id}, "--require-token", "--tags"),
            process(dhcp, tmp_path / "dhcp.log"),
            process(boot, console) as qemu,
        ):

            def ended() -> bool:
                text = console.read_text(errors="replace")
                assert "GUEST-END" in text or qemu.poll() is None, text[-6000:]
                return "GUEST-END" in text

            wait_for(ended, 2400)
    text = console.read_text(errors="replace")
    saw = json.loads(re.findall(r"SAW (\{.*\})", text)[-1])
    assert secret not in text
    assert public.split()[1] in saw.pop("key")
    assert saw == {
        "cloud-id": "aws",
        "instance": name,
        "hostname": "pilot",
        "mac": [200, port.mac_address],
        "without a token": 401,
        "with a token": [200, name],
        "tag": [200, "cms"],
        "document": name,
        "as another": [403, True, 401],
    }
    ec2.terminate_instances(InstanceIds=[name, other])
    ec2.delete_key_pair(KeyName="boot")
