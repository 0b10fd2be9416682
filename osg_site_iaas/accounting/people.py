"""Names of projects and users from Keystone; users are asked for once and kept, since they may be deleted."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Iterable, Mapping, Optional

from osg_site_iaas.accounting.owners import Name, Owners
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cloud.connect import Cloud, Forbidden, Missing
from osg_site_iaas.declaration.model import Site


def stored(store: Store, table: str) -> Mapping[str, Name]:
    """What is remembered of names, by id, without asking Keystone; ``table`` is project or user."""
    return {row["id"]: Name(row["name"], row["domain"]) for row in store.rows(f"SELECT * FROM {table}")}  # noqa: S608


def forget(store: Store, before: datetime) -> int:
    """Forget the names of users whose servers had all ended, and were accounted for, before a time; how many.

    Whoever comes back is asked of Keystone again. Servers of that age lose the names that their owners gave them.
    """
    open_ = "SELECT 1 FROM slice WHERE server = server.id AND state IN ('new', 'held', 'poison')"
    settled = f"ended < ? AND due IS NULL AND NOT EXISTS ({open_})"
    limit = (int(before.timestamp()),)
    with store.transaction() as db:
        db.execute(f"UPDATE server SET name = '' WHERE name != '' AND {settled}", limit)  # noqa: S608
        done = db.execute(
            f"DELETE FROM user WHERE id NOT IN (SELECT user FROM server WHERE NOT ({settled}) OR ended IS NULL)",  # noqa: S608
            limit,
        )
        return int(done.rowcount)


class People:
    """What Keystone calls the projects and users of servers."""

    def __init__(
        self, store: Store, cloud: Cloud, site: Site, *, vo_override: str = "", workers: int = 4
    ) -> None:
        self._store = store
        self._cloud = cloud
        self._site = site
        self._vo_override = vo_override
        self._workers = workers
        self._projects: Optional[Mapping[str, Name]] = None

    def owners(self, users: Iterable[str]) -> Owners:
        """Owners of servers made by these users. Projects are asked for once in the life of this object."""
        if self._projects is None:
            self._projects = self._all_projects()
        known = self._known_users(set(users))
        return Owners(self._site, self._projects, known, vo_override=self._vo_override)

    def _all_projects(self) -> Mapping[str, Name]:
        """Every project there is; those that Keystone has deleted since are remembered."""
        domains = {item["id"]: item["name"] for item in self._cloud.get("identity", "/domains")["domains"]}
        rows = [
            (item["id"], item["name"], domains.get(item["domain_id"], item["domain_id"]))
            for item in self._cloud.get("identity", "/projects")["projects"]
        ]
        with self._store.transaction():
            self._store.many("INSERT OR REPLACE INTO project VALUES (?,?,?)", rows)
        return stored(self._store, "project")

    def _known_users(self, wanted: set[str]) -> Mapping[str, Name]:
        known = {}
        for number in wanted:
            row = self._store.one("SELECT name, domain FROM user WHERE id = ?", (number,))
            if row is not None:
                known[number] = Name(row["name"], row["domain"])
        unknown = sorted(wanted - set(known))
        if not unknown:
            return known
        with ThreadPoolExecutor(self._workers, thread_name_prefix="users") as pool:
            found = {number: name for number, name in zip(unknown, pool.map(self._user, unknown)) if name}
        with self._store.transaction():
            self._store.many(
                "INSERT OR REPLACE INTO user VALUES (?,?,?)",
                [(number, name.name, name.domain) for number, name in found.items()],
            )
        return {**known, **found}

    def _user(self, number: str) -> Optional[Name]:
        """A user; None if Keystone has forgotten it, or this login may not read it: the id then does."""
        try:
            item = self._cloud.get("identity", f"/users/{number}")["user"]
        except (Missing, Forbidden):
            return None
        return Name(item["name"], item.get("domain_id") or "")
