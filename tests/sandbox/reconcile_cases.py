"""Every kind in one site: how it is declared, changed by hand, declared otherwise, and what becomes of it then.

One row a kind. Keys and texts hold {t}, the tag of the test's own site.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from tests.sandbox.reconcile_kit import Rig

DATA = b"not a disk, but as good as one\n" * 3000
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


def whole(rig: Rig) -> dict[str, Any]:
    """The sections of a site that has something of every kind."""
    t = rig.tag
    (rig.folder / "disk.raw").write_bytes(DATA)
    return {
        "flavours": {
            f"{t}.small": {
                "vcpus": 1,
                "ram": "1 GiB",
                "disk": "5 GiB",
                "properties": {"hw:cpu_policy": "shared"},
            },
            f"{t}.gpu": {"vcpus": 2, "ram": "2 GiB", "disk": "5 GiB", "vos": ["cms"]},
        },
        "networks": {
            f"{t}-public": {
                "external": True,
                "provider": {"network_type": "flat", "physical_network": f"p{t}"},
                "subnets": {f"{t}-public-v4": {"cidr": "192.0.2.0/24", "dhcp": False}},
            },
            f"{t}-workers": {
                "shared": True,
                "subnets": {f"{t}-workers-v4": {"cidr": "198.51.100.0/24", "dns": ["192.0.2.53"]}},
            },
            f"{t}-cms": {"vo": "cms", "subnets": {f"{t}-cms-v4": {"cidr": "203.0.113.0/24"}}},
        },
        "routers": {f"{t}-router": {"vo": "cms", "external": f"{t}-public", "subnets": [f"{t}-cms-v4"]}},
        "security_groups": {
            f"{t}-workers": {
                "vo": "cms",
                "description": "workers",
                "rules": [
                    {"direction": "egress"},
                    {"protocol": "tcp", "ports": 9618, "remote": "192.0.2.0/24"},
                    {"protocol": "tcp", "ports": "30000-32000", "remote_group": f"{t}-workers"},
                ],
            }
        },
        "images": {
            f"{t}-disk": {
                "source": "file:disk.raw",
                "checksum": f"sha256:{hashlib.sha256(DATA).hexdigest()}",
                "disk_format": "raw",
                "properties": {"os_distro": "almalinux"},
                "vos": ["cms"],
            }
        },
        "identity_providers": {f"grid-{t}": {"type": "x509"}},
        "vos": {
            "cms": {
                "description": "Compact Muon Solenoid",
                "enabled": True,  # stated, so that disabling by hand is drift
                "access": [{"fqan": "/cms/*"}],
                "quota": {
                    "compute": {"instances": 10, "cores": 20, "ram": "40 GiB"},
                    "network": {"network": 12},
                    "object": {"bytes": "1 GiB"},
                    **({"volume": {"volumes": 12}} if rig.hand.has("volume") else {}),
                },
                "service_users": {"pilot": {"ec2_key": True}, "bot": {"password": "generated"}},
            },
            "icecube": {
                "access": [{"fqan": "/icecube/*"}],
                "buckets": {f"{t}-scratch": {"quota": "5 MiB", "public_read": False}},
            },
        },
    }


@dataclass(frozen=True)
class Case:
    """One object of one kind."""

    kind: str
    key: tuple[str, ...]
    by_hand: Optional[Callable[[Rig, str], Any]] = None  # with the id that apply has seen
    drift: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)  # what the plan shows: before, after
    gone: bool = False  # by_hand takes it away, so that the plan makes it again
    declare: Optional[Callable[[dict[str, Any], str], Any]] = None
    declared: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    end: tuple[str, ...] = ()  # what plan says when it is no longer declared, with --prune from the second on

    def ref(self, tag: str) -> tuple[str, ...]:
        return tuple(part.replace("{t}", tag) for part in self.key)

    def __str__(self) -> str:
        return self.kind


def _patch(path: str, member: str, **attributes: Any) -> Callable[[Rig, str], Any]:
    return lambda rig, id: rig.hand.send("PATCH", "identity", f"{path}/{id}", json={member: attributes})


def _put(path: str, member: str, **attributes: Any) -> Callable[[Rig, str], Any]:
    return lambda rig, id: rig.hand.send("PUT", "network", f"{path}/{id}", json={member: attributes})


def _marked(text: str) -> Callable[[Rig], str]:
    return lambda rig: f"{text} [osg-site-iaas {rig.domain}]"


def _group_by_hand(rig: Rig, id: str) -> None:
    rig.hand.send("PATCH", "identity", f"/groups/{id}", json={"group": {"description": _marked("hand")(rig)}})


def _domain_by_hand(rig: Rig, id: str) -> None:
    rig.hand.send(
        "PATCH", "identity", f"/domains/{id}", json={"domain": {"description": _marked("hand")(rig)}}
    )


def _security_group_by_hand(rig: Rig, id: str) -> None:
    body = {"security_group": {"description": _marked("hand")(rig)}}
    rig.hand.send("PUT", "network", f"/security-groups/{id}", json=body)


def _rule_by_hand(rig: Rig, id: str) -> None:
    body = {"security_group_id": id, "direction": "ingress", "protocol": "tcp", "port_range_min": 22}
    body |= {"port_range_max": 22, "ethertype": "IPv4"}
    rig.hand.post("network", "/security-group-rules", {"security_group_rule": body})


def _mapping_by_hand(rig: Rig, id: str) -> None:
    path = f"/OS-FEDERATION/mappings/{id}"
    rules = rig.hand.get("identity", path)["mapping"]["rules"]
    rig.hand.send("PATCH", "identity", path, json={"mapping": {"rules": rules[:1]}})


def _protocol_by_hand(rig: Rig, id: str) -> None:
    rig.hand.send("DELETE", "identity", f"/OS-FEDERATION/identity_providers/grid-{rig.tag}/protocols/{id}")


def _compute_quota(rig: Rig, id: str) -> None:
    rig.hand.send("PUT", "compute", f"/os-quota-sets/{id}", json={"quota_set": {"cores": 7}})


def _volume_quota(rig: Rig, id: str) -> None:
    rig.hand.send("PUT", "volume", f"/os-quota-sets/{id}", json={"quota_set": {"volumes": 3}})


def _object_quota(rig: Rig, id: str) -> None:
    url = rig.hand.account(id)
    assert rig.hand.http.post(url, headers={"X-Account-Meta-Quota-Bytes": "5"}, timeout=60).status_code == 204


def _specs(rig: Rig, id: str) -> None:
    rig.hand.post("compute", f"/flavors/{id}/os-extra_specs", {"extra_specs": {"hw:cpu_policy": "dedicated"}})


def _no_access(rig: Rig, id: str) -> None:
    flavour, project = id.split()
    rig.hand.post("compute", f"/flavors/{flavour}/action", {"removeTenantAccess": {"tenant": project}})


def _unplug(rig: Rig, id: str) -> None:
    (port,) = rig.hand.get("network", f"/ports?device_id={id}&device_owner=network:router_interface")["ports"]
    body = {"port_id": port["id"]}
    rig.hand.send("PUT", "network", f"/routers/{id}/remove_router_interface", json=body)


def _image(rig: Rig, id: str) -> None:
    steps = [{"op": "replace", "path": "/os_distro", "value": "debian"}]
    rig.hand.send("PATCH", "image", f"/images/{id}", json=steps, headers=PATCH)


def _member(rig: Rig, id: str) -> None:
    image, project = id.split()
    rig.hand.send("DELETE", "image", f"/images/{image}/members/{project}")


def _bucket(rig: Rig, id: str) -> None:
    project, name = id.split("/")
    url = f"{rig.hand.account(project)}/{name}"
    assert rig.hand.http.post(url, headers={"X-Container-Read": ".r:*"}, timeout=60).status_code == 204


def _credential(rig: Rig, id: str) -> None:
    rig.hand.send("DELETE", "identity", f"/credentials/{id}")


def _assignment(rig: Rig, id: str) -> None:
    rig.hand.send("DELETE", "identity", id)


ROLE = ("group", "cms-member", "member", "cms")

CASES = (
    Case("domain", ("rec-{t}",), _domain_by_hand, {"description": ("hand", "VOs of Test")}),
    Case(
        "project",
        ("cms",),
        _patch("/projects", "project", enabled=False),
        {"enabled": (False, True)},
        declare=lambda data, t: data["vos"]["cms"].update(description="CMS"),
        declared={"description": ("Compact Muon Solenoid", "CMS")},
        end=("held", "disable", "remove"),
    ),
    Case(
        "group",
        ("cms-member",),
        _group_by_hand,
        {"description": ("hand", "member of cms"), "access": ([], ["fqan /cms/*"])},
        end=("remove",),
    ),
    Case(
        "user",
        ("cms-pilot",),
        _patch("/users", "user", enabled=False),
        {"enabled": (False, True)},
        end=("held", "disable", "remove"),
    ),
    Case("role_assignment", ROLE, _assignment, gone=True, end=("remove",)),
    Case("ec2_credential", ("cms-pilot",), _credential, gone=True, end=("remove",)),
    Case(
        "identity_provider",
        ("grid-{t}",),
        _patch("/OS-FEDERATION/identity_providers", "identity_provider", authorization_ttl=7),
        {"authorization_ttl": (7, 5760)},
        declare=lambda data, t: data["identity_providers"][f"grid-{t}"].update(authorization_ttl=60),
        declared={"authorization_ttl": (5760, 60)},
        end=("remove",),
    ),
    Case(
        "mapping",
        ("osg-site-iaas-grid-{t}",),
        _mapping_by_hand,
        {"rules": (1, 2)},
        declare=lambda data, t: data["vos"]["icecube"]["access"].append(
            {"fqan": "/icecube/x", "role": "reader"}
        ),
        declared={"rules": (2, 3)},
        end=("remove",),
    ),
    Case("protocol", ("grid-{t}", "mapped"), _protocol_by_hand, gone=True, end=("remove",)),
    Case(
        "compute_quota",
        ("cms",),
        _compute_quota,
        {"cores": (7, 20)},
        declare=lambda data, t: data["vos"]["cms"]["quota"]["compute"].update(cores=16),
        declared={"cores": (20, 16)},
    ),
    Case(
        "network_quota",
        ("cms",),
        _put("/quotas", "quota", network=3),
        {"network": (3, 12)},
        declare=lambda data, t: data["vos"]["cms"]["quota"]["network"].update(network=13),
        declared={"network": (12, 13)},
    ),
    Case(
        "volume_quota",
        ("cms",),
        _volume_quota,
        {"volumes": (3, 12)},
        declare=lambda data, t: data["vos"]["cms"]["quota"]["volume"].update(volumes=14),
        declared={"volumes": (12, 14)},
    ),
    Case(
        "object_quota",
        ("cms",),
        _object_quota,
        {"bytes": (5, 1 << 30)},
        declare=lambda data, t: data["vos"]["cms"]["quota"]["object"].update(bytes="2 GiB"),
        declared={"bytes": (1 << 30, 2 << 30)},
    ),
    Case(
        "flavour",
        ("{t}.small",),
        _specs,
        {"properties": ({"hw:cpu_policy": "dedicated"}, {"hw:cpu_policy": "shared"})},
        declare=lambda data, t: data["flavours"][f"{t}.small"].update(vcpus=2),
        declared={"vcpus": (1, 2)},
        end=("held", "remove"),
    ),
    Case("flavour_access", ("{t}.gpu", "cms"), _no_access, gone=True, end=("remove",)),
    Case(
        "network",
        ("", "{t}-workers"),
        _put("/networks", "network", shared=False),
        {"shared": (False, True)},
        declare=lambda data, t: data["networks"][f"{t}-workers"].update(mtu=1300),
        declared={"mtu": (1500, 1300)},
        end=("held", "remove"),
    ),
    Case(
        "subnet",
        ("", "{t}-workers", "{t}-workers-v4"),
        _put("/subnets", "subnet", dns_nameservers=["203.0.113.9"]),
        {"dns_nameservers": (["203.0.113.9"], ["192.0.2.53"])},
        declare=lambda data, t: data["networks"][f"{t}-workers"]["subnets"][f"{t}-workers-v4"].update(
            dhcp=False
        ),
        declared={"enable_dhcp": (True, False)},
        end=("held", "remove"),
    ),
    Case(
        "router",
        ("cms", "{t}-router"),
        _unplug,
        {"subnets": ([], ["{t}-cms-v4"])},
        declare=lambda data, t: data["routers"][f"{t}-router"].pop("external"),
        declared={"external": ("{t}-public", None)},
        end=("held", "remove"),
    ),
    Case(
        "security_group",
        ("cms", "{t}-workers"),
        _security_group_by_hand,
        {"description": ("hand", "workers")},
        declare=lambda data, t: data["security_groups"][f"{t}-workers"].update(description="nodes"),
        declared={"description": ("workers", "nodes")},
        end=("held", "remove"),
    ),
    Case(
        "security_group_rules",
        ("cms", "{t}-workers"),
        _rule_by_hand,
        {"rules": (4, 3)},
        declare=lambda data, t: data["security_groups"][f"{t}-workers"]["rules"].append({"protocol": "icmp"}),
        declared={"rules": (3, 4)},
    ),
    Case(
        "image",
        ("{t}-disk",),
        _image,
        {"property os_distro": ("debian", "almalinux")},
        declare=lambda data, t: data["images"][f"{t}-disk"].update(min_ram="1 GiB"),
        declared={"min_ram": (0, 1024)},
        end=("held", "disable", "remove"),
    ),
    Case("image_member", ("{t}-disk", "cms"), _member, gone=True, end=("remove",)),
    Case(
        "bucket",
        ("icecube", "{t}-scratch"),
        _bucket,
        {"public_read": (True, False)},
        declare=lambda data, t: data["vos"]["icecube"]["buckets"][f"{t}-scratch"].update(quota="6 MiB"),
        declared={"quota_bytes": (5 << 20, 6 << 20)},
        end=("held", "remove"),
    ),
)
BY_KIND = {case.kind: case for case in CASES}


def many(number: int, *, volumes: bool) -> dict[str, Any]:
    """Sections of a site of so many VOs, each with every quota and two service users with keys."""
    quota: dict[str, Any] = {
        "compute": {"instances": 11, "cores": 22, "ram": "44 GiB"},
        "network": {"network": 5, "floatingip": 3},
        "object": {"bytes": "1 GiB"},
    }
    if volumes:
        quota["volume"] = {"volumes": 12, "gigabytes": 120}
    return {
        "defaults": {"quota": quota},
        "vos": {
            f"vo{index:03d}": {
                "access": [{"fqan": f"/vo{index:03d}/*"}],
                "service_users": {"pilot": {"ec2_key": True}, "data": {"ec2_key": True}},
            }
            for index in range(number)
        },
    }
