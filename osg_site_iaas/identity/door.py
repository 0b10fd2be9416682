"""From a credential to what Keystone is told: verification, the table, the bans, in that order."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Mapping, Optional, Sequence

from cryptography import x509

from osg_site_iaas.declaration.load import load as load_site
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.identity import chain, libvoms, tokens, voms
from osg_site_iaas.identity.issuer_keys import KeyCache, over_https, seconds
from osg_site_iaas.identity.logins import Logins, remember
from osg_site_iaas.identity.refused import Refused
from osg_site_iaas.identity.settings import Settings
from osg_site_iaas.identity.trust import TrustDirectory
from osg_site_iaas.identity.vomsdir import VomsDirectory
from osg_site_iaas.identity.watched import Watched
from osg_site_iaas.mapping import bans, keystone
from osg_site_iaas.mapping.credential import Certificate, Credential, Token
from osg_site_iaas.mapping.table import Table

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """One version of site.yml, ready to decide."""

    site: Site
    table: Table
    providers: Mapping[str, keystone.Provider]  # by id
    issuers: Mapping[str, tokens.TrustedIssuer]  # by URL

    @classmethod
    def load(cls, file: Path) -> Rules:
        site = load_site(file)
        audiences: dict[str, set[str]] = {}
        for declared in site.identity_providers:
            if declared.type == "token":
                for url in declared.remote_ids:
                    audiences.setdefault(url, set()).update(
                        declared.audiences or (f"https://{site.site.fqdn}",)
                    )
        return cls(
            site,
            Table.of(site),
            {provider.id: provider for provider in keystone.providers(site)},
            {url: tokens.TrustedIssuer(url, frozenset(found)) for url, found in audiences.items()},
        )


@dataclass(frozen=True)
class Admitted:
    """Who was let in, and the variables that tell Keystone."""

    credential: Credential
    vo: str
    environment: Mapping[str, str]
    not_after: dt.datetime  # when the credential ends


class Door:
    """Decides about credentials; safe to use from many threads. Files are read again when they change."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.rules = Watched(settings.site, Rules.load)
        self.bans = Watched(bans.file_beside(settings.site), bans.load)
        self.trust = TrustDirectory(settings.certificates, recheck=settings.recheck)
        self.vomsdir = VomsDirectory(settings.vomsdir)
        self.library = libvoms.Library() if settings.voms_library else None
        ca = settings.issuer_ca
        self.keys = KeyCache(over_https(str(ca) if ca else True), seconds, folder=settings.keys)
        self.logins = Logins(settings.logins, settings.logins_days) if settings.logins else None
        self._chain_rules = chain.Rules(
            settings.limited_proxies, settings.require_crl, settings.require_policy
        )

    def provider_type(self, provider: str) -> Optional[str]:
        """``x509`` or ``token``; None for an identity provider that is not ours."""
        found = self.rules.current().providers.get(provider)
        return found.type if found else None

    def certificate(
        self, certificates: Sequence[x509.Certificate], provider: str, now: dt.datetime
    ) -> Admitted:
        """Let in the bearer of a chain whose leaf's key TLS has proven; else Refused."""
        credential, until = self.verify_certificate(certificates, now)
        return self._admit(credential, provider, until, now)

    def token(self, token: str, provider: str, now: dt.datetime) -> Admitted:
        """Let in the bearer of a token; else Refused."""
        found = tokens.verify(token, self.rules.current().issuers, self.keys, now=now)
        credential = Token(found.issuer, found.subject, found.groups, found.scopes)
        return self._admit(credential, provider, found.not_after, now)

    def verify_certificate(
        self, certificates: Sequence[x509.Certificate], now: dt.datetime
    ) -> tuple[Certificate, dt.datetime]:
        """The DN and FQANs that a chain proves, and until when; else Refused."""
        trust = self.trust.current()
        found = chain.verify(certificates, trust, now=now, rules=self._chain_rules)
        hosts = self.settings.hosts
        memberships = voms.verify(found, trust, self.vomsdir, now=now, hosts=hosts, rules=self._chain_rules)
        if self.library is not None:
            self._agree(found, memberships)
        fqans = tuple(fqan for membership in memberships for fqan in membership.fqans)
        until = min([found.not_after, *(m.not_after for m in memberships)])
        return Certificate(found.subject, fqans), until

    def _agree(self, found: chain.Chain, memberships: Sequence[voms.Membership]) -> None:
        assert self.library is not None  # noqa: S101
        sent = (*found.proxies, found.eec)
        theirs = self.library.verify(sent, self.settings.vomsdir, self.settings.certificates)
        ours = tuple((m.vo, m.fqans) for m in memberships)
        if ours != theirs:
            raise Refused(
                "the proxy's VOMS attributes are read in two ways",
                todo="make a new proxy (voms-proxy-init)",
                subject=found.subject,
                detail=f"ours={ours} libvomsapi={theirs}",
            )

    def _admit(self, credential: Credential, provider: str, until: dt.datetime, now: dt.datetime) -> Admitted:
        rules = self.rules.current()
        subject = (
            credential.dn
            if isinstance(credential, Certificate)
            else f"{credential.issuer} {credential.subject}"
        )
        vouches = keystone.provider_of(rules.site, credential)
        if vouches is None or vouches.id != provider:
            raise Refused(
                f"identity provider {provider} does not take this kind of credential",
                todo=f"log in through {vouches.id}" if vouches else "ask the site",
                subject=subject,
            )
        decision = rules.table.decide(credential)
        ban = self.bans.current().hit(credential, decision.match.vo if decision.match else None)
        if ban is not None:
            raise Refused(
                "you are banned from this site",
                todo="ask the site's administrators",
                subject=subject,
                detail=ban.says,
            )
        if decision.match is None or not decision.allowed:
            raise Refused(
                "no line of the site's table lets you in",
                todo=_what_was_shown(credential),
                subject=subject,
                detail=decision.reason,
            )
        environment = keystone.environment(vouches, credential, decision.match)
        remember(
            self.logins,
            environment[keystone.USER_ID], environment[keystone.USER], decision.match.vo, credential, now,
        )  # fmt: skip
        log.info("login subject=%s vo=%s by=%s", subject, decision.match.vo, decision.match.line.says)
        return Admitted(credential, decision.match.vo, environment, until)


def _what_was_shown(credential: Credential) -> str:
    if isinstance(credential, Token):
        return "your token's groups and scopes are not those of a VO that this site serves"
    if credential.fqans:
        return f"your proxy shows {', '.join(credential.fqans[:3])}: ask the site, or make one for another VO or role"
    return "your proxy names no VO: make one with voms-proxy-init -voms VO"
