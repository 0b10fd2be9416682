"""What VOs have in OpenStack, as plain data: to be read, not to be reconciled. No secret is in it."""

from __future__ import annotations

from functools import partial
from typing import Any, Iterable, Optional, Sequence

from osg_site_iaas.cloud.connect import Cloud, Forbidden
from osg_site_iaas.cloud.kinds.quota import ComputeQuota, NetworkQuota, ObjectQuota, QuotaKind, VolumeQuota
from osg_site_iaas.cloud.observe import World, observe, plan
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.cloud.reconcile import session
from osg_site_iaas.cloud.scope import Scope
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan import document
from osg_site_iaas.plan.model import Seen

LIMITS: tuple[QuotaKind, ...] = (ComputeQuota(), NetworkQuota(), VolumeQuota(), ObjectQuota())


def look(site: Site, names: Sequence[str] = (), *, workers: int = 8) -> list[dict[str, Any]]:
    """The VOs of these names that have a project, or all; docs/ansible.md has what each entry holds.

    ``drift`` is what the declaration would change, and None for a VO that it does not declare.
    """
    cloud = session(site, workers=workers)
    scope = Scope(vos=frozenset(names)) if names else None
    world = observe(cloud, site, workers=workers, scope=scope)
    projects = sorted(
        (item for item in world.seen if item.ref.kind == "project" and (not names or item.vo in names)),
        key=lambda item: (str(item.vo), item.ref),
    )
    limits = _limits(cloud, site, [item.id for item in projects], workers)
    declared = {vo.name for vo in site.vos}
    return [
        {
            **_tenant(project, world.seen),
            "limits": limits[project.id],
            "drift": _drift(site, world, str(project.vo)) if project.vo in declared else None,
        }
        for project in projects
    ]


def _drift(site: Site, world: World, vo: str) -> list[dict[str, Any]]:
    changes: list[dict[str, Any]] = document.to_data(plan(site, world, scope=Scope(vos=frozenset({vo}))))[
        "changes"
    ]
    return changes


def _tenant(project: Seen, seen: Iterable[Seen]) -> dict[str, Any]:
    name = project.ref.key[0]
    theirs = [item for item in seen if item.vo == project.vo]
    roles: dict[tuple[str, str], list[str]] = {}
    for item in theirs:
        if item.ref.kind == "role_assignment" and item.ref.key[3] == name:
            kind, actor, role, _ = item.ref.key
            roles.setdefault((kind, actor), []).append(role)
    keys = {item.ref.key[0] for item in theirs if item.ref.kind == "ec2_credential"}
    users = [{**entry, "ec2_key": entry["name"] in keys} for entry in _actors("user", theirs, roles)]
    return {
        "vo": project.vo,
        "project": name,
        "project_id": project.id,
        "description": project.attrs.get("description", ""),
        "enabled": project.attrs.get("enabled", True),
        "managed": project.ours,
        "users": users,
        "groups": _actors("group", theirs, roles),
        "unmanaged": [
            {"kind": item.ref.kind, "key": list(item.ref.key)}
            for item in sorted(theirs, key=lambda item: item.ref)
            if not item.ours and item is not project
        ],
    }


def _actors(
    kind: str, theirs: Iterable[Seen], roles: dict[tuple[str, str], list[str]]
) -> list[dict[str, Any]]:
    known: dict[str, Optional[Seen]] = {item.ref.key[0]: item for item in theirs if item.ref.kind == kind}
    for actor_kind, name in roles:
        if actor_kind == kind:
            known.setdefault(name, None)
    found = []
    for name, item in sorted(known.items()):
        entry: dict[str, Any] = {"name": name, "roles": sorted(roles.get((kind, name), ()))}
        entry["managed"] = item is not None and item.ours
        if item is not None and "enabled" in item.attrs:
            entry["enabled"] = item.attrs["enabled"]
        found.append(entry)
    return found


def _limits(cloud: Cloud, site: Site, projects: Sequence[str], workers: int) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {project: {} for project in projects}
    with Reader(cloud, site, workers=workers) as reader:
        for kind in LIMITS:
            if not cloud.has(kind.service):
                continue
            try:
                answers = reader.map(kind.service, partial(kind.read, reader), projects)
            except Forbidden:  # only a reseller admin may look at other accounts
                continue
            for project, limits in zip(projects, answers):
                found[project][kind.part] = dict(sorted(limits.items()))
    return found
