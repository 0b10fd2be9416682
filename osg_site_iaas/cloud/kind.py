"""What a kind of object must be able to do. Each is one file under ``kinds/``; docs/architecture.md has the recipe."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import AbstractSet as Set
from typing import Any, Callable, Iterable, Mapping, Optional

from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import VO, Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import Change, KindRule, Ref, Seen, Wanted, unmarked


class Ids:
    """OpenStack's ids of objects, by reference: those that were seen, and those that apply has made since."""

    def __init__(self, seen: Iterable[Seen] = ()) -> None:
        self._ids = {item.ref: item.id for item in seen}

    def __getitem__(self, ref: Ref) -> str:
        try:
            return self._ids[ref]
        except KeyError:
            raise CloudError(f"{ref} does not exist", todo="run the same command again") from None

    def get(self, ref: Ref) -> Optional[str]:
        """The id, or None if there is no such thing yet."""
        return self._ids.get(ref)

    def __setitem__(self, ref: Ref, value: str) -> None:
        self._ids[ref] = value


@dataclass
class Work:
    """What a kind has at hand while it applies a change."""

    cloud: Cloud
    site: Site
    ids: Ids
    roles: Mapping[str, str]  # ids of Keystone's roles, by name
    say: Callable[[str], None] = field(default=lambda text: None)  # a line for the person who waits
    _locks: dict[Any, threading.Lock] = field(default_factory=dict)

    def lock(self, key: Any) -> threading.Lock:
        """A lock for what two changes would otherwise do to one thing at once."""
        return self._locks.setdefault(key, threading.Lock())

    @property
    def secrets(self) -> Path:
        """The folder for what apply creates and nobody else may read."""
        return self.site.cloud.secrets


class Kind:
    """One kind: what site.yml wants of it, what is there, and how to change it.

    ``desired`` is pure. ``observe`` only reads. The others make one change each and must be safe to repeat: a run
    that was killed in the middle is finished by the next.
    """

    rule: KindRule
    service: str  # whose API it lives in
    ownership: str  # how we know that one is ours, in words for the table in the docs

    @property
    def name(self) -> str:
        return self.rule.name

    def desired(self, site: Site) -> Iterable[Wanted]:
        """Every object of this kind that the declaration names."""
        raise NotImplementedError

    def observe(self, reader: Reader) -> Iterable[Seen]:
        """Every object of this kind that exists in the site's scope, ours or not."""
        raise NotImplementedError

    def hidden(self, token: Mapping[str, Any]) -> str:
        """Why a login, by what Keystone says of it, sees nothing of this kind though there may be some; else empty."""
        return ""

    def share(
        self, site: Site, wanted: Optional[Wanted], seen: Optional[Seen], groups: Set[str]
    ) -> Optional[Wanted]:
        """Of something that VOs have in common: how it is wanted when only those with these groups are looked at.

        None where it is not concerned. Pure.
        """
        return None

    def create(self, work: Work, change: Change) -> str:
        """Make it; its id."""
        raise NotImplementedError

    def update(self, work: Work, change: Change) -> None:
        """Make the attributes in ``change.after`` true; serves update, adopt and disable."""
        raise NotImplementedError

    def remove(self, work: Work, change: Change) -> None:
        """Remove it; its being gone already is success."""
        raise NotImplementedError


def project_ref(project: str) -> Ref:
    """The reference to a VO's project."""
    return Ref("project", (project,))


def split(
    stated: Set[str], values: Mapping[str, Any], names: Mapping[str, str] = MappingProxyType({})
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Attributes that site.yml states, and those that are for a creation only; ``names`` are site.yml's."""
    said = {name: value for name, value in values.items() if names.get(name, name) in stated}
    return said, {name: value for name, value in values.items() if name not in said}


def in_use(vo: VO) -> tuple[dict[str, Any], dict[str, Any]]:
    """``enabled`` of what a VO has: whoever has disabled it by hand must not find it enabled by the next apply."""
    return split(vo.stated if vo.enabled else {"enabled"}, {"enabled": vo.enabled})


def required_id(change: Change) -> str:
    """The id that an update or removal always has."""
    if change.id is None:
        raise CloudError(f"{change.ref}: no id in the plan", todo="run the same command again")
    return change.id


def described(item: Mapping[str, Any], name: str = "description") -> str:
    """A description as text; services answer None for an empty one."""
    return str(item.get(name) or "")


def vo_in(description: Optional[str]) -> Optional[str]:
    """The VO that a description of ours ends with, as in ``member of cms``."""
    _, of, vo = unmarked(description or "").rpartition(" of ")
    return vo if of else None


def mib(value: Optional[Any]) -> int:
    """A number that a service may answer as "" when it means none."""
    return int(value or 0)
