"""What Keystone must know so that the table's decision becomes a token: groups, identity providers and rules.

Keystone applies every mapping rule that fits, and the table the first only. So the door in front of Keystone
asks the table, and hands the outcome to Keystone in environment variables of its own; a rule of Keystone's
then is one line a group, and cannot disagree. What a door sets is ``environment()``; what Keystone reads are
``rules()``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import AbstractSet, Any, Mapping, Optional, Sequence

from osg_site_iaas.declaration.model import IdentityProvider, Position, Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping.credential import Credential, Token
from osg_site_iaas.mapping.names import user_id, user_name
from osg_site_iaas.mapping.table import Match, says

# Set by the door, read by Keystone. A client cannot set them: its headers arrive as HTTP_*.
PROVIDER = "OSG_SITE_IDP"  # the provider's remote id; Keystone's remote_id_attribute
USER = "OSG_SITE_USER"  # a name that a person can read
USER_ID = "OSG_SITE_USER_ID"  # the same for as long as the DN, or issuer and subject, are
GROUPS = "OSG_SITE_GROUPS"  # names, with ; between them
VO = "OSG_SITE_VO"
PROJECT = "OSG_SITE_PROJECT"
EC2_KEYS = "OSG_SITE_EC2_KEYS"  # true or false

EC2_ROLE = "osg-ec2-keys"  # who may make EC2 keys, at a site where not everybody may
PROTOCOL = "mapped"  # a method that every Keystone has switched on
MAPPING_PREFIX = "osg-site-iaas-"  # a mapping has no tags; its name says that it is ours
NOBODY = "nobody"  # no group of ours: theirs all hold a -
NOWHERE = Position()
LONGEST_NAME = 64  # of a group or mapping, in Keystone's database
_MAPPING_ID = re.compile(rf"[A-Za-z0-9_-]{{1,{LONGEST_NAME}}}")


@dataclass(frozen=True)
class Group:
    """A Keystone group: those whom some line of ``vo`` lets in with ``role``."""

    name: str  # in the domain of site.cloud: cms-member
    vo: str
    role: str  # to be granted to the group on the VO's project
    description: str
    at: Position = NOWHERE
    roles: tuple[str, ...] = ()  # that, and whatever else the group is granted there
    lines: tuple[str, ...] = ()  # what lets them in, in words and in site.yml's order


@dataclass(frozen=True)
class Provider:
    """A Keystone identity provider, its one protocol and that protocol's mapping."""

    id: str
    type: str  # x509 or token
    description: str
    remote_ids: tuple[str, ...]  # never empty
    authorization_ttl: Optional[int]  # minutes; None: not declared, leave it to Keystone
    domain: str  # name of the domain its users live in
    mapping: str  # id of the mapping
    protocol: str = PROTOCOL  # id of the protocol that ties provider and mapping
    at: Position = NOWHERE


def mapping_id(provider: str) -> str:
    """The id of the mapping of a provider of this id.

    Releases up to Zed, at least, take no other characters in it than these: a provider may have dots.
    """
    plain = f"{MAPPING_PREFIX}{provider}"
    if _MAPPING_ID.fullmatch(plain):
        return plain
    mark = "-" + hashlib.sha256(provider.encode()).hexdigest()[:12]
    return re.sub(r"[^A-Za-z0-9_-]", "-", plain)[: LONGEST_NAME - len(mark)] + mark


def group_name(vo: str, role: str, ec2_keys: bool = True) -> str:
    """The name of the Keystone group of a VO's members with a role; those who may not have EC2 keys have their own."""
    return f"{vo}-{role}" if ec2_keys else f"{vo}-{role}-nokeys"


def ec2_keys_matter(site: Site) -> bool:
    """Whether some line of the site denies EC2 keys: only then need Keystone tell those who may."""
    return any(not access.ec2_keys for vo in site.vos for access in vo.access)


def groups(site: Site) -> tuple[Group, ...]:
    """The groups that the site needs, in site.yml's order: one for each VO and role of its access lines.

    SiteError if two of them would have one name, or one is too long for Keystone.
    """
    found: dict[str, Group] = {}
    matter = ec2_keys_matter(site)
    for vo in site.vos:
        for access in vo.access:
            name = group_name(vo.name, access.role, access.ec2_keys)
            roles = (access.role, EC2_ROLE) if matter and access.ec2_keys else (access.role,)
            group = Group(name, vo.name, access.role, f"VO {vo.name}, role {access.role}", access.at, roles)
            other = found.setdefault(name, group)
            where = f"{site.file}:{access.at.line}"
            if (other.vo, other.role, other.roles) != (vo.name, access.role, roles):
                what = (
                    f"role {access.role} of VO {vo.name} and role {other.role} of VO {other.vo} share a group"
                )
                raise SiteError(what, where=where, todo="rename one of the two VOs")
            found[name] = replace(other, lines=(*other.lines, says(access)))
            if len(name) > LONGEST_NAME:
                what = f"the Keystone group {name} is longer than {LONGEST_NAME} characters"
                raise SiteError(
                    what, where=where, todo="shorten the VO's name; reporting_name keeps the long one"
                )
    return tuple(found.values())


