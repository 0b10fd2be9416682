"""Who is in a group of ours. Nobody is meant to be: proxies and tokens lead into it, and leave no member behind."""

from __future__ import annotations

import re
from typing import Any, Iterable

from osg_site_iaas.cloud.kind import Kind, Work, described, required_id, vo_in
from osg_site_iaas.cloud.kinds.group import group_ref
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.user import user_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import Change, KindRule, Ref, Removal, Seen, Wanted, is_marked

_MEMBERSHIP = re.compile(r"/groups/(\w+)/users/(\w+)$")


class GroupMember(Kind):
    """Put there by hand, somebody has all that the group has, for as long as they like."""

    rule = KindRule("group_member", Removal.WITHDRAW, derived=True, grants=True)
    service = "identity"
    ownership = "its group and its user are ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        return ()

    def observe(self, reader: Reader) -> Iterable[Seen]:
        domain = reader.site.cloud.domain
        users = {item["id"]: item for item in reader.users}
        groups = {item["id"]: item for item in reader.groups if is_marked(item.get("description"), domain)}
        found = {pair for item in _effective(reader) for pair in _membership(item) if pair[0] in groups}
        for group, member in sorted(found):
            user = users.get(member)
            name = str(groups[group]["name"])
            yield Seen(
                Ref(self.name, (name, str(user["name"]) if user else member)),
                f"/groups/{group}/users/{member}",
                ours=user is not None and is_marked(user.get("description"), domain),
                needs=(group_ref(name), *([user_ref(str(user["name"]))] if user else ())),
                vo=vo_in(described(groups[group])),
            )

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", required_id(change))


def _effective(reader: Reader) -> list[dict[str, Any]]:
    """What everybody can do in the domain's projects: one request, where asking each group would be one a group."""
    if reader.domain is None:
        return []
    path = f"/role_assignments?effective&include_subtree&scope.project.id={reader.domain['id']}"
    return reader.all("identity", path, "role_assignments")


def _membership(assignment: dict[str, Any]) -> Iterable[tuple[str, str]]:
    found = _MEMBERSHIP.search(str(assignment.get("links", {}).get("membership", "")))
    return [(found.group(1), found.group(2))] if found else []
