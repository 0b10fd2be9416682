"""Takes back what a banned person, VO or role already holds in OpenStack: tokens, keys, and servers if asked."""

from __future__ import annotations

import dataclasses
import json
import logging
from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Optional, Sequence

from osg_site_iaas.cloud.connect import Cloud, Missing
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError, SiteError
from osg_site_iaas.identity.logins import Login
from osg_site_iaas.mapping.bans import Ban, Bans
from osg_site_iaas.mapping.credential import Certificate, Credential, usual_dn
from osg_site_iaas.mapping.names import person, user_name

log = logging.getLogger(__name__)
KEEP, STOP, DELETE = "keep", "stop", "delete"


@dataclass(frozen=True)
class Person:
    """Somebody whom a ban hits, as Keystone knows them."""

    id: str
    name: str
    enabled: bool
    projects: Optional[frozenset[str]]  # ids of the projects that they lose; None: all


@dataclass(frozen=True)
class Item:
    """One thing that a ban takes back."""

    kind: str  # user, token, ec2_key, application_credential, server
    id: str
    user: str
    project: Optional[str] = None
    todo: str = "delete"  # what is done to it: disable, revoke, delete, stop
    failed: Optional[str] = None  # why it could not be


@dataclass
class Report:
    """What was cut (or would be), and what remains."""

    items: list[Item] = field(default_factory=list)
    remains: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Item]:
        return [item for item in self.items if item.failed]


def people(cloud: Cloud, site: Site, ban: Ban, logins: Sequence[Login]) -> tuple[list[Person], list[str]]:
    """Those whom the ban hits, and what cannot be known about them."""
    domain, projects = _domain(cloud, site), _projects(cloud, site)
    users = cloud.get("identity", f"/users?domain_id={domain}")["users"]
    by_name = {user["name"]: user for user in users if person(user["name"]) or "~" in user["name"]}
    lost: dict[str, Optional[set[str]]] = {}
    if ban.dn is not None or ban.issuer is not None:
        for name in by_name:
            if _is_meant(ban, name, logins):
                lost[name] = None
    else:
        for login in logins:
            hit = login.vo == ban.vo if ban.vo else _fits(ban, login.credential)
            if hit and login.name in by_name:
                taken = lost.setdefault(login.name, set())
                assert taken is not None  # noqa: S101
                taken.add(projects.get(login.vo, ""))
    found = [
        Person(by_name[name]["id"], name, by_name[name]["enabled"], None if gone is None else frozenset(gone))
        for name, gone in sorted(lost.items())
    ]
    return found, _unknown(site, ban, logins, by_name)


def cut(
    cloud: Cloud, who: Iterable[Person], *, whole: bool, servers: str = KEEP, dry_run: bool = False
) -> Report:
    """Take back what these people hold; a thing that fails is reported and does not stop the others.

    ``whole`` disables them; else they may come back as members of another VO, and only lose what they have.
    """
    report = Report()
    for one in who:
        todo = "disable" if whole else "revoke"
        report.items.append(
            _do(dry_run, Item("user" if whole else "token", one.id, one.name, None, todo), cloud, one)
        )
        for item in _held(cloud, one, servers, report):
            report.items.append(_do(dry_run, item, cloud, one))
    if servers == KEEP and report.items:
        report.remains.append("their servers, volumes and buckets run on (--servers stop or delete)")
    if report.items:
        report.remains.append(
            "a service may know a token for as long as it caches it (5 minutes unless configured)"
        )
    return report


def restore(cloud: Cloud, site: Site, ban: Ban, left: Bans) -> Report:
    """Let those back in whom a lifted ban had disabled, unless another ban still hits them."""
    report = Report()
    found, _ = people(cloud, site, ban, ())
    for one in found:
        who = person(one.name)
        if one.enabled or (who is not None and left.hit(who) is not None):
            continue
        item = Item("user", one.id, one.name, None, "enable")
        try:
            cloud.request("PATCH", "identity", f"/users/{one.id}", json={"user": {"enabled": True}})
        except CloudError as error:
            item = dataclasses.replace(item, failed=error.what)
        report.items.append(item)
    return report


