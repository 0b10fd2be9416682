"""One attribute of an instance, read or changed."""

from __future__ import annotations

from typing import Any, Mapping

from osg_site_iaas.ec2 import marks
from osg_site_iaas.ec2.actions.describe import around, find_servers
from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.resizing import resize
from osg_site_iaas.ec2.errors import Ec2Error, combination, invalid_value, missing, unsupported
from osg_site_iaas.ec2.ids import resolve
from osg_site_iaas.ec2.instances import instance
from osg_site_iaas.ec2.states import state_of

READ = (
    "instanceType",
    "kernel",
    "ramdisk",
    "userData",
    "disableApiTermination",
    "instanceInitiatedShutdownBehavior",
    "rootDeviceName",
    "blockDeviceMapping",
    "productCodes",
    "sourceDestCheck",
    "groupSet",
    "ebsOptimized",
    "enaSupport",
)


def _server(call: Call, parameters: Parameters) -> dict[str, Any]:
    if not parameters.get("InstanceId"):
        raise missing("InstanceId")
    return next(iter(find_servers(call, [parameters["InstanceId"]]).values()))


@action(
    "InstanceId Attribute",
    requests="1",
    notes="userData cannot be read back: Nova shows it to administrators only.",
)
def describe_instance_attribute(call: Call, parameters: Parameters) -> Answer:
    name = parameters.get("Attribute")
    if name not in READ:
        raise missing("Attribute") if not name else invalid_value("attribute", name[:60])
    if name == "userData":
        raise unsupported("User data cannot be read back in this cloud.")
    server = _server(call, parameters)
    one = instance(server, around(call, {server["id"]: server}, addresses=False))
    metadata = server.get("metadata") or {}
    values: Mapping[str, tuple[str, Any]] = {
        "instanceType": ("InstanceType", {"Value": one["InstanceType"]}),
        "kernel": ("KernelId", {}),
        "ramdisk": ("RamdiskId", {}),
        "disableApiTermination": ("DisableApiTermination", {"Value": marks.PROTECTED in metadata}),
        "instanceInitiatedShutdownBehavior": (
            "InstanceInitiatedShutdownBehavior",
            {"Value": metadata.get(marks.SHUTDOWN, "stop")},
        ),
        "rootDeviceName": ("RootDeviceName", {"Value": one["RootDeviceName"]}),
        "blockDeviceMapping": ("BlockDeviceMappings", one["BlockDeviceMappings"]),
        "productCodes": ("ProductCodes", []),
        "sourceDestCheck": ("SourceDestCheck", {"Value": True}),
        "groupSet": ("Groups", one["SecurityGroups"]),
        "ebsOptimized": ("EbsOptimized", {"Value": False}),
        "enaSupport": ("EnaSupport", {"Value": False}),
    }
    member, value = values[name]
    return {"InstanceId": one["InstanceId"], member: value}


# the older way to name an attribute, and the member that it stands for
OLD = {
    "disableApiTermination": "DisableApiTermination",
    "instanceInitiatedShutdownBehavior": "InstanceInitiatedShutdownBehavior",
    "instanceType": "InstanceType",
}


def _change(parameters: Parameters) -> tuple[str, Any]:
    """(member, new value) of the one attribute that a request changes."""
    found: list[tuple[str, Any]] = []
    for member in ("DisableApiTermination", "InstanceInitiatedShutdownBehavior", "InstanceType"):
        if member in parameters:
            found.append((member, parameters[member].get("Value")))
    if "Groups" in parameters:
        found.append(("Groups", parameters["Groups"]))
    if parameters.get("Attribute"):
        name = parameters["Attribute"]
        if name not in OLD:
            raise unsupported(f"The attribute {name[:60]} cannot be changed in this cloud.")
        value: Any = parameters.get("Value")
        if name == "disableApiTermination":
            value = str(value).lower() == "true"
        found.append((OLD[name], value))
    if len(found) != 1:
        raise combination("Give exactly one attribute.")
    return found[0]


@action(
    "InstanceId Attribute Value DisableApiTermination.Value InstanceInitiatedShutdownBehavior.Value Groups"
    " InstanceType.Value",
    requests="2; Groups 3 and one a change; InstanceType 4 and one for each half second that Nova takes",
    notes="InstanceType of a stopped instance: Nova's resize, which the door confirms. The call waits up to 40 s,"
    " after that StartInstances does.",
)
def modify_instance_attribute(call: Call, parameters: Parameters) -> Answer:
    member, value = _change(parameters)
    server = _server(call, parameters)
    if state_of(server).name == "terminated":
        raise Ec2Error("IncorrectInstanceState", f"{parameters['InstanceId']} is terminated.")
    if member == "DisableApiTermination":
        _mark(call, server, marks.PROTECTED, "true" if value else None)
    elif member == "InstanceInitiatedShutdownBehavior":
        if value not in ("stop", "terminate"):
            raise invalid_value("instanceInitiatedShutdownBehavior", value, "It must be stop or terminate")
        _mark(call, server, marks.SHUTDOWN, value if value == "terminate" else None)
    elif member == "InstanceType":
        resize(call, server, str(value))
    else:
        _groups(call, server, value)
    call.store.change(call.project, [server["id"]])
    return None


def _mark(call: Call, server: Mapping[str, Any], name: str, value: Any) -> None:
    path = f"/servers/{server['id']}/metadata"
    if value is not None:
        call.cloud.request("POST", "compute", path, body={"metadata": {name: value}})
    elif name in server["metadata"]:
        call.cloud.request("DELETE", "compute", f"{path}/{name}")


def _groups(call: Call, server: Mapping[str, Any], given: Any) -> None:
    groups = call.lookups.groups(call.cloud, call.project)
    names = {key: name for name, key in groups.items()}
    wanted = {names[resolve("sg", one, names)] for one in given}
    if not wanted:
        raise missing("GroupId")
    have = {one["name"] for one in server.get("security_groups") or ()}
    for verb, changed in (("addSecurityGroup", wanted - have), ("removeSecurityGroup", have - wanted)):
        for name in sorted(changed):
            body = {verb: {"name": groups.get(name, name)}}
            call.cloud.request("POST", "compute", f"/servers/{server['id']}/action", body=body)
