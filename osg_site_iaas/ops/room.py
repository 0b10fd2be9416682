"""Whether there is a size, a quota, a host and a network for one more server of a VO."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional
from urllib.parse import urlencode

from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.declaration.model import VO, Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops.finding import Step
from osg_site_iaas.ops.usage import of_project, way_out

GIB = 1 << 30
CANDIDATES = "1.22"  # of Placement's API: traits that a host must not have
SAID = "2.61"  # of Nova's API: flavours with their extra specs


def flavours(cloud: Cloud, project: str, name: Optional[str]) -> tuple[list[Mapping[str, Any]], list[Step]]:
    """The flavours that the VO may use, or the one that is asked for, and why not."""
    listed = cloud.get("compute", "/flavors/detail?is_public=none", version=SAID)["flavors"]
    if name is not None:
        listed = [one for one in listed if name in (one["name"], one["id"])]
        if not listed:
            return [], [
                Step(f"Nova has no flavour {name}", True, "declare it in site.yml's flavours and apply")
            ]
    usable = [one for one in listed if _may_use(cloud, project, one)]
    if not usable:
        what = f"the flavour {name} is not for this VO" if name else "the VO may use no flavour"
        return [], [Step(what, True, "name the VO among the flavour's vos in site.yml and apply")]
    return usable, [Step(f"the VO may use {', '.join(sorted(one['name'] for one in usable)[:8])}")]


def _may_use(cloud: Cloud, project: str, flavour: Mapping[str, Any]) -> bool:
    if flavour.get("OS-FLV-DISABLED:disabled"):
        return False
    if flavour["os-flavor-access:is_public"]:
        return True
    access = cloud.get("compute", f"/flavors/{flavour['id']}/os-flavor-access")["flavor_access"]
    return any(one["tenant_id"] == project for one in access)


def too_small(flavour: Mapping[str, Any], image: Mapping[str, Any]) -> Optional[Step]:
    disk, ram = int(flavour["disk"]), int(flavour["ram"])
    size = max(int(image.get("size") or 0), int(image.get("virtual_size") or 0))
    if ram < int(image.get("min_ram") or 0):
        return Step(
            f"{flavour['name']} has {ram} MiB, the image needs {image['min_ram']}",
            True,
            "ask for a larger flavour",
        )
    if disk and (disk < int(image.get("min_disk") or 0) or disk * GIB < size):
        need = max(int(image.get("min_disk") or 0), -(-size // GIB))
        return Step(
            f"{flavour['name']} has {disk} GiB of disk, the image needs {need}",
            True,
            "ask for a larger flavour",
        )
    return None


def left(cloud: Cloud, project: str, vo: VO, site: Site, flavours: list[Mapping[str, Any]]) -> Iterator[Step]:
    """Whether the quota and the hosts have room for one more; the smallest flavour speaks for several."""
    flavour = min(flavours, key=lambda one: (one["vcpus"], one["ram"], one["disk"]))
    needs = {"instances": 1, "cores": int(flavour["vcpus"]), "ram": int(flavour["ram"]), "port": 1}
    free = True
    for use in of_project(cloud, project):
        if use.name in needs and 0 <= use.limit < use.used + needs[use.name]:
            free = False
            yield Step(
                f"the quota is used up: {use.used} of {use.limit} {use.words}, and {flavour['name']}"
                f" needs {needs[use.name]}",
                True,
                way_out(site, vo, use),
            )
    if free:
        yield Step(f"its quota has room for one more {flavour['name']}")
    yield from _hosts(cloud, flavour)


def _hosts(cloud: Cloud, flavour: Mapping[str, Any]) -> Iterator[Step]:
    up = [
        one
        for one in cloud.get("compute", "/os-services?binary=nova-compute")["services"]
        if one["state"] == "up" and one["status"] == "enabled"
    ]
    if not up:
        yield Step("no compute host is up and enabled", True, "osg-site-iaas doctor --only services")
        return
    if not cloud.has("placement"):
        return
    query = urlencode({"resources": _resources(flavour), "limit": 1, **_required(flavour)})
    try:
        answer = cloud.get("placement", f"/allocation_candidates?{query}", version=CANDIDATES)
    except SiteError as error:
        yield Step(
            f"Placement cannot look for a host for a {flavour['name']}: {error.what}",
            True,
            f"its extra specs name what no host has: openstack flavor show {flavour['name']}",
        )
        return
    if answer["allocation_requests"]:
        yield Step(f"a host has room for a {flavour['name']} ({len(up)} hosts are up)")
    else:
        yield Step(
            f"none of {len(up)} hosts that are up has room for a {flavour['name']}"
            + (f" with {', '.join(_required(flavour).values())}" if _required(flavour) else ""),
            True,
            "wait until servers end, add hosts, or look for allocations that nobody holds: nova-manage placement audit",
        )


def _resources(flavour: Mapping[str, Any]) -> str:
    """What Placement is asked for, as Nova does; extra specs may add to it or change it."""
    disk = (
        int(flavour["disk"])
        + int(flavour.get("OS-FLV-EXT-DATA:ephemeral") or 0)
        + -(-int(flavour.get("swap") or 0) // 1024)
    )
    wanted = {"VCPU": int(flavour["vcpus"]), "MEMORY_MB": int(flavour["ram"]), "DISK_GB": disk}
    for key, value in (flavour.get("extra_specs") or {}).items():
        if key.startswith("resources:") and str(value).isdigit():
            wanted[key.partition(":")[2]] = int(value)
    return ",".join(f"{name}:{amount}" for name, amount in sorted(wanted.items()) if amount)


def _required(flavour: Mapping[str, Any]) -> dict[str, str]:
    """The traits that a host must have, or (with !) must not, in Placement's words."""
    specs = (flavour.get("extra_specs") or {}).items()
    signs = {"required": "", "forbidden": "!"}
    traits = [
        signs[str(value)] + key.partition(":")[2]
        for key, value in specs
        if key.startswith("trait:") and value in signs
    ]
    return {"required": ",".join(sorted(traits))} if traits else {}


def network(cloud: Cloud, project: str, vo: VO) -> Iterator[Step]:
    if not cloud.has("network"):
        return
    networks = cloud.get(
        "network",
        "/networks?fields=id&fields=name&fields=shared&fields=project_id&fields=subnets&fields=router:external&fields=admin_state_up",
    )["networks"]
    usable = [
        one
        for one in networks
        if (one.get("project_id") == project or one["shared"])
        and one["subnets"]
        and not one.get("router:external")
    ]
    down = [one for one in usable if not one.get("admin_state_up", True)]
    usable = [one for one in usable if one not in down]
    if down and not usable:
        yield Step(
            f"its networks are switched off: {', '.join(sorted(one['name'] for one in down)[:5])}",
            True,
            "openstack network set --enable NAME",
        )
    elif usable:
        yield Step(f"it can be plugged into {', '.join(sorted(one['name'] for one in usable)[:5])}")
    else:
        yield Step(
            "the VO has no network with a subnet to plug it into",
            True,
            f"declare one with vo: {vo.name}, or one with shared: true, and apply",
        )
