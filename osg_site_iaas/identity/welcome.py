"""What a site tells everybody who wants to log in: ``GET /.well-known/osg-site-iaas`` at the grid address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional

from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import keystone

PATH = "/.well-known/osg-site-iaas"


@dataclass(frozen=True)
class Provider:
    """One way in."""

    id: str
    type: str  # x509 or token
    protocol: str
    issuers: tuple[str, ...]
    audiences: tuple[str, ...]
    authorization_ttl: Optional[int]  # minutes that keys outlive a login; None: Keystone's own


@dataclass(frozen=True)
class Welcome:
    """A site's names, ways in, and VOs (project by name). None of it is secret."""

    resource: str
    region: str
    domain: str
    providers: tuple[Provider, ...]
    vos: Mapping[str, str]

    def provider(self, type_: str, issuer: Optional[str] = None) -> Optional[Provider]:
        """The way in for a kind of credential, and for a token that of its issuer."""
        for provider in self.providers:
            if provider.type == type_ and (issuer is None or issuer in provider.issuers):
                return provider
        return None


def to_data(site: Site) -> dict[str, Any]:
    """The document for a site."""
    declared = {provider.name: provider for provider in site.identity_providers}
    providers = []
    for found in keystone.providers(site):
        audiences = declared[found.id].audiences if found.id in declared else ()
        providers.append(
            {
                "id": found.id,
                "type": found.type,
                "protocol": found.protocol,
                "issuers": list(found.remote_ids) if found.type == "token" else [],
                "audiences": list(audiences or (f"https://{site.site.fqdn}",))
                if found.type == "token"
                else [],
                "authorization_ttl": found.authorization_ttl,
            }
        )
    return {
        "version": 1,
        "resource": site.site.resource,
        "region": site.site.region,
        "domain": site.cloud.domain,
        "providers": providers,
        "vos": {vo.name: vo.project for vo in site.vos if vo.enabled and vo.access},
    }


def from_data(data: Any, where: str) -> Welcome:
    """The document as read from a site; SiteError if it is none."""
    try:
        if data["version"] != 1:
            raise SiteError("the site speaks a later language", where=where, todo="update osg-site-iaas")
        providers = tuple(
            Provider(
                str(p["id"]), str(p["type"]), str(p["protocol"]), tuple(map(str, p["issuers"])),
                tuple(map(str, p["audiences"])), p["authorization_ttl"],
            )
            for p in data["providers"]
        )  # fmt: skip
        vos = {str(name): str(project) for name, project in data["vos"].items()}
        return Welcome(str(data["resource"]), str(data["region"]), str(data["domain"]), providers, vos)
    except (KeyError, TypeError, AttributeError) as error:
        raise SiteError("what the site says of itself cannot be understood", where=where) from error
