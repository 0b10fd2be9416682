"""A part of a site: some of its VOs, or some of its images, to be planned without touching the rest.

What is outside a scope is neither removed nor changed. What a scope's objects need and nobody has made yet is
created, if it belongs to the site as a whole (the domain, a private flavour); what belongs to another VO is not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Optional

from osg_site_iaas.cloud.kind import Kind
from osg_site_iaas.cloud.kinds import BY_NAME, KINDS
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.diff import apart
from osg_site_iaas.plan.model import Conflict, Ref, Seen, Wanted

# What each part of a VO's entry in site.yml brings about.
PARTS = {
    "access": ("group", "group_member", "role_assignment", "identity_provider", "mapping", "protocol"),
    "service_users": ("user", "role_assignment", "ec2_credential"),
    "quota": ("compute_quota", "network_quota", "volume_quota", "object_quota"),
    "buckets": ("bucket",),
}
_ACTORS = {"access": "group", "service_users": "user"}
_ALWAYS = ("domain", "project")
_IMAGES = ("project", "image", "image_member")


@dataclass(frozen=True)
class Scope:
    """Either VOs or images. ``parts`` narrows VOs to some parts of their entries; None is the whole of them."""

    vos: frozenset[str] = frozenset()
    images: frozenset[str] = frozenset()
    parts: Optional[frozenset[str]] = None

    def kinds(self) -> tuple[Kind, ...]:
        """The kinds that must be looked at."""
        if self.images:
            return tuple(BY_NAME[name] for name in _IMAGES)
        if self.parts is None:
            return KINDS
        names = {*_ALWAYS, *(name for part in self.parts for name in PARTS[part])}
        return tuple(kind for kind in KINDS if kind.name in names)

    def holds(self, ref: Ref, vo: Optional[str]) -> bool:
        """Whether an object, of a VO or of the site as a whole, is inside."""
        if self.images:
            return ref.kind in ("image", "image_member") and ref.key[0] in self.images
        if vo not in self.vos or ref.kind not in {kind.name for kind in self.kinds()}:
            return False
        if ref.kind == "role_assignment" and self.parts is not None:
            return ref.key[0] in {_ACTORS[part] for part in self.parts if part in _ACTORS}
        return True


@dataclass
class Narrowed:
    """What of a plan's input is inside a scope, and what stands in its way."""

    wanted: dict[Ref, Wanted] = field(default_factory=dict)
    seen: dict[Ref, Seen] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)


def narrow(site: Site, wanted: Iterable[Wanted], seen: Iterable[Seen], scope: Scope) -> Narrowed:
    """What is wanted and seen inside the scope, with its share of what VOs have in common. Pure."""
    want = {item.ref: item for item in wanted}
    have = {item.ref: item for item in apart(seen)}
    part = Narrowed()
    for ref, item in want.items():
        if scope.holds(ref, item.vo):
            there = have.get(ref)
            if scope.vos and there is not None and there.ours and there.vo not in (None, *scope.vos):
                part.conflicts.append(_taken(item, str(there.vo)))
            else:
                part.wanted[ref] = item
    taken = {conflict.ref for conflict in part.conflicts}
    for ref, there in have.items():
        if ref in part.wanted or (scope.holds(ref, there.vo) and ref not in taken):
            part.seen[ref] = there
    if scope.vos:
        _share(site, part, want, have)
    _complete(part, want, have)
    return part


def _share(site: Site, part: Narrowed, want: dict[Ref, Wanted], have: dict[Ref, Seen]) -> None:
    groups = {ref.key[0] for ref in (*part.wanted, *part.seen) if ref.kind == "group"}
    if not groups:
        return
    for ref in {**want, **have}:
        if ref in part.wanted or ref in part.seen:
            continue
        share = BY_NAME[ref.kind].share(site, want.get(ref), have.get(ref), groups)
        if share is not None:
            part.wanted[ref] = share
            if ref in have:
                part.seen[ref] = have[ref]


def _complete(part: Narrowed, want: dict[Ref, Wanted], have: dict[Ref, Seen]) -> None:
    """Add what is needed and missing; what cannot be had takes those that need it out of the plan."""
    todo = list(part.wanted.values())
    while todo:
        item = todo.pop()
        for need in item.needs:
            if need in have or need in part.wanted:
                continue
            other = want.get(need)
            if other is None or other.vo is not None:
                part.conflicts.append(_lacking(item, need))
                part.wanted.pop(item.ref, None)
                part.seen.pop(item.ref, None)
            else:
                part.wanted[need] = other
                todo.append(other)


def _taken(item: Wanted, vo: str) -> Conflict:
    return Conflict(item.ref, f"belongs to VO {vo}", "give this one another name", item.at, item.vo)


def _lacking(item: Wanted, need: Ref) -> Conflict:
    return Conflict(
        item.ref,
        f"needs {need}, which does not exist",
        "make the VO that it belongs to first, or apply the whole site.yml",
        item.at,
        item.vo,
    )
