"""Who has which role on a VO's project."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.cloud.kind import Kind, Work, described, project_ref, vo_in
from osg_site_iaas.cloud.kinds.group import group_ref
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.user import user_ref
from osg_site_iaas.cloud.reader import Reader, vo_of
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import TAG, Change, KindRule, Ref, Removal, Seen, Wanted, is_marked


def assignment_ref(actor: Ref, role: str, project: str) -> Ref:
    """The reference to an assignment; its key is (group or user, name, role, project)."""
    return Ref("role_assignment", (actor.kind, actor.key[0], role, project))


class RoleAssignment(Kind):
    """An assignment by hand of somebody else on one of our projects is reported, and left."""

    rule = KindRule("role_assignment", Removal.WITHDRAW, derived=True, grants=True)
    service = "identity"
    ownership = "its group or user and its project are ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for group in grid.groups(site):
            vo = site.vo(group.vo)
            for role in group.roles:
                yield _wanted(group_ref(group.name), role, vo.project, vo.name, vo.at)
        for vo in site.vos:
            for user in vo.service_users:
                yield _wanted(user_ref(user.name), user.role, vo.project, vo.name, user.at)

    def observe(self, reader: Reader) -> Iterable[Seen]:
        projects = {item["id"]: item for item in reader.projects}
        actors = {
            **{("user", item["id"]): item for item in reader.users},
            **{("group", item["id"]): item for item in reader.groups},
        }
        roles = {role_id: name for name, role_id in reader.roles.items()}
        for item in reader.all("identity", "/role_assignments", "role_assignments"):
            kind = "user" if "user" in item else "group"
            actor = actors.get((kind, item[kind]["id"]))
            marked = actor is not None and is_marked(actor.get("description"), reader.site.cloud.domain)
            named = Ref(kind, (actor["name"] if actor else item[kind]["id"],))
            role = roles.get(item["role"]["id"], item["role"]["id"])
            project = projects.get(item["scope"].get("project", {}).get("id"))
            if project is None or "OS-INHERIT:inherited_to" in item["scope"]:
                place = _elsewhere(reader, item["scope"], marked)
                if place:
                    yield Seen(assignment_ref(named, role, place), "", vo=_vo_of(actor) if marked else None)
                continue
            yield Seen(
                assignment_ref(named, role, project["name"]),
                _path(project["id"], kind, item[kind]["id"], item["role"]["id"]),
                ours=marked and TAG in project.get("tags", ()),
                needs=(named, project_ref(project["name"])),
                vo=vo_of(project),
            )

    def create(self, work: Work, change: Change) -> str:
        kind, actor, role, project = change.ref.key
        if role not in work.roles:
            raise CloudError(
                f"Keystone has no role {role!r}",
                where=f"{work.site.file}:{change.at.line}",
                todo="create it with `openstack role create`, or name one that exists",
            )
        path = _path(work.ids[project_ref(project)], kind, work.ids[Ref(kind, (actor,))], work.roles[role])
        work.cloud.request("PUT", "identity", path)
        return path

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", str(change.id))


def _vo_of(actor: Optional[Mapping[str, Any]]) -> Optional[str]:
    return vo_in(described(actor)) if actor else None


def _elsewhere(reader: Reader, scope: Mapping[str, Any], marked: bool) -> str:
    """Where a role is held that is no role on a project of the domain, if it concerns the site; else empty.

    It does if it is on the whole domain, or handed down to its projects, and anywhere if one of ours holds it. No
    project can be called so: site.yml allows no colon in its name.
    """
    below = "inherited:" if "OS-INHERIT:inherited_to" in scope else ""
    domain, project = (scope.get(name, {}).get("id") for name in ("domain", "project"))
    names = {item["id"]: item["name"] for item in reader.all_projects}
    if reader.domain is not None and domain == reader.domain["id"]:
        return f"{below}domain:{reader.domain['name']}"
    if below and project in names:
        return f"{below}{names[project]}"
    if not marked or project in names:  # a project of the domain, but of another VO than those looked at
        return ""
    if "system" in scope:
        return "system:all"
    return f"{below}domain:{domain}" if domain else f"{below}project:{project}"


def _path(project: str, kind: str, actor: str, role: str) -> str:
    return f"/projects/{project}/{kind}s/{actor}/roles/{role}"


def _wanted(actor: Ref, role: str, project: str, vo: Optional[str], at: Any) -> Wanted:
    return Wanted(assignment_ref(actor, role, project), needs=(actor, project_ref(project)), vo=vo, at=at)
