"""Who is let in, as what, and who vouches for them. Which line decides about whom is for mapping/ to say."""

from __future__ import annotations

import re
from typing import Iterator

from osg_site_iaas.declaration.finder import Finder
from osg_site_iaas.declaration.model import VO, Access
from osg_site_iaas.declaration.read import Step
from osg_site_iaas.declaration.units import UNLIMITED
from osg_site_iaas.declaration.words import near

_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?")
_ROLES = ("member", "reader", "manager", "admin")
_TOKEN = "token"  # noqa: S105 (a type of provider)


def lines(finder: Finder) -> None:
    """Access lines that may let in others than was meant, or nobody."""
    site = finder.site
    vos = {vo.name.lower(): vo.name for vo in site.vos}
    trusted = {name for provider in site.identity_providers for name in provider.remote_ids}
    for vo, path, access in _lines(finder):
        if access.fqan is not None:
            _other_vo(finder, path, vo, access.fqan, vos)
        if access.dn is not None:
            _dn(finder, (*path, "dn"), access.dn)
        if access.issuer is not None and access.issuer not in trusted:
            what = f"no identity provider has the issuer {access.issuer}, so its tokens let nobody in"
            todo = "Add one of type token with it in remote_ids, spelt alike to the last slash."
            finder.doubt((*path, "issuer"), what, todo)


def _lines(finder: Finder) -> Iterator[tuple[VO, tuple[Step, ...], Access]]:
    for vo in finder.site.vos:
        for index, access in enumerate(vo.access):
            yield vo, ("vos", vo.name, "access", index), access


def _other_vo(finder: Finder, path: tuple[Step, ...], vo: VO, fqan: str, vos: dict[str, str]) -> None:
    # A group of another VO that is a VO of its own here is the rule in OSG: /fermilab/uboone is MicroBooNE.
    groups = [part for part in fqan.split("/")[1:] if "=" not in part and "*" not in part]
    other = vos.get(groups[0].lower()) if len(groups) == 1 else None
    if other is not None and other.lower() != vo.name.lower():
        what = f"{fqan} lets members of VO {other} into VO {vo.name}"
        finder.doubt((*path, "fqan"), what, f"If it is not meant, move the line to {other}.")


def _dn(finder: Finder, path: tuple[Step, ...], dn: str) -> None:
    if dn.endswith("/*"):
        todo = "Write each person's whole subject, or use an fqan."
        finder.doubt(path, "a subject is compared whole: * stands for nothing but itself", todo)
    elif dn.upper().startswith("/CN="):
        todo = "Write it as `openssl x509 -subject -nameopt compat` does, the country or DC first."
        finder.doubt(path, "the subject begins with its CN, so it is probably the wrong way round", todo)


def roles(finder: Finder) -> None:
    """The role admin is not for VOs; one nearly spelt like a usual role is probably that one."""
    said: list[tuple[tuple[Step, ...], str]] = [(("defaults", "role"), finder.site.defaults.role)]
    for _, path, access in _lines(finder):
        said.append(((*path, "role"), access.role))
    for vo in finder.site.vos:
        for user in vo.service_users:
            said.append((("vos", vo.name, "service_users", user.name[len(vo.name) + 1 :], "role"), user.role))
    for path, role in said:
        if path[0] != "defaults" and role == finder.site.defaults.role:
            continue  # said once, where the default is
        if role in _ROLES[:-1]:
            continue
        meant = near(role, _ROLES)
        if role.lower() == "admin":
            what = "the role admin in any project has power over the whole of OpenStack"
            finder.wrong(path, what, "Write manager, which has power over its own project.")
        elif meant:
            finder.doubt(path, f"the role {role} is not one of OpenStack's own", f"Did you mean {meant}?")


def providers(finder: Finder) -> None:
    """A token provider trusts issuers by URL, and only tokens that were made for this site."""
    first = ""
    for provider in finder.site.identity_providers:
        path = ("identity_providers", provider.name)
        if provider.type == "x509":
            if first:
                finder.doubt(
                    path, f"grid certificates go to {first} alone", "Remove one of the two.", key=True
                )
            first = first or provider.name
            if provider.audiences:
                what = "grid certificates have no audience"
                finder.doubt((*path, "audiences"), what, "Remove the line.", key=True)
        if provider.type != _TOKEN:
            continue
        for here, name in finder.items((*path, "remote_ids")):
            if not _ISSUER.fullmatch(name):
                todo = "Write its URL exactly as in its tokens; it begins with https:// and has no ? or #."
                finder.wrong(here, f"{name} is not a token issuer", todo)
        if not provider.audiences and finder.sound(path):
            what = "tokens made for any other service are accepted too"
            finder.doubt(path, what, "Add `audiences` with the names that this site has in tokens.", key=True)


def buckets(finder: Finder) -> None:
    """A bucket that may hold more than its VO never will."""
    for vo in finder.site.vos:
        most = vo.quota.object.get("bytes", UNLIMITED)
        for bucket in vo.buckets:
            quota = bucket.quota_bytes
            if isinstance(quota, int) and quota > most >= 0:
                path = ("vos", vo.name, "buckets", bucket.name, "quota")
                what = f"the bucket may hold {quota} bytes, and VO {vo.name} only {most}"
                finder.doubt(path, what, "Lower it, or raise the VO's object quota.")
