"""One look at who has which address now, and what has to be remembered of it.

Nova shows no addresses of a deleted server, and Neutron knows nothing of a deleted port. What lives less than the time
between two looks may be missed; the answer to a question then names who it could have been.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Iterable, Iterator, Mapping, Optional

from osg_site_iaas.cloud.connect import Cloud, Forbidden, Missing
from osg_site_iaas.cloud.reader import pages
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops.addresses.store import Server, Store

log = logging.getLogger(__name__)
OVERLAP = 600  # seconds: rows become visible after the time that they carry, and clocks differ
DAY = 86400


@dataclass(frozen=True)
class Has:
    """An address that a server has now."""

    ip: str
    server: str
    network: str
    kind: str


@dataclass(frozen=True)
class Looked:
    """What a look has found."""

    servers: int  # that changed since the last one
    addresses: int
    forgotten: int  # servers of which nothing is kept any more


def look(cloud: Cloud, store: Store, now: datetime, *, keep_days: int) -> Looked:
    """Remember what there is now, and forget what ended more than ``keep_days`` ago. All of it counts, or nothing."""
    at = int(now.timestamp())
    since = store.note("looked")
    # Addresses first: a server that is there is then in Nova's list, which is read after it.
    has = set(_addresses(cloud))
    servers = list(_servers(cloud, since))
    known = {row["uuid"] for row in store.rows("SELECT uuid FROM server")}
    strange = {one.server for one in has} - known - {one.uuid for one in servers}
    servers += [one for one in (_server(cloud, uuid) for uuid in sorted(strange)) if one is not None]
    users = _users(cloud, store, {one.user for one in servers})
    keys = _keys(cloud, {one.user for one in servers if one.ended is None})
    networks = _networks(cloud, store, {one.network for one in has})
    projects = {item["id"]: item["name"] for item in cloud.get("identity", "/projects")["projects"]}
    with store.transaction() as db:
        db.executemany("INSERT OR REPLACE INTO user VALUES (?,?)", users.items())
        db.executemany("INSERT OR REPLACE INTO project VALUES (?,?)", projects.items())
        db.executemany("INSERT OR REPLACE INTO network VALUES (?,?)", networks.items())
        for access, user, project in keys:
            db.execute(
                "INSERT INTO ec2_key VALUES (?,?,?,?,?) ON CONFLICT (access) DO UPDATE SET last = excluded.last",
                (access, user, project, at, at),
            )
        for one in servers:
            _remember(db, one)
        _update(db, has, at, since)
        forgotten = _forget(db, at - keep_days * DAY)
        db.execute("INSERT OR REPLACE INTO note VALUES ('looked', ?)", (at,))
    log.info("looked: %d servers changed, %d addresses, %d forgotten", len(servers), len(has), forgotten)
    return Looked(len(servers), len(has), forgotten)


def _addresses(cloud: Cloud) -> Iterator[Has]:
    fields = "fields=id&fields=device_id&fields=device_owner&fields=network_id&fields=fixed_ips"
    owners: dict[str, str] = {}
    for port in pages(cloud, "network", f"/ports?{fields}", "ports", paged=True):
        if port["device_id"] and str(port["device_owner"]).startswith("compute:"):
            owners[port["id"]] = port["device_id"]
            for fixed in port["fixed_ips"]:
                yield Has(fixed["ip_address"], port["device_id"], port["network_id"], "fixed")
    fields = "fields=floating_ip_address&fields=floating_network_id&fields=port_id"
    for item in pages(cloud, "network", f"/floatingips?{fields}", "floatingips", paged=True):
        if item["port_id"] in owners:
            server = owners[item["port_id"]]
            yield Has(item["floating_ip_address"], server, item["floating_network_id"], "floating")


def _servers(cloud: Cloud, since: Optional[int]) -> Iterator[Server]:
    """Every server that changed, deleted ones too; at the first look all that Nova has."""
    start = datetime.fromtimestamp(max((since or 0) - OVERLAP, 0), timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    path = f"/servers/detail?all_tenants=1&changes-since={start}"
    for item in pages(cloud, "compute", path, "servers", paged=True, version="2.47"):
        yield _of(item)


def _server(cloud: Cloud, uuid: str) -> Optional[Server]:
    try:
        return _of(cloud.get("compute", f"/servers/{uuid}", version="2.47")["server"])
    except Missing:
        return None  # it went away just now; its address is kept, and the next look has its row


def _of(item: Mapping[str, Any]) -> Server:
    ended = None
    if item["status"] == "DELETED" or item["OS-EXT-STS:vm_state"] == "deleted":
        ended = _instant(item.get("OS-SRV-USG:terminated_at") or item["updated"])
    return Server(
        item["id"], item["tenant_id"], item["user_id"], item["name"], item.get("key_name") or "",
        _instant(item["created"]), ended, _ran(item, ended),
    )  # fmt: skip


def _ran(item: Mapping[str, Any], ended: Optional[int]) -> bool:
    """Whether it may have run: Nova dates the first start. One that is being built may be starting just now."""
    at_rest = ended is not None or item["OS-EXT-STS:vm_state"] == "error"
    return bool(item.get("OS-SRV-USG:launched_at")) or not at_rest


def _networks(cloud: Cloud, store: Store, wanted: set[str]) -> dict[str, str]:
    """Names of networks, if there is one that is not known yet."""
    if wanted <= {row["id"] for row in store.rows("SELECT id FROM network")}:
        return {}
    found = pages(cloud, "network", "/networks?fields=id&fields=name", "networks", paged=True)
    return {item["id"]: item["name"] for item in found if item["id"] in wanted}


def _users(cloud: Cloud, store: Store, wanted: Iterable[str]) -> dict[str, str]:
    """Names of users that are not known yet."""
    known = {row["id"] for row in store.rows("SELECT id FROM user")}
    found = {}
    for number in sorted(set(wanted) - known):
        try:
            found[number] = str(cloud.get("identity", f"/users/{number}")["user"]["name"])
        except (Missing, Forbidden):
            continue
    return found


def _keys(cloud: Cloud, users: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """The access keys that these users have (what an EC2 request shows of a key), never the secrets."""
    found = []
    for user in sorted(users):
        path = f"/users/{user}/credentials/OS-EC2"
        try:
            # its answer holds secrets: it is never logged, and nothing but the names is taken from it
            answer = cloud.request("GET", "identity", path, hidden=()).json()
        except (
            SiteError
        ) as error:  # an application credential may not ask; the rest is worth remembering all the same
            log.debug("EC2 keys of %s are not known: %s", user, error.what)
            continue
        found += [(item["access"], user, item["tenant_id"]) for item in answer["credentials"]]
    return iter(found)


def _remember(db: sqlite3.Connection, one: Server) -> None:
    db.execute(
        "INSERT INTO server VALUES (?,?,?,?,?,?,?,?) ON CONFLICT (uuid) DO UPDATE SET"
        " name = excluded.name, key_pair = excluded.key_pair, ended = excluded.ended, ran = excluded.ran",
        (one.uuid, one.project, one.user, one.name, one.key_pair, one.created, one.ended, one.ran),
    )


def _update(db: sqlite3.Connection, has: set[Has], at: int, since: Optional[int]) -> None:
    there = {
        Has(row["ip"], row["server"], row["network"], row["kind"]): row["id"]
        for row in db.execute("SELECT * FROM address WHERE gone IS NULL")
    }
    for one in has - set(there):
        row = db.execute("SELECT created FROM server WHERE uuid = ?", (one.server,)).fetchone()
        earliest = max(since or 0, row["created"] if row is not None else 0)
        db.execute(
            "INSERT INTO address (ip, server, network, kind, earliest, first, last) VALUES (?,?,?,?,?,?,?)",
            (one.ip, one.server, one.network, one.kind, min(earliest, at), at, at),
        )
    db.executemany("UPDATE address SET last = ? WHERE id = ?", [(at, there[one]) for one in has & set(there)])
    db.executemany("UPDATE address SET gone = ? WHERE id = ?", [(at, there[one]) for one in set(there) - has])


def _forget(db: sqlite3.Connection, before: int) -> int:
    db.execute("DELETE FROM address WHERE gone < ?", (before,))
    count = db.execute(
        "DELETE FROM server WHERE ended < ? AND NOT EXISTS (SELECT 1 FROM address WHERE server = uuid)",
        (before,),
    ).rowcount
    db.execute("DELETE FROM network WHERE NOT EXISTS (SELECT 1 FROM address WHERE network = network.id)")
    db.execute("DELETE FROM user WHERE NOT EXISTS (SELECT 1 FROM server WHERE user = user.id)")
    db.execute(
        "DELETE FROM ec2_key WHERE last < ? AND NOT EXISTS (SELECT 1 FROM server WHERE user = ec2_key.user)",
        (before,),
    )
    return count


def _instant(text: str) -> int:
    return int(datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc).timestamp())
