"""The EGI cloud usage record v0.4, from the same slices: for a site that owes accounting to both.

Such a record tells all that a server has used since it was created; of the records of one server the consumer
keeps the latest. So those of a window are made of every slice up to the window's end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.accounting.ledger import Ledger, Stored
from osg_site_iaas.accounting.model import Size, State
from osg_site_iaas.accounting.observed import Known, Observed
from osg_site_iaas.accounting.owners import Owners
from osg_site_iaas.accounting.record import Owner
from osg_site_iaas.accounting.traffic import Octets, add_up

HEAD = "APEL-cloud-message: v0.4"
MOST = 1000  # records in a message
GB = 10**9  # the unit of traffic there
SUSPENDED = (State.SUSPENDED, State.PAUSED, State.STOPPED, State.SHELVED, State.OFFLOADED)


@dataclass(frozen=True)
class Machine:
    """All that a server has used up to a time. Times are seconds since the epoch, durations seconds."""

    uuid: str
    created: int
    ended: Optional[int]
    name: str
    image: str
    user: str
    project: str
    dn: str
    fqan: str
    size: Size
    wall: int
    core_seconds: int
    suspended: int
    public_ips: int
    state: State
    octets: Optional[Octets] = None  # of network traffic, as far as it was read


def machines(
    observed: Observed, ledger: Ledger, find_owners: Callable[[Iterable[str]], Owners], start: int, end: int
) -> Iterator[Machine]:
    """Every server of a VO with a slice that ends in (start, end], and all that it has used up to ``end``."""
    for numbers in ledger.servers(start, end):
        slices: dict[int, list[Stored]] = {number: [] for number in numbers}
        for stored in ledger.of_servers(numbers, 0, end):
            if stored.found.end <= end:
                slices[stored.server].append(stored)
        page = observed.numbered(numbers)
        owners = find_owners({known.user for known in page})
        for known in page:
            owner = owners.owner(known.project, known.user)
            if isinstance(owner, Owner):
                yield _machine(known, slices[known.id], owner, end)


def _machine(known: Known, slices: Sequence[Stored], owner: Owner, end: int) -> Machine:
    last = slices[-1].found
    ended = known.server.ended
    return Machine(
        uuid=known.server.uuid,
        created=known.server.created,
        ended=ended if ended is not None and ended <= end else None,
        name=known.name,
        image=known.image,
        user=owner.user,
        project=owner.project,
        dn=owner.dn,
        fqan=owner.fqan,
        size=last.size,
        wall=sum(stored.found.wall for stored in slices),
        core_seconds=sum(stored.found.core_seconds for stored in slices),
        suspended=sum(stored.found.others.get(state, 0) for stored in slices for state in SUSPENDED),
        public_ips=last.public_ips,
        state=last.last,
        octets=add_up((stored.found.received, stored.found.transmitted) for stored in slices),
    )


def fields(machine: Machine, site: str, service: str) -> Mapping[str, str]:
    """The record's keys in their order. What is not known is left out, as the format allows."""
    status = "completed" if machine.ended is not None else "started"
    if machine.ended is None and machine.state in SUSPENDED:
        status = "suspended"
    values = {
        "VMUUID": machine.uuid,
        "SiteName": site,
        "MachineName": machine.name,
        "LocalUserId": machine.user,
        "LocalGroupId": machine.project,
        "GlobalUserName": machine.dn,
        "FQAN": machine.fqan,
        "Status": status,
        "StartTime": str(machine.created),
        "EndTime": "" if machine.ended is None else str(machine.ended),
        "SuspendDuration": str(machine.suspended),
        "WallDuration": str(machine.wall),
        "CpuDuration": str(machine.core_seconds),
        "CpuCount": str(machine.size.vcpus),
        "NetworkInbound": str(machine.octets.received // GB) if machine.octets else "",
        "NetworkOutbound": str(machine.octets.transmitted // GB) if machine.octets else "",
        "Memory": str(machine.size.memory),
        "Disk": str(machine.size.disk),
        "PublicIPCount": str(machine.public_ips),
        "ImageId": machine.image,
        "CloudComputeService": service,
        "CloudType": "OpenStack",
    }
    return {name: " ".join(value.split()) for name, value in values.items() if value.strip()}


def messages(records: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Records as messages of at most 1000 each, for SSM."""
    part: list[str] = []
    for record in records:
        part.append("".join(f"{name}: {value}\n" for name, value in record.items()))
        if len(part) == MOST:
            yield _message(part)
            part = []
    if part:
        yield _message(part)


def _message(part: Iterable[str]) -> str:
    body = "%%\n".join(part)
    return f"{HEAD}\n{body}%%\n"
