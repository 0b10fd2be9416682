"""Plain data in the schema's shape to the values of model.py, with what the schema cannot see."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Callable, Mapping

from osg_site_iaas.declaration import fields
from osg_site_iaas.declaration.fields import Convert
from osg_site_iaas.declaration.model import (
    UNSET,
    VO,
    Access,
    Accounting,
    Bucket,
    Cache,
    Cloud,
    Defaults,
    Flavour,
    Identity,
    IdentityProvider,
    Image,
    Network,
    Position,
    Quota,
    Router,
    Rule,
    Secret,
    SecurityGroup,
    ServiceUser,
    Site,
    Subnet,
)
from osg_site_iaas.declaration.read import Document, Entries, Positions, Step, unpack
from osg_site_iaas.declaration.units import Unfit
from osg_site_iaas.errors import Problem

Path_ = tuple[Step, ...]


def site(document: Document, file: Path) -> tuple[Site, list[Problem]]:
    """The declaration's values, and what of it cannot be converted; relative paths start beside ``file``.

    Only with no problem at all, here or before, is the Site whole: what is missing or unfit has its default
    in it, so that the checks that follow can go on and report the rest.
    """
    build = _Build(document, file)
    return build.site(), build.found


class _Build:
    def __init__(self, document: Document, file: Path) -> None:
        self.document = document
        self.file = file
        self.found: list[Problem] = []
        self.positions = Positions(document.data)
        self.folder = Path(os.path.abspath(file)).parent  # noqa: PTH100 (".." goes, links stay)

    def site(self) -> Site:
        data: Any = self.document.data
        defaults = self.defaults(_mapping(data, "defaults"))
        self.default = defaults
        return Site(
            file=self.file,
            version=1,
            site=Identity(**{"resource": "", "fqdn": "", **_mapping(data, "site")}),
            cloud=self.cloud(_mapping(data, "cloud")),
            defaults=defaults,
            flavours=self.each(data, (), "flavours", self.flavour),
            networks=self.each(data, (), "networks", self.network),
            routers=self.each(data, (), "routers", self.router),
            security_groups=self.each(data, (), "security_groups", self.security_group),
            images=self.each(data, (), "images", self.image),
            identity_providers=self.each(data, (), "identity_providers", self.identity_provider),
            vos=self.each(data, (), "vos", self.vo),
            accounting=self.accounting(_mapping(data, "accounting")),
            caches=self.each(data, (), "caches", self.cache),
            positions=self.positions,
        )

    def convert(
        self, path: Path_, entry: Mapping[Any, Any], converts: Mapping[Any, Convert]
    ) -> dict[Any, Any]:
        """The entry with the named values converted; a value that does not fit is reported and left out."""
        given = dict(entry)
        for key, convert in converts.items():
            if key not in given:
                continue
            try:
                given[key] = convert(given[key])
            except Unfit as unfit:
                del given[key]
                self.found.append(self.document.problem((*path, key), unfit.what, unfit.todo))
        return given

    def each(
        self, data: Any, path: Path_, key: str, make: Callable[[Path_, str, Any], Any]
    ) -> tuple[Any, ...]:
        return tuple(
            make((*path, key, name), name, entry or {}) for name, entry in _mapping(data, key).items()
        )

    def at(self, path: Path_) -> Position:
        return unpack(self.document.place(path))

    def cloud(self, entry: Mapping[str, Any]) -> Cloud:
        given = {"name": "", "secrets": "secrets", **entry}
        given = self.convert(("cloud",), given, {"secrets": self.absolute, "admin_projects": tuple})
        if "secrets" in given:
            given["secrets"] = Path(given["secrets"])
        return Cloud(**given)

    def absolute(self, path: str) -> str:
        if path.startswith("~"):
            raise Unfit(
                "a path that begins with ~ means another folder to each user", "Write the whole path."
            )
        return os.path.normpath(self.folder / path)

    def source(self, text: str) -> str:
        return f"file:{self.absolute(text[5:])}" if text.startswith("file:") else text

    def defaults(self, entry: Mapping[str, Any]) -> Defaults:
        given = dict(entry)
        given["quota"] = self.quota(("defaults", "quota"), _mapping(entry, "quota"))
        return Defaults(**given)

    def quota(self, path: Path_, entry: Mapping[str, Any]) -> Quota:
        given = {}
        for service in ("compute", "network", "volume", "object"):
            limits = _mapping(entry, service)
            given[service] = self.convert(
                (*path, service), limits, {name: fields.limit(name) for name in limits}
            )
        return Quota(**given)

    def flavour(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Flavour:
        given = self.convert(path, _plain(entry), fields.FLAVOUR)
        if "vos" in given:
            given["vos"] = _names(given["vos"])
        given["stated"] = _stated(entry)
        return Flavour(name=name, at=self.at(path), **{"vcpus": 1, "ram": 1, **_texts(given)})

    def network(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Network:
        given = {
            **entry,
            **_copied(entry, "provider"),
            "subnets": self.each(entry, path, "subnets", self.subnet),
            "stated": _stated(entry),
        }
        return Network(name=name, at=self.at(path), **given)

    def subnet(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Subnet:
        given = self.convert(path, entry, fields.SUBNET)
        given["dns"] = tuple(
            server
            for index, text in enumerate(entry.get("dns") or ())
            for server in self.convert((*path, "dns"), {index: text}, {index: fields.address}).values()
            if text is not None
        )
        return Subnet(name=name, stated=_stated(entry), **{"cidr": "", **given})

    def router(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Router:
        return Router(name=name, at=self.at(path), **{**entry, "subnets": _names(entry.get("subnets"))})

    def security_group(self, path: Path_, name: str, entry: Mapping[str, Any]) -> SecurityGroup:
        rules = tuple(
            self.rule((*path, "rules", index), rule or {})
            for index, rule in enumerate(entry.get("rules") or ())
        )
        return SecurityGroup(name=name, at=self.at(path), **{"vo": "", **entry, "rules": rules})

    def rule(self, path: Path_, entry: Mapping[str, Any]) -> Rule:
        given = self.convert(path, entry, fields.RULE)
        if ":" in given.get("remote", ""):
            given.setdefault("ethertype", "IPv6")
        return Rule(**given)

    def image(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Image:
        converts: dict[str, Convert] = {"source": self.source, **fields.IMAGE}
        given = self.convert(path, _plain(entry), converts)
        given["vos"] = _names(given.get("vos"))
        if given["vos"]:
            given.setdefault("visibility", "shared")
        return Image(name=name, at=self.at(path), stated=_stated(entry), **_texts(given))

    def identity_provider(self, path: Path_, name: str, entry: Mapping[str, Any]) -> IdentityProvider:
        given = {
            **entry,
            "remote_ids": _names(entry.get("remote_ids")),
            "audiences": _names(entry.get("audiences")),
        }
        return IdentityProvider(name=name, at=self.at(path), **{"type": "", **given})

    def vo(self, path: Path_, name: str, entry: Mapping[str, Any]) -> VO:
        given = {"project": name, **entry}
        given["access"] = tuple(
            self.access((*path, "access", index), line or {})
            for index, line in enumerate(entry.get("access") or ())
        )
        given["quota"] = self.quota((*path, "quota"), _mapping(entry, "quota")).over(self.default.quota)
        given["service_users"] = tuple(
            self.service_user((*path, "service_users", user), f"{name}-{user}", said or {})
            for user, said in _mapping(entry, "service_users").items()
        )
        given["buckets"] = self.each(entry, path, "buckets", self.bucket)
        return VO(name=name, at=self.at(path), stated=_stated(entry), **given)

    def access(self, path: Path_, entry: Mapping[str, Any]) -> Access:
        return Access(
            **{"role": self.default.role, "ec2_keys": self.default.ec2_keys, **entry}, at=self.at(path)
        )

    def service_user(self, path: Path_, name: str, entry: Mapping[str, Any]) -> ServiceUser:
        given = {"role": self.default.role, **entry}
        given = self.convert(path, given, {"password": lambda text: Secret(self.source(text))})
        return ServiceUser(name=name, at=self.at(path), **given)

    def bucket(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Bucket:
        given = self.convert(path, entry, fields.BUCKET)
        return Bucket(
            name=name,
            quota_bytes=given.get("quota", UNSET),
            public_read=given.get("public_read", False),
            at=self.at(path),
            stated=_stated(entry),
        )

    def accounting(self, entry: Mapping[str, Any]) -> Accounting:
        given = {**_plain(entry), **_copied(entry, "options")}
        return Accounting(**self.convert(("accounting",), given, fields.ACCOUNTING))

    def cache(self, path: Path_, name: str, entry: Mapping[str, Any]) -> Cache:
        given = {**_plain(entry), **_copied(entry, "options"), "vos": _names(entry.get("vos"))}
        return Cache(name=name, at=self.at(path), **{"type": "", "host": "", **given})


def _mapping(data: Any, key: str) -> Mapping[str, Any]:
    """The mapping under a key; nothing written there is an empty one."""
    found: Mapping[str, Any] = data.get(key) or Entries()
    return found


def _stated(entry: Mapping[str, Any]) -> frozenset[str]:
    """The names of the entry that have a value."""
    return frozenset(_plain(entry))


def _plain(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without what was written and left empty."""
    return {key: value for key, value in entry.items() if value is not None}


def _copied(entry: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """A mapping of the entry as a plain one, which does not keep the places of its values."""
    return {key: dict(entry[key])} if entry.get(key) is not None else {}


def _names(names: Any) -> tuple[str, ...]:
    return tuple(name for name in names or () if name is not None)


def _texts(given: dict[str, Any]) -> dict[str, Any]:
    """The entry with its properties as OpenStack keeps them: all texts."""
    if "properties" in given:
        given["properties"] = {
            key: str(value).lower() if isinstance(value, bool) else str(value)
            for key, value in given["properties"].items()
        }
    return given