def _do(dry_run: bool, item: Item, cloud: Cloud, one: Person) -> Item:
    if dry_run:
        return item
    try:
        if item.kind in ("user", "token"):
            _revoke(cloud, one, stay=item.kind == "token")
        elif item.kind == "ec2_key":
            cloud.request("DELETE", "identity", f"/credentials/{item.id}")
        elif item.kind == "application_credential":
            cloud.request("DELETE", "identity", f"/users/{one.id}/application_credentials/{item.id}")
        elif item.todo == DELETE:
            cloud.request("DELETE", "compute", f"/servers/{item.id}")
        else:
            cloud.request("POST", "compute", f"/servers/{item.id}/action", json={"os-stop": None})
    except Missing:
        pass  # gone already
    except CloudError as error:
        return dataclasses.replace(item, failed=error.what)
    log.info("cut %s %s of %s: %s", item.kind, item.id, one.name, item.todo)
    return item


def _revoke(cloud: Cloud, one: Person, *, stay: bool) -> None:
    """Disabling a user revokes every token of theirs; who may stay is enabled again at once."""
    path = f"/users/{one.id}"
    cloud.request("PATCH", "identity", path, json={"user": {"enabled": False}})
    if stay and one.enabled:
        cloud.request("PATCH", "identity", path, json={"user": {"enabled": True}})


def _held(cloud: Cloud, one: Person, servers: str, report: Report) -> Iterable[Item]:
    def lost(project: Optional[str]) -> bool:
        return one.projects is None or project in one.projects

    for key in cloud.get("identity", f"/credentials?type=ec2&user_id={one.id}", hidden=())["credentials"]:
        if lost(key["project_id"]):
            yield Item("ec2_key", key["id"], one.name, key["project_id"])
    for found in cloud.get("identity", f"/users/{one.id}/application_credentials")["application_credentials"]:
        if lost(found["project_id"]):
            yield Item("application_credential", found["id"], one.name, found["project_id"])
    if servers == KEEP or not cloud.has("compute"):
        return
    path = f"/servers/detail?all_tenants=1&user_id={one.id}&limit=1000"
    listed = cloud.get("compute", path)["servers"]
    if len(listed) >= 1000:
        report.remains.append(f"more than 1000 servers of {one.name}: run the same again")
    for server in listed:
        if lost(server["tenant_id"]) and not (servers == STOP and server["status"] == "SHUTOFF"):
            yield Item("server", server["id"], one.name, server["tenant_id"], servers)


def _is_meant(ban: Ban, name: str, logins: Sequence[Login]) -> bool:
    """Whether a Keystone user of that name is hit by a ban of a person or an issuer."""
    who = person(name)
    if who is not None:
        return ban.fits(who)
    if ban.dn is not None:
        return name == user_name(Certificate(usual_dn(ban.dn)))
    return any(login.name == name and ban.fits(login.credential) for login in logins)


def _fits(ban: Ban, credential: Credential) -> bool:
    return isinstance(credential, Certificate) and ban.fits_fqan(credential.fqans)


def _unknown(site: Site, ban: Ban, logins: Sequence[Login], by_name: Mapping[str, Any]) -> list[str]:
    """What the ban cannot reach, in words."""
    told = []
    if ban.dn is None and ban.issuer is None:
        recorded = {login.name for login in logins}
        missing = [name for name in by_name if name not in recorded]
        if missing:
            told.append(
                f"{len(missing)} users have no recorded login, so whether they came with {ban.says} is not known"
            )
    if ban.vo is not None:
        users = [user.name for vo in site.vos if vo.name == ban.vo for user in vo.service_users]
        if users:
            told.append(
                f"service users {', '.join(users)}: set `enabled: false` for {ban.vo} in {site.file.name} and apply"
            )
    return told


def _domain(cloud: Cloud, site: Site) -> str:
    found = cloud.get("identity", f"/domains?name={site.cloud.domain}")["domains"]
    if not found:
        raise SiteError(f"there is no Keystone domain {site.cloud.domain} yet", todo="osg-site-iaas apply")
    return str(found[0]["id"])


def _projects(cloud: Cloud, site: Site) -> dict[str, str]:
    """Project ids by VO."""
    listed = cloud.get("identity", f"/projects?domain_id={_domain(cloud, site)}")["projects"]
    ids = {project["name"]: str(project["id"]) for project in listed}
    return {vo.name: ids[vo.project] for vo in site.vos if vo.project in ids}


def to_json(report: Report) -> str:
    """The report for programs."""
    return json.dumps({"items": [vars(item) for item in report.items], "remains": report.remains}, indent=1)
