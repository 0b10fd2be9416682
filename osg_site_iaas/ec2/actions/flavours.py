"""Instance types: the flavours that the project may use."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.errors import Ec2Error, invalid_value
from osg_site_iaas.ec2.filters import compile_filters, no_paging_with_ids, page

FILTERS = {
    "bare-metal": lambda one: False,
    "burstable-performance-supported": lambda one: False,
    "current-generation": lambda one: True,
    "free-tier-eligible": lambda one: False,
    "hypervisor": lambda one: "kvm",
    "instance-storage-supported": lambda one: one["InstanceStorageSupported"],
    "instance-type": lambda one: one["InstanceType"],
    "memory-info.size-in-mib": lambda one: one["MemoryInfo"]["SizeInMiB"],
    "processor-info.supported-architecture": lambda one: "x86_64",
    "supported-root-device-type": lambda one: one["SupportedRootDeviceTypes"],
    "supported-usage-class": lambda one: "on-demand",
    "supported-virtualization-type": lambda one: "hvm",
    "vcpu-info.default-vcpus": lambda one: one["VCpuInfo"]["DefaultVCpus"],
}


def pick_flavour(flavours: Mapping[str, Mapping[str, Any]], wanted: Optional[str]) -> Mapping[str, Any]:
    """The flavour of that name; EC2's default m1.small, or the smallest there is, where none is named."""
    if wanted:
        if wanted not in flavours:
            raise invalid_value(
                "instanceType", wanted, "It is none of this cloud's, see DescribeInstanceTypes"
            )
        return flavours[wanted]
    if not flavours:
        raise Ec2Error("InvalidParameterValue", "This project may use no instance type at all.")
    return flavours.get("m1.small") or min(
        flavours.values(), key=lambda one: (one["vcpus"], one["ram"], one["disk"], one["name"])
    )


def _gpus(flavour: Mapping[str, Any]) -> Optional[dict[str, Any]]:
    """GPUs that a flavour asks for by a PCI alias or as a virtual GPU, as far as its extra specs tell."""
    specs = flavour.get("extra_specs") or {}
    count = sum(int(n) for n in (specs.get("resources:VGPU", "0"),) if str(n).isdigit())
    names = []
    for entry in str(specs.get("pci_passthrough:alias", "")).split(","):
        name, _, number = entry.strip().partition(":")
        if "gpu" in name.lower() and (number or "1").isdigit():
            count += int(number or 1)
            names.append(name)
    return {"Gpus": [{"Name": ",".join(names) or "vgpu", "Count": count}]} if count else None


def _as_ec2(flavour: Mapping[str, Any]) -> dict[str, Any]:
    local = int(flavour.get("OS-FLV-EXT-DATA:ephemeral") or 0)
    cores = int(flavour["vcpus"])
    return {
        "InstanceType": flavour["name"],
        "CurrentGeneration": True,
        "FreeTierEligible": False,
        "SupportedUsageClasses": ["on-demand"],
        "SupportedRootDeviceTypes": ["instance-store", "ebs"] if int(flavour["disk"]) else ["ebs"],
        "SupportedVirtualizationTypes": ["hvm"],
        "BareMetal": False,
        "Hypervisor": "kvm",
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "VCpuInfo": {"DefaultVCpus": cores, "DefaultCores": cores, "DefaultThreadsPerCore": 1},
        "MemoryInfo": {"SizeInMiB": flavour["ram"]},
        "InstanceStorageSupported": bool(local),
        "InstanceStorageInfo": {"TotalSizeInGB": local} if local else None,
        "GpuInfo": _gpus(flavour),
        "HibernationSupported": False,
        "BurstablePerformanceSupported": False,
        "DedicatedHostsSupported": False,
        "AutoRecoverySupported": False,
    }


@action(
    "InstanceTypes MaxResults NextToken",
    filters=FILTERS,
    requests="0 (kept for kept_seconds); first time 1",
    notes="The architecture is said to be x86_64; GPUs as far as extra specs tell.",
)
def describe_instance_types(call: Call, parameters: Parameters) -> Answer:
    no_paging_with_ids(parameters, "InstanceTypes")
    flavours = call.lookups.flavours(call.cloud, call.project)
    wanted = parameters.get("InstanceTypes")
    absent = [name for name in wanted or () if name not in flavours]
    if absent:
        raise Ec2Error(
            "InvalidInstanceType",
            f"The following supplied instance types do not exist: [{', '.join(absent)[:300]}]",
        )
    every = [_as_ec2(flavours[name]) for name in sorted(wanted or flavours)]
    passes = compile_filters(parameters, FILTERS)
    chosen, token = page(
        parameters, [one for one in every if passes(one)], lambda one: str(one["InstanceType"])
    )
    return {"InstanceTypes": chosen, "NextToken": token}


OFFERING_FILTERS = {
    "instance-type": lambda one: one["InstanceType"],
    "location": lambda one: one["Location"],
}


@action(
    "LocationType MaxResults NextToken",
    filters=OFFERING_FILTERS,
    requests="0 (kept for kept_seconds); first time 2",
    notes="Every flavour is offered in every zone: Nova does not tell more.",
)
def describe_instance_type_offerings(call: Call, parameters: Parameters) -> Answer:
    kind = parameters.get("LocationType") or "region"
    if kind == "region":
        places = [call.settings.region]
    elif kind in ("availability-zone", "availability-zone-id"):
        places = sorted(zone["zoneName"] for zone in call.lookups.zones(call.cloud, call.project))
    else:
        raise invalid_value(
            "LocationType", kind, "It can be region, availability-zone or availability-zone-id"
        )
    every = [
        {"InstanceType": name, "LocationType": kind, "Location": place}
        for name in sorted(call.lookups.flavours(call.cloud, call.project))
        for place in places
    ]
    passes = compile_filters(parameters, OFFERING_FILTERS)
    chosen, token = page(
        parameters,
        [one for one in every if passes(one)],
        lambda one: f"{one['InstanceType']} {one['Location']}",
    )
    return {"InstanceTypeOfferings": chosen, "NextToken": token}
