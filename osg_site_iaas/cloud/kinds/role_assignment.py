"""Who has which role on a VO's project."""

from __future__ import annotations

from typing import Any, Iterable, Optional

from osg_site_iaas.cloud.kind import Kind, Work, project_ref
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

    rule = KindRule("role_assignment", Removal.WITHDRAW, derived=True)
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
            project = projects.get(item["scope"].get("project", {}).get("id"))
            if project is None or "OS-INHERIT:inherited_to" in item["scope"]:
                continue
            kind = "user" if "user" in item else "group"
            actor = actors.get((kind, item[kind]["id"]))
            role = roles.get(item["role"]["id"], item["role"]["id"])
            named = Ref(kind, (actor["name"] if actor else item[kind]["id"],))
            yield Seen(
                assignment_ref(named, role, project["name"]),
                _path(project["id"], kind, item[kind]["id"], item["role"]["id"]),
                ours=actor is not None
                and is_marked(actor.get("description"), reader.site.cloud.domain)
                and TAG in project.get("tags", ()),
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


def _path(project: str, kind: str, actor: str, role: str) -> str:
    return f"/projects/{project}/{kind}s/{actor}/roles/{role}"


def _wanted(actor: Ref, role: str, project: str, vo: Optional[str], at: Any) -> Wanted:
    return Wanted(assignment_ref(actor, role, project), needs=(actor, project_ref(project)), vo=vo, at=at)
