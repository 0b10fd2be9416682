"""How Keystone lets members in with grid proxies and tokens: identity provider, mapping and protocol."""

from __future__ import annotations

from dataclasses import replace
from typing import AbstractSet as Set
from typing import Any, Iterable, Optional

from osg_site_iaas.cloud.kind import Kind, Work, described, required_id
from osg_site_iaas.cloud.kinds.group import group_ref
from osg_site_iaas.cloud.kinds.keystone import domain_ref, forget
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import (
    Change,
    KindRule,
    Ref,
    Removal,
    Seen,
    Wanted,
    is_marked,
    marked,
    other_site,
)

ROOT = "/OS-FEDERATION"


def provider_ref(name: str) -> Ref:
    """The reference to an identity provider."""
    return Ref("identity_provider", (name,))


def mapping_ref(name: str) -> Ref:
    """The reference to a mapping."""
    return Ref("mapping", (name,))


class IdentityProvider(Kind):
    """Removing one takes its protocols, and everybody who enters by them, with it."""

    rule = KindRule("identity_provider", Removal.WITHDRAW, marks=("description",))
    service = "identity"
    ownership = "its description carries our mark"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for provider in grid.providers(site):
            attrs: dict[str, Any] = {
                "description": marked(provider.description, site.cloud.domain),
                "remote_ids": sorted(provider.remote_ids),
            }
            if provider.authorization_ttl is not None:
                attrs["authorization_ttl"] = provider.authorization_ttl
            yield Wanted(
                provider_ref(provider.id),
                attrs,
                needs=(domain_ref(provider.domain),),
                at=provider.at,
                initial={"enabled": True},
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in _providers(reader):
            yield Seen(
                provider_ref(item["id"]),
                item["id"],
                {
                    "description": described(item),
                    "enabled": item["enabled"],
                    "remote_ids": sorted(item["remote_ids"]),
                    "authorization_ttl": item.get("authorization_ttl"),
                },
                ours=_ours(reader, item),
                other=other_site(item.get("description"), reader.site.cloud.domain),
            )

    def share(
        self, site: Site, wanted: Optional[Wanted], seen: Optional[Seen], groups: Set[str]
    ) -> Optional[Wanted]:
        return _if_needed(site, wanted, seen, groups)

    def create(self, work: Work, change: Change) -> str:
        (name,) = change.ref.key
        body = {**change.after, "domain_id": work.ids[domain_ref(work.site.cloud.domain)]}
        path = f"{ROOT}/identity_providers/{name}"
        work.cloud.request("PUT", "identity", path, json={"identity_provider": body})
        return name

    def update(self, work: Work, change: Change) -> None:
        path = f"{ROOT}/identity_providers/{required_id(change)}"
        work.cloud.request("PATCH", "identity", path, json={"identity_provider": dict(change.after)})

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", f"{ROOT}/identity_providers/{required_id(change)}")


class Mapping(Kind):
    """The rules, compared as a whole. Losing one withdraws access."""

    rule = KindRule(
        "mapping", Removal.WITHDRAW, marks=("named",), parts=lambda attrs: grid.led_to(attrs["rules"])
    )
    service = "identity"
    ownership = f"its name begins with `{grid.MAPPING_PREFIX}`, and its identity provider is ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for provider in grid.providers(site):
            rules = grid.rules(site, provider)
            groups = {g["group"]["name"] for rule in rules for g in rule["local"] if "group" in g}
            known = {group.name for group in grid.groups(site)}
            yield Wanted(
                mapping_ref(provider.mapping),
                {"rules": rules, "named": True},  # it has no other mark than its name
                needs=tuple(group_ref(name) for name in sorted(groups & known)),
                at=provider.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        providers = {grid.mapping_id(item["id"]): item for item in _providers(reader)}
        for item in reader.all("identity", f"{ROOT}/mappings", "mappings"):
            provider = providers.get(item["id"])
            # made before its provider and left behind by a killed run, it still names our domain
            domain = reader.site.cloud.domain
            named = _named(item["rules"])
            of_us = _ours(reader, provider) if provider else named == {domain}
            other = other_site((provider or {}).get("description"), domain)
            if item["id"].startswith(grid.MAPPING_PREFIX) and not provider and len(named - {domain}) == 1:
                other = next(iter(named - {domain}))
            yield Seen(
                mapping_ref(item["id"]),
                item["id"],
                {"rules": item["rules"], "named": True},
                ours=item["id"].startswith(grid.MAPPING_PREFIX) and of_us,
                other=other,
            )

    def share(
        self, site: Site, wanted: Optional[Wanted], seen: Optional[Seen], groups: Set[str]
    ) -> Optional[Wanted]:
        if wanted is None and (seen is None or not seen.ours):
            return None  # another site's groups may have the same names
        there = seen.attrs["rules"] if seen else []
        rules = grid.merged(there, wanted.attrs["rules"] if wanted else [], groups)
        item = wanted or (Wanted(seen.ref) if seen else None)
        if rules == there or item is None:
            return None
        # another VO's group may be one that nobody has made yet
        needs = tuple(need for need in item.needs if need.kind != "group" or need.key[0] in groups)
        return replace(item, attrs={"rules": rules}, needs=needs)

    def create(self, work: Work, change: Change) -> str:
        (name,) = change.ref.key
        body = {"rules": change.after["rules"]}
        work.cloud.request("PUT", "identity", f"{ROOT}/mappings/{name}", json={"mapping": body})
        return name

    def update(self, work: Work, change: Change) -> None:
        path = f"{ROOT}/mappings/{required_id(change)}"
        if "rules" not in change.after:
            return  # taken over by name
        body = {"rules": change.after["rules"]}
        work.cloud.request("PATCH", "identity", path, json={"mapping": body})

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", f"{ROOT}/mappings/{required_id(change)}")


class Protocol(Kind):
    """What ties a provider to its mapping."""

    rule = KindRule("protocol", Removal.WITHDRAW, derived=True)
    service = "identity"
    ownership = "its identity provider is ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for provider in grid.providers(site):
            yield Wanted(
                Ref(self.name, (provider.id, provider.protocol)),
                {"mapping": provider.mapping},
                needs=(provider_ref(provider.id), mapping_ref(provider.mapping)),
                at=provider.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        known = {provider.id for provider in grid.providers(reader.site)}
        found = [item for item in _providers(reader) if _ours(reader, item) or item["id"] in known]
        for provider in found:
            path = f"{ROOT}/identity_providers/{provider['id']}/protocols"
            for item in reader.all("identity", path, "protocols"):
                yield Seen(
                    Ref(self.name, (provider["id"], item["id"])),
                    item["id"],
                    {"mapping": item["mapping_id"]},
                    ours=_ours(reader, provider),
                    needs=(provider_ref(provider["id"]), mapping_ref(item["mapping_id"])),
                )

    def share(
        self, site: Site, wanted: Optional[Wanted], seen: Optional[Seen], groups: Set[str]
    ) -> Optional[Wanted]:
        return _if_needed(site, wanted, seen, groups)

    def create(self, work: Work, change: Change) -> str:
        work.cloud.request("PUT", "identity", self._path(change), json=self._body(change))
        return change.ref.key[1]

    def update(self, work: Work, change: Change) -> None:
        work.cloud.request("PATCH", "identity", self._path(change), json=self._body(change))

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", self._path(change))

    @staticmethod
    def _path(change: Change) -> str:
        provider, protocol = change.ref.key
        return f"{ROOT}/identity_providers/{provider}/protocols/{protocol}"

    @staticmethod
    def _body(change: Change) -> dict[str, Any]:
        return {"protocol": {"mapping_id": change.after["mapping"]}}


def _if_needed(
    site: Site, wanted: Optional[Wanted], seen: Optional[Seen], groups: Set[str]
) -> Optional[Wanted]:
    """A provider, or what hangs on it by the same name, if these groups enter by it and it is not there."""
    if wanted is None or (seen is not None and seen.ours):
        return None
    provider = next(item for item in grid.providers(site) if item.id == wanted.ref.key[0])
    return wanted if groups & set(grid.provider_groups(site, provider)) else None


def _providers(reader: Reader) -> list[dict[str, Any]]:
    return reader.all("identity", f"{ROOT}/identity_providers", "identity_providers")


def _ours(reader: Reader, provider: dict[str, Any]) -> bool:
    return is_marked(provider.get("description"), reader.site.cloud.domain)


def _named(rules: list[dict[str, Any]]) -> set[str]:
    """The domains into whose groups the rules put people."""
    return {
        str(local["group"].get("domain", {}).get("name"))
        for rule in rules
        for local in rule.get("local", ())
        if isinstance(local.get("group"), dict)
    }
