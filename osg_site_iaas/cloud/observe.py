"""From a declaration and a cloud to a plan: each list read once, each kind compared by the same rules."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.cloud.kind import Kind
from osg_site_iaas.cloud.kinds import KINDS, RULES
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.cloud.scope import Scope, narrow
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.mapping.keystone import EC2_ROLE
from osg_site_iaas.plan.diff import diff
from osg_site_iaas.plan.model import Conflict, Held, Plan, Prune, Ref, Seen, Wanted

Progress = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True)
class World:
    """What was seen, the roles that Keystone has (id by name), and why some kinds could not be looked at."""

    seen: tuple[Seen, ...]
    roles: Mapping[str, str]
    services: frozenset[str]
    hidden: Mapping[str, str] = field(default_factory=dict)


def desired(site: Site, kinds: Iterable[Kind] = KINDS) -> Iterator[Wanted]:
    """Everything that the declaration asks of OpenStack. Pure."""
    for kind in kinds:
        yield from kind.desired(site)


def observe(
    cloud: Cloud,
    site: Site,
    *,
    workers: int = 8,
    progress: Optional[Progress] = None,
    kinds: Sequence[Kind] = KINDS,
    scope: Optional[Scope] = None,
    secrets: bool = True,
) -> World:
    """Everything there is of the site, or in a scope; each kind in a thread, each list asked for once.

    Without ``secrets`` the files that apply has written are not looked for, and taken to be as they should.
    """
    token = cloud.login()
    if "project" not in token:
        raise CloudError(
            f"the login of clouds.yaml entry {cloud.name!r} is for no project, and Nova, Neutron and Glance need one",
            todo="give the entry project_name and project_domain_name; docs/operations.md says which roles it needs",
        )
    own = token["project"]
    vo = next((vo for vo in site.vos if vo.project == own.get("name")), None)
    if vo is not None and own.get("domain", {}).get("name") == site.cloud.domain:
        raise CloudError(
            f"the login of clouds.yaml entry {cloud.name!r} is for the project of VO {vo.name}: "
            "what is the site's own would be made there, and its members could change it",
            todo="give the entry a project of the administrators",
        )
    if scope is not None:
        kinds = scope.kinds()
    wanted = {item.ref.kind for item in desired(site, kinds)}
    # a service that the site has not got cannot hold anything of ours; declared, it is a conflict
    there = [kind for kind in kinds if cloud.has(kind.service)]
    hidden = {kind.name: why for kind in there for why in [kind.hidden(token)] if why}
    asked = [kind for kind in there if kind.name not in hidden]
    found: dict[str, list[Seen]] = {}
    vos = scope.vos if scope else None
    with Reader(cloud, site, workers=workers, vos=vos, secrets=secrets) as reader:
        pool = ThreadPoolExecutor(len(asked), thread_name_prefix="kind")
        try:
            futures = {pool.submit(_all, kind, reader): kind for kind in asked}
            for done, future in enumerate(as_completed(futures), start=1):
                found[futures[future].name] = future.result()
                if progress:
                    progress(futures[future].name, done, len(asked))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        roles = reader.roles if "role_assignment" in wanted else {}
    services = frozenset(kind.service for kind in there)
    return World(tuple(item for kind in asked for item in found[kind.name]), roles, services, hidden)


def plan(
    site: Site,
    world: World,
    *,
    prune: Optional[Prune] = None,
    adopt: bool = False,
    scope: Optional[Scope] = None,
) -> Plan:
    """What would make the world, or the part of it in a scope, what site.yml says. Pure."""
    wanted: Iterable[Wanted] = list(desired(site))
    seen: Iterable[Seen] = world.seen
    conflicts: list[Conflict] = []
    if scope is not None:
        part = narrow(site, wanted, seen, scope)
        wanted, seen, conflicts = part.wanted.values(), part.seen.values(), part.conflicts
    unknown = _unknown(wanted, seen, world)
    made = diff(
        [item for item in wanted if item.ref.kind not in world.hidden],
        seen,
        RULES,
        prune=prune or Prune(),
        adopt=adopt,
        conflicts=[*conflicts, *_impossible(wanted, world)],
    )
    made = replace(made, unknown=unknown)
    # who names a VO means that one; a share of the VOs is a question about the whole site
    return made if scope is None else replace(made, vos_seen=(), vos_wanted=())


def _all(kind: Kind, reader: Reader) -> list[Seen]:
    return list(kind.observe(reader))


def _unknown(wanted: Iterable[Wanted], seen: Iterable[Seen], world: World) -> tuple[Held, ...]:
    """EC2 keys that our service users may have, where the login sees none."""
    why = world.hidden.get("ec2_credential")
    if why is None:
        return ()
    users = {item.ref: item.vo for item in seen if item.ref.kind == "user" and item.ours}
    users.update({item.ref: item.vo for item in wanted if item.ref.kind == "user"})
    return tuple(Held(Ref("ec2_credential", ref.key), why, vo) for ref, vo in sorted(users.items()))


def _impossible(wanted: Iterable[Wanted], world: World) -> Iterator[Conflict]:
    services = {kind.name: kind.service for kind in KINDS}
    for item in wanted:
        if services[item.ref.kind] not in world.services:
            yield Conflict(
                item.ref,
                f"the cloud has no {services[item.ref.kind]} service",
                "take it out of site.yml, or add the service to the catalogue",
                item.at,
                item.vo,
            )
        elif item.ref.kind == "role_assignment" and world.roles and item.ref.key[2] not in world.roles:
            own = item.ref.key[2] == EC2_ROLE  # named by us, not by site.yml
            yield Conflict(
                item.ref,
                f"Keystone has no role {item.ref.key[2]!r}",
                f"`ec2_keys: false` needs it: openstack role create {EC2_ROLE} (docs/identity.md)"
                if own
                else f"name one that exists ({', '.join(sorted(world.roles))}), or create it",
                item.at,
                item.vo,
            )
