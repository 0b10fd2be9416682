"""Names: that those referred to exist, and that none is used twice where it can be used once."""

from __future__ import annotations

from typing import Iterable

from osg_site_iaas.declaration.finder import Finder
from osg_site_iaas.declaration.model import UNSET
from osg_site_iaas.declaration.read import Step

_OPENSTACK_PROJECTS = ("admin", "service")

Named = tuple[str, tuple[Step, ...]]


def references(finder: Finder) -> None:
    """Every VO, network, subnet and security group that is named must be in the file."""
    site = finder.site
    for section in ("flavours", "images", "caches"):
        for entry in getattr(site, section):
            for path, name in finder.items((section, entry.name, "vos")):
                finder.exists(path, name, "vos", "VO")
    for section in ("networks", "routers", "security_groups"):
        for entry in getattr(site, section):
            finder.exists((section, entry.name, "vo"), entry.vo or None, "vos", "VO")
    for router in site.routers:
        finder.exists(("routers", router.name, "external"), router.external, "networks", "network")
        for path, name in finder.items(("routers", router.name, "subnets")):
            finder.exists(path, name, "subnets", "subnet")


def unique(finder: Finder) -> None:
    """Projects, users, buckets, subnets and remote ids are each used once in the whole file."""
    site = finder.site
    _once(
        finder,
        "the project",
        ((vo.project, _said(finder, ("vos", vo.name), "project")) for vo in site.vos),
        "Give one of the two VOs another project.",
    )
    _once(
        finder,
        "the Keystone user",
        (
            (user.name, ("vos", vo.name, "service_users", user.name[len(vo.name) + 1 :]))
            for vo in site.vos
            for user in vo.service_users
        ),
        "Rename one of the two service users.",
    )
    _once(
        finder,
        "the bucket",
        ((bucket.name, ("vos", vo.name, "buckets", bucket.name)) for vo in site.vos for bucket in vo.buckets),
        "Rename one of the two: S3 knows a bucket by its name alone.",
    )
    _once(
        finder,
        "the subnet",
        (
            (subnet.name, ("networks", network.name, "subnets", subnet.name))
            for network in site.networks
            for subnet in network.subnets
        ),
        "Rename one of the two: routers name a subnet without its network.",
    )
    _once(
        finder,
        "the remote id",
        (
            (name, path)
            for provider in site.identity_providers
            for path, name in finder.items(("identity_providers", provider.name, "remote_ids"))
        ),
        "Keep it in one of them: Keystone finds the provider by it.",
        fold=False,
    )


def reserved(finder: Finder) -> None:
    """OpenStack's own domain and projects belong to OpenStack."""
    domain = finder.site.cloud.domain
    if domain.lower() != "default":
        return
    what = f"the domain {domain} holds OpenStack's own users, and other people's projects"
    finder.doubt(("cloud", "domain"), what, "Give the VOs a domain of their own, such as osg.")
    for vo in finder.site.vos:
        if vo.project.lower() in _OPENSTACK_PROJECTS:
            path = _said(finder, ("vos", vo.name), "project")
            what = f"the project {vo.project} of the domain {domain} is OpenStack's own"
            finder.wrong(path, what, "Give the VO another project, or the VOs another domain.", key=True)


def flavours(finder: Finder) -> None:
    """A flavour is for everybody, or for VOs."""
    for flavour in finder.site.flavours:
        path = ("flavours", flavour.name)
        if finder.sound(path) and flavour.vos is not UNSET and "public" in flavour.stated and flavour.public:
            what = "a public flavour cannot be for single VOs"
            finder.wrong((*path, "public"), what, "Remove the line, or `vos`.", key=True)


def parents(finder: Finder) -> None:
    """No VO is counted under itself: a doubt, since Topology may say so and OpenStack does not mind."""
    above = {vo.name: vo.parent for vo in finder.site.vos if vo.parent}
    for name in above:
        chain, at = [name], above[name]
        while at in above and at not in chain:
            chain.append(at)
            at = above[at]
        if at == name:
            path = ("vos", name, "parent")
            finder.doubt(path, " is under ".join([*chain, name]), "Remove the line of one of them.")


def images(finder: Finder) -> None:
    """An image from the network is checked, and shared the way Glance shares."""
    for image in finder.site.images:
        path = ("images", image.name)
        if not finder.sound(path):
            continue
        if image.source is not None and not image.source.startswith("file:") and image.checksum is None:
            todo = "Add `checksum: sha256:…`, as its publisher states it."
            finder.wrong((*path, "source"), "a source on the network needs a checksum", todo, key=True)
        if image.checksum is not None and image.source is None:
            todo = "Add the source, or remove the checksum."
            finder.doubt(
                (*path, "checksum"), "without a source the checksum is never looked at", todo, key=True
            )
        if image.vos and image.visibility != "shared":
            what = f"a {image.visibility} image cannot be shared with single VOs"
            finder.wrong((*path, "visibility"), what, "Remove the line, or `vos`.", key=True)


def _said(finder: Finder, path: tuple[Step, ...], key: str) -> tuple[Step, ...]:
    """The path of a value that is written, or of the entry whose name stands for it."""
    entry = finder.document.data
    for step in path:
        entry = entry.get(step) if isinstance(entry, dict) else None
    return (*path, key) if isinstance(entry, dict) and key in entry else path


def _once(finder: Finder, kind: str, named: Iterable[Named], todo: str, *, fold: bool = True) -> None:
    """Report each name that is there already; one that differs in case only, as a warning."""
    seen: dict[str, Named] = {}
    for name, path in named:
        first = seen.setdefault(name.lower() if fold else name, (name, path))
        if first[1] == path:
            continue
        where = f"in line {finder.line(first[1])}"
        if first[0] == name:
            finder.wrong(path, f"{kind} {name} is there already, {where}", todo, key=True)
        else:
            what = f"{kind} {name} differs from {first[0]}, {where}, by capitals only"
            finder.doubt(path, what, f"Keystone's database may take them for one. {todo}", key=True)
