"""How Keystone lets members in with grid proxies and tokens: identity provider, mapping and protocol."""

from __future__ import annotations

from typing import Any, Iterable

from osg_site_iaas.cloud.kind import Kind, Work, described, required_id
from osg_site_iaas.cloud.kinds.group import group_ref
from osg_site_iaas.cloud.kinds.keystone import domain_ref, forget
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import Change, KindRule, Ref, Removal, Seen, Wanted, is_marked, marked

ROOT = "/OS-FEDERATION"


def provider_ref(name: str) -> Ref:
    """The reference to an identity provider."""
    return Ref("identity_provider", (name,))


def mapping_ref(name: str) -> Ref:
    """The reference to a mapping."""
    return Ref("mapping", (name,))


class IdentityProvider(Kind):
    """Removing one takes its protocols, and everybody who enters by them, with it."""

    rule = KindRule("identity_provider", Removal.WITHDRAW)
    service = "identity"
    ownership = "its description carries our mark"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for provider in grid.providers(site):
            attrs: dict[str, Any] = {
                "description": marked(provider.description),
                "enabled": True,
                "remote_ids": sorted(provider.remote_ids),
            }
            if provider.authorization_ttl is not None:
                attrs["authorization_ttl"] = provider.authorization_ttl
            yield Wanted(
                provider_ref(provider.id), attrs, needs=(domain_ref(provider.domain),), at=provider.at
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in reader.all("identity", f"{ROOT}/identity_providers", "identity_providers"):
            yield Seen(
                provider_ref(item["id"]),
                item["id"],
                {
                    "description": described(item),
                    "enabled": item["enabled"],
                    "remote_ids": sorted(item["remote_ids"]),
                    "authorization_ttl": item.get("authorization_ttl"),
                },
                ours=is_marked(item.get("description")),
            )

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

    rule = KindRule("mapping", Removal.WITHDRAW)
    service = "identity"
    ownership = f"its name begins with `{grid.MAPPING_PREFIX}`"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for provider in grid.providers(site):
            rules = grid.rules(site, provider)
            groups = {g["group"]["name"] for rule in rules for g in rule["local"] if "group" in g}
            known = {group.name for group in grid.groups(site)}
            yield Wanted(
                mapping_ref(provider.mapping),
                {"rules": rules},
                needs=tuple(group_ref(name) for name in sorted(groups & known)),
                at=provider.at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in reader.all("identity", f"{ROOT}/mappings", "mappings"):
            yield Seen(
                mapping_ref(item["id"]),
                item["id"],
                {"rules": item["rules"]},
                ours=item["id"].startswith(grid.MAPPING_PREFIX),
            )

    def create(self, work: Work, change: Change) -> str:
        (name,) = change.ref.key
        body = {"rules": change.after["rules"]}
        work.cloud.request("PUT", "identity", f"{ROOT}/mappings/{name}", json={"mapping": body})
        return name

    def update(self, work: Work, change: Change) -> None:
        path = f"{ROOT}/mappings/{required_id(change)}"
        body = {"rules": change.after["rules"]}
        work.cloud.request("PATCH", "identity", path, json={"mapping": body})

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", f"{ROOT}/mappings/{required_id(change)}")


class Protocol(Kind):
    """What ties a provider to its mapping."""

    rule = KindRule("protocol", Removal.WITHDRAW)
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
        found = [
            item
            for item in reader.all("identity", f"{ROOT}/identity_providers", "identity_providers")
            if is_marked(item.get("description")) or item["id"] in known
        ]
        for provider in found:
            path = f"{ROOT}/identity_providers/{provider['id']}/protocols"
            for item in reader.all("identity", path, "protocols"):
                yield Seen(
                    Ref(self.name, (provider["id"], item["id"])),
                    item["id"],
                    {"mapping": item["mapping_id"]},
                    ours=is_marked(provider.get("description")),
                    needs=(provider_ref(provider["id"]), mapping_ref(item["mapping_id"])),
                )

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