def providers(site: Site) -> tuple[Provider, ...]:
    """The identity providers that the site needs: those declared, and ``grid`` if certificates need one.

    Token issuers are never implied: whom to trust, and for which audience, must be said.
    """
    declared = tuple(_provider(site, provider) for provider in site.identity_providers)
    uses_x509 = any(access.issuer is None for vo in site.vos for access in vo.access)
    if uses_x509 and not any(provider.type == "x509" for provider in declared):
        name = "grid"
        while name in {provider.id for provider in declared}:
            name += "-x509"
        declared = (*declared, _provider(site, IdentityProvider(name, "x509")))
    return declared


def rules(site: Site, provider: Provider) -> list[dict[str, Any]]:
    """The rules of the provider's mapping, for Keystone's mapping schema 1.0; never empty.

    One rule for each group that a line for this kind of credential leads to: a provider can never give more
    than site.yml says it may; if that is nothing, the one rule fits nobody. Every rule needs the provider's
    own remote id, so that nothing rests on Keystone's ``remote_id_attribute`` being set.
    """
    return [_rule(site.cloud.domain, provider, name) for name in provider_groups(site, provider)] or [
        _rule(site.cloud.domain, provider, NOBODY)
    ]


def provider_groups(site: Site, provider: Provider) -> tuple[str, ...]:
    """The names of the groups that a credential of this provider can lead to, in site.yml's order."""
    names = [
        group_name(vo.name, access.role, access.ec2_keys)
        for vo in site.vos
        if vo.enabled
        for access in vo.access
        if (access.issuer in provider.remote_ids if provider.type == "token" else access.issuer is None)
    ]
    return tuple(dict.fromkeys(names))


def led_to(rules: Sequence[Mapping[str, Any]]) -> AbstractSet[str]:
    """The names of the groups that a mapping's rules lead somebody to."""
    return {_group(rule) for rule in rules} - {"", NOBODY}


def merged(
    there: Sequence[Mapping[str, Any]], wanted: Sequence[Mapping[str, Any]], groups: AbstractSet[str]
) -> list[Mapping[str, Any]]:
    """A mapping's rules with those for some groups as they are wanted, and those for all others as they are.

    Equal to ``there`` where those groups have nothing to do with it.
    """
    new = {_group(rule): rule for rule in wanted if _group(rule) in groups}
    rules = []
    for rule in there:
        name = _group(rule)
        if name not in groups:
            rules.append(rule)
        elif name in new:
            rules.append(new.pop(name))
    rules += new.values()
    if len(rules) > 1:
        rules = [rule for rule in rules if _group(rule) != NOBODY]
    # Keystone wants one rule at least
    return rules or [_for(NOBODY, rule) for rule in there[:1]]


def provider_of(site: Site, credential: Credential) -> Optional[Provider]:
    """The identity provider that vouches for such a credential; None if the site trusts none that does."""
    for provider in providers(site):
        if isinstance(credential, Token):
            if provider.type == "token" and credential.issuer in provider.remote_ids:
                return provider
        elif provider.type == "x509":
            return provider
    return None


def environment(provider: Provider, credential: Credential, match: Match) -> dict[str, str]:
    """The variables that a door sets for Keystone, after verifying the credential and asking the table.

    All are printable ASCII, and none but the groups holds a ``;``, which Keystone would split at.
    """
    remote_id = credential.issuer if isinstance(credential, Token) else provider.remote_ids[0]
    return {
        PROVIDER: remote_id,
        USER: user_name(credential),
        USER_ID: user_id(credential),
        GROUPS: group_name(match.vo, match.role, match.ec2_keys),
        VO: match.vo,
        PROJECT: match.project,
        EC2_KEYS: "true" if match.ec2_keys else "false",
    }


def _provider(site: Site, provider: IdentityProvider) -> Provider:
    what = "token issuer" if provider.type == "token" else "grid certificates"
    return Provider(
        id=provider.name,
        type=provider.type,
        description=f"{what} {', '.join(provider.remote_ids)}".strip(),
        remote_ids=provider.remote_ids or (f"{MAPPING_PREFIX}{provider.name}",),
        authorization_ttl=provider.authorization_ttl or None,
        domain=site.cloud.domain,
        mapping=mapping_id(provider.name),
        at=provider.at,
    )


def _group(rule: Mapping[str, Any]) -> str:
    """The group that a rule of ours leads to; empty for a rule of somebody else's."""
    for local in rule.get("local", ()):
        if isinstance(local.get("group"), Mapping) and "name" in local["group"]:
            return str(local["group"]["name"])
    return ""


def _for(group: str, rule: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same rule for another group."""
    local = [
        {**part, "group": {**part["group"], "name": group}} if "group" in part else part
        for part in rule["local"]
    ]
    remote = [{**part, "any_one_of": [group]} if part["type"] == GROUPS else part for part in rule["remote"]]
    return {"local": local, "remote": remote}


def _rule(domain: str, provider: Provider, group: str) -> dict[str, Any]:
    # A rule a group, not one rule with a whitelist: Keystone reads a list of groups in which the letters
    # "name" occur anywhere, as in "filename-member", as something else, and fails.
    return {
        "local": [
            {"user": {"name": "{0}", "id": "{1}", "type": "ephemeral"}},
            {"group": {"name": group, "domain": {"name": domain}}},
        ],
        "remote": [
            {"type": USER},
            {"type": USER_ID},
            {"type": GROUPS, "any_one_of": [group]},
            {"type": PROVIDER, "any_one_of": list(provider.remote_ids)},
        ],
    }
