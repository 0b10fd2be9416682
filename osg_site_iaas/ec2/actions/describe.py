"""DescribeInstances and DescribeInstanceStatus: what HTCondor asks every minute."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from osg_site_iaas.ec2.actions.registry import Answer, Call, Parameters, action
from osg_site_iaas.ec2.actions.volume_tags import tag_volumes_of, waiting
from osg_site_iaas.ec2.backend.http import PAGE
from osg_site_iaas.ec2.backend.servers import Document
from osg_site_iaas.ec2.errors import not_found
from osg_site_iaas.ec2.filters import compile_filters, no_paging_with_ids, page
from osg_site_iaas.ec2.ids import check_id, ec2_id, index, resolve
from osg_site_iaas.ec2.instances import FILTERS, Around, instance, reservation_id, tags_of_instance
from osg_site_iaas.ec2.states import failed_launch, state_of

FEW = 10  # instances asked for by id that are read one by one where no list is kept
FEWER = 2  # and where one is: bringing it up to date is one request


def around(
    call: Call, servers: Mapping[str, Document], *, addresses: bool = True, older: float = 0.0
) -> Around:
    """The project's networks and group names; read anew where a server has a group that is not among them.

    Without ``addresses`` no floating ones are looked for: a server that was just started has none. ``older``: how much
    longer than usual the lists may have been kept.
    """
    groups = call.lookups.groups(call.cloud, call.project, older=older)
    used = {one["name"] for server in servers.values() for one in server.get("security_groups") or ()}
    if used - set(groups):
        call.lookups.forget(call.project, "groups")
        groups = call.lookups.groups(call.cloud, call.project)
    return Around(
        call.account,
        groups,
        call.lookups.networks(call.cloud, call.project, older=older),
        call.lookups.addresses(call.cloud, call.project) if addresses else {},
    )


def find_servers(call: Call, ids: Optional[Sequence[str]]) -> dict[str, Document]:
    """OpenStack id → document of the instances asked for, or of all; InvalidInstanceID where one is not there.

    Terminated ones are among them for an hour.
    """
    for one in ids or ():
        check_id("i", one)
    loaded = call.views.is_loaded(call.project, call.grant.roles)
    few = bool(ids) and len(ids or ()) <= (FEWER if loaded else FEW)
    if ids and few and not call.views.is_fresh(call.project, call.grant.roles):
        singly = _singly(call, ids, loaded)
        if singly is not None:
            return singly
    live = call.views.all(call.cloud, call.project, call.grant.roles)
    failed = [server for server in live.values() if failed_launch(server)]
    if failed:
        call.views.delete_failed(call.cloud, call.project, failed)
    tag_volumes_of(call, [server for server in live.values() if waiting(server)])
    # Only now: bringing the list up to date has buried what ended elsewhere, and it must be in one of the two.
    servers = {**call.store.buried(call.project), **live}
    if not ids:
        return servers
    chosen = [resolve("i", one, servers) for one in ids]
    return {key: servers[key] for key in chosen}


def _singly(call: Call, ids: Sequence[str], loaded: bool) -> Optional[dict[str, Document]]:
    """The instances by one request each; None where a list is kept and an id has to be looked for in it.

    Where none is kept, Nova's list without details tells which server an id is, for a fraction of the other's cost.
    """
    names = {one: call.store.known(call.project, one) for one in ids}
    unknown = [one for one, key in names.items() if key is None]
    if unknown and loaded:
        return None
    gone = call.store.buried(call.project)
    if unknown:
        listed = call.cloud.pages("compute", "/servers", "servers", {"limit": PAGE})
        candidates = {str(server["id"]) for server in listed}
        call.store.remember(call.project, index("i", candidates))
        names.update({one: resolve("i", one, candidates | set(gone)) for one in unknown})
    keys = [str(key) for key in names.values()]
    reads = call.cloud.gather(*(_reader(call, key) for key in keys))
    found = {}
    for one, key, document in zip(names, keys, reads):
        if document is None and key not in gone:
            raise not_found("i", one)
        found[key] = document if document is not None else gone[key]
    failed = [server for server in found.values() if failed_launch(server) and server["id"] not in gone]
    call.views.delete_failed(call.cloud, call.project, failed)
    tag_volumes_of(call, [server for server in found.values() if waiting(server)])
    return found


def _reader(call: Call, key: str) -> Any:
    return lambda: call.views.one(call.cloud, key)


def described(call: Call, servers: Mapping[str, Document]) -> list[dict[str, Any]]:
    """The instances, in an order that does not change, with their reservation's and owner's ids."""
    place = around(call, servers)
    generation = place.generation
    rendered = call.views.rendered(call.project, call.grant.roles)
    out = []
    for key, server in servers.items():
        kept = rendered.get(key)
        if kept is None or kept[0] != generation or kept[1] is not server:
            one = instance(server, place)
            one["ReservationId"], one["OwnerId"] = reservation_id(server), call.account
            kept = (generation, server, one)
            rendered[key] = kept
        out.append(kept[2])
    out.sort(key=_order)
    return out


def _order(one: Mapping[str, Any]) -> str:
    return f"{one['ReservationId']} {one['AmiLaunchIndex']:06d} {one['InstanceId']}"


@action(
    "InstanceIds MaxResults NextToken",
    filters=FILTERS,
    tags=True,
    only={"IncludeManagedResources": (False,)},
    requests="2 (changes, addresses); 0 within fresh_seconds; first time 5; one for each failed launch, once."
    " By id where no list is kept: 1 an instance up to 10, and 1 to find those that are not known yet",
    notes="No network interfaces: see DescribeNetworkInterfaces. Device names of volumes: see DescribeVolumes.",
)
def describe_instances(call: Call, parameters: Parameters) -> Answer:
    no_paging_with_ids(parameters, "InstanceIds")
    passes = compile_filters(parameters, FILTERS, tags_of_instance)
    servers, _ = call.cloud.gather(
        lambda: find_servers(call, parameters.get("InstanceIds")),
        lambda: call.lookups.addresses(call.cloud, call.project),
    )
    every = described(call, servers)
    chosen, token = page(parameters, [one for one in every if passes(one)], _order)
    reservations: dict[str, dict[str, Any]] = {}
    for one in chosen:
        reservation = reservations.setdefault(
            one["ReservationId"],
            {
                "ReservationId": one["ReservationId"],
                "OwnerId": call.account,
                "Groups": [],
                "Instances": [],
            },
        )
        reservation["Instances"].append(call.views.fragment(call.writer, one))
    return {"Reservations": list(reservations.values()), "NextToken": token}


STATUS_FILTERS = {
    "availability-zone": lambda one: one["AvailabilityZone"],
    "instance-state-code": lambda one: one["InstanceState"]["Code"],
    "instance-state-name": lambda one: one["InstanceState"]["Name"],
    "instance-status.status": lambda one: one["InstanceStatus"]["Status"],
    "instance-status.reachability": lambda one: [
        d["Status"] for d in one["InstanceStatus"].get("Details", ())
    ],
    "system-status.status": lambda one: one["SystemStatus"]["Status"],
    "system-status.reachability": lambda one: [d["Status"] for d in one["SystemStatus"].get("Details", ())],
}


def _status(server: Document) -> dict[str, Any]:
    state = state_of(server)
    if state.name == "running":
        good = server.get("status") in ("ACTIVE", "PASSWORD")
        word, detail = ("ok", "passed") if good else ("initializing", "initializing")
        summary: dict[str, Any] = {"Status": word, "Details": [{"Name": "reachability", "Status": detail}]}
    else:
        summary = {"Status": "not-applicable"}
    return {
        "InstanceId": ec2_id("i", server["id"]),
        "AvailabilityZone": server.get("OS-EXT-AZ:availability_zone") or "nova",
        "InstanceState": state.as_ec2(),
        "InstanceStatus": summary,
        "SystemStatus": summary,
    }


@action(
    "InstanceIds IncludeAllInstances MaxResults NextToken",
    filters=STATUS_FILTERS,
    only={"IncludeManagedResources": (False,)},
    requests="as DescribeInstances",
    notes="What Nova knows: the guest itself is not probed. No events.",
)
def describe_instance_status(call: Call, parameters: Parameters) -> Answer:
    no_paging_with_ids(parameters, "InstanceIds")
    passes = compile_filters(parameters, STATUS_FILTERS)
    every = [_status(server) for server in find_servers(call, parameters.get("InstanceIds")).values()]
    if not parameters.get("IncludeAllInstances"):
        every = [one for one in every if one["InstanceState"]["Name"] == "running"]
    every.sort(key=lambda one: str(one["InstanceId"]))
    chosen, token = page(
        parameters, [one for one in every if passes(one)], lambda one: str(one["InstanceId"])
    )
    return {"InstanceStatuses": chosen, "NextToken": token}
