"""The Keystone domain that holds the site's projects, groups and users."""

from __future__ import annotations

from typing import Iterable

from osg_site_iaas.cloud.kind import described
from osg_site_iaas.cloud.kinds.keystone import KeystoneKind, domain_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import KindRule, Removal, Seen, Wanted, is_marked, marked


class Domain(KeystoneKind):
    """Used as it is where it exists already: a site may keep its VOs in a domain it has."""

    rule = KindRule("domain", Removal.NEVER, marks=("description",))
    ownership = "its description carries our mark"
    path = "/domains"
    member = "domain"
    in_domain = False

    def desired(self, site: Site) -> Iterable[Wanted]:
        yield Wanted(
            domain_ref(site.cloud.domain),
            {"description": marked(f"VOs of {site.site.resource}", site.cloud.domain)},
            borrowed=True,
            initial={"enabled": True},
        )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        item = reader.domain
        if item is not None:
            text = described(item)
            yield Seen(
                domain_ref(item["name"]),
                item["id"],
                {"description": text, "enabled": item["enabled"]},
                ours=is_marked(text, item["name"]),
            )
