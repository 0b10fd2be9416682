"""Keystone groups: where the mapping puts those who enter with a proxy or a token."""

from __future__ import annotations

from typing import Iterable

from osg_site_iaas.cloud.kind import described, vo_in
from osg_site_iaas.cloud.kinds.keystone import KeystoneKind, domain_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import KindRule, Ref, Removal, Seen, Wanted, is_marked, marked


def group_ref(name: str) -> Ref:
    """The reference to a group of the site's domain."""
    return Ref("group", (name,))


class Group(KeystoneKind):
    """One for each VO and role that some line of its access gives. It holds no data, so it simply goes."""

    rule = KindRule("group", Removal.WITHDRAW, marks=("description",))
    ownership = "its description carries our mark"
    path = "/groups"
    member = "group"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for group in grid.groups(site):
            yield Wanted(
                group_ref(group.name),
                {"description": marked(f"{group.role} of {group.vo}", site.cloud.domain)},
                needs=(domain_ref(site.cloud.domain),),
                vo=group.vo,
                at=site.vo(group.vo).at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in reader.groups:
            text = described(item)
            ours = is_marked(text, reader.site.cloud.domain)
            vo = vo_in(text) if ours else None
            yield Seen(group_ref(item["name"]), item["id"], {"description": text}, ours=ours, vo=vo)
