"""What an instance can ask about itself at 169.254.169.254: paths and answers, values in, values out."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Mapping, Optional, Union

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.instances import launch_index, reservation_id

MAX_TOKEN_SECONDS = 21600  # six hours, as in EC2
VERSIONS = ("1.0", "2009-04-04", "2016-09-02", "2021-03-23", "latest")

Node = Union[str, "dict[str, Node]"]


def make_token(key: bytes, instance: str, seconds: int, now: Optional[float] = None) -> str:
    """A session token that is good for one instance until it expires; nothing is stored."""
    until = int((time.time() if now is None else now) + seconds)
    text = f"{until}.{instance}"
    digest = hmac.new(key, text.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(f"{until}.".encode() + digest).decode("ascii")


def token_is_good(key: bytes, instance: str, token: str, now: Optional[float] = None) -> bool:
    """Whether a token was made for this instance and has not expired. Compared in constant time."""
    try:
        until, _, digest = base64.urlsafe_b64decode(token.encode("ascii", "replace")).partition(b".")
        moment = int(until)
    except ValueError:
        return False
    expected = hmac.new(key, f"{moment}.{instance}".encode(), hashlib.sha256).digest()
    fresh = moment > (time.time() if now is None else now)
    return hmac.compare_digest(expected, digest) and fresh


def signed_by_agent(secret: str, instance: str, signature: str) -> bool:
    """Whether Neutron's metadata agent said that the request is this instance's."""
    expected = hmac.new(secret.encode(), instance.encode(), hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature)


def document(one: Mapping[str, Any], account: str, region: str) -> str:
    """The instance identity document. It is not signed: it tells a guest, and proves nothing to others."""
    return json.dumps(
        {
            "accountId": account,
            "architecture": one["Architecture"],
            "availabilityZone": one["Placement"]["AvailabilityZone"],
            "billingProducts": None,
            "devpayProductCodes": None,
            "imageId": one["ImageId"],
            "instanceId": one["InstanceId"],
            "instanceType": one["InstanceType"],
            "kernelId": None,
            "marketplaceProductCodes": None,
            "pendingTime": f"{one['LaunchTime']:%Y-%m-%dT%H:%M:%SZ}" if one["LaunchTime"] else None,
            "privateIp": one["PrivateIpAddress"],
            "ramdiskId": None,
            "region": region,
            "version": "2017-09-30",
        },
        indent=1,
    )


def tree(
    server: Mapping[str, Any],
    one: Mapping[str, Any],
    account: str,
    region: str,
    public_key: Optional[str],
    *,
    with_tags: bool,
) -> dict[str, Node]:
    """Everything below a version: ``one`` is the instance as the API describes it."""
    zone = one["Placement"]["AvailabilityZone"]
    hostname = str(server.get("OS-EXT-SRV-ATTR:hostname") or server.get("name") or "")
    data: dict[str, Node] = {
        "ami-id": one["ImageId"] or "",
        "ami-launch-index": str(launch_index(server)),
        "ami-manifest-path": "(unknown)",
        "block-device-mapping": {"ami": "vda", "root": one["RootDeviceName"]},
        "hostname": hostname,
        "instance-action": "none",
        "instance-id": one["InstanceId"],
        "instance-type": one["InstanceType"] or "",
        "local-hostname": hostname,
        "local-ipv4": one["PrivateIpAddress"] or "",
        "placement": {"availability-zone": zone, "region": region},
        "public-hostname": one["PublicDnsName"] or "",
        "public-ipv4": one["PublicIpAddress"] or "",
        "reservation-id": reservation_id(server),
        "security-groups": "\n".join(str(group["GroupName"]) for group in one["SecurityGroups"]),
    }
    interfaces = _interfaces(server)
    if interfaces:
        data["mac"] = next(iter(interfaces))
        data["network"] = {"interfaces": {"macs": {mac: dict(one) for mac, one in interfaces.items()}}}
    if public_key:
        name = str(server.get("key_name"))
        data["public-keys"] = {"0": {"openssh-key": public_key.strip() + "\n", "_": f"0={name}"}}
    if with_tags:
        tags = marks.tags_of(server.get("metadata") or {})
        # A key with a slash cannot be a step of a path; EC2 does not allow it with this either.
        data["tags"] = {"instance": {key: value for key, value in tags.items() if "/" not in key}}
    top: dict[str, Node] = {
        "meta-data": data,
        "dynamic": {"instance-identity": {"document": document(one, account, region)}},
    }
    if server.get("OS-EXT-SRV-ATTR:user_data"):
        top["user-data"] = base64.b64decode(str(server["OS-EXT-SRV-ATTR:user_data"])).decode("latin-1")
    return top


def _interfaces(server: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By MAC address, the first one first: what cloud-init configures a guest's network from."""
    found: dict[str, dict[str, str]] = {}
    for listed in (server.get("addresses") or {}).values():
        for one in listed:
            mac = one.get("OS-EXT-IPS-MAC:mac_addr")
            if not mac or one.get("OS-EXT-IPS:type") == "floating":
                continue
            fresh = {"device-number": str(len(found)), "mac": str(mac)}
            kind = "local-ipv4s" if one.get("version") == 4 else "ipv6s"
            known = found.setdefault(str(mac), fresh)
            known[kind] = f"{known[kind]}\n{one['addr']}" if kind in known else str(one["addr"])
    return found


def _listing(node: Mapping[str, Node]) -> str:
    lines = []
    for name, below in node.items():
        if name == "_":  # how a public key is listed, and no path of its own
            continue
        if isinstance(below, dict):
            lines.append(str(below["_"]) if "_" in below else f"{name}/")
        else:
            lines.append(name)
    return "\n".join(lines)


def look_up(root: Mapping[str, Node], path: str) -> Optional[bytes]:
    """The answer to a path below a version: a value, or the names below it; None where there is nothing."""
    node: Node = dict(root)
    for step in (part for part in path.split("/") if part):
        if not isinstance(node, dict) or step not in node or step == "_":
            return None
        node = node[step]
    if isinstance(node, dict):
        return _listing(node).encode()
    return node.encode("latin-1") if path.strip("/") == "user-data" else node.encode()
