"""Why a VO cannot start an image here: the way of such a request, step by step, until something is in it."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional
from urllib.parse import quote

from osg_site_iaas.cloud.connect import Cloud, Forbidden, Missing
from osg_site_iaas.cloud.observe import observe, plan
from osg_site_iaas.cloud.scope import Scope
from osg_site_iaas.declaration.model import VO, Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import bans
from osg_site_iaas.ops import room
from osg_site_iaas.ops.finding import NotHere, Step
from osg_site_iaas.ops.subject import Subject


def explain(
    subject: Subject, vo_name: str, image_name: str, flavour_name: Optional[str] = None
) -> list[Step]:
    """The steps, in the order in which they would stop a request; those after a missing basis are left out."""
    try:
        site, cloud = subject.site(), subject.cloud()
    except NotHere as error:
        raise SiteError(str(error), todo="osg-site-iaas doctor --only declaration keystone") from error
    try:
        vo = site.vo(vo_name)
    except KeyError:
        known = ", ".join(sorted(one.name for one in site.vos))
        return [
            Step(
                f"site.yml has no VO {vo_name}",
                True,
                f"it has {known}; `osg-site-iaas init --vo` drafts an entry",
            )
        ]
    steps = list(_let_in(subject, site, vo))
    project = subject.projects().get(vo.project)
    if project is None:
        return [
            *steps,
            Step(
                f"Keystone has no project {vo.project} in {site.cloud.domain}",
                True,
                f"osg-site-iaas apply {site.file}",
            ),
        ]
    steps.extend(_enabled(cloud, project, vo))
    images = _images(cloud, image_name)
    image = next((one for one in images if _usable(cloud, project, one)), images[0] if images else None)
    if len(images) > 1 and image is not None:
        steps.append(
            Step(
                f"{len(images)} images are called {image_name}, so clients want an id: this is about {image['id']}"
            )
        )
    steps.extend(_image_steps(cloud, project, image_name, image))
    flavours, wrong = room.flavours(cloud, project, flavour_name)
    steps.extend(wrong)
    fitting = []
    for flavour in flavours:
        problem = room.too_small(flavour, image) if image else None
        if problem is None:
            fitting.append(flavour)
        elif flavour_name:
            steps.append(problem)
    if image and flavours and not fitting and not flavour_name:
        steps.append(
            Step(
                "no flavour that the VO may use is large enough for the image",
                True,
                "declare a larger one in site.yml",
            )
        )
    if fitting:
        steps.extend(room.left(cloud, project, vo, site, fitting))
    steps.extend(room.network(cloud, project, vo))
    return steps


def _let_in(subject: Subject, site: Site, vo: VO) -> Iterator[Step]:
    """Whether anybody of the VO gets in at all."""
    at = site.where(f"vos.{vo.name}")
    if not vo.enabled:
        yield Step(f"the VO is disabled: {at}", True, "set enabled: true and apply")
    else:
        yield Step(f"site.yml has the VO: {at}")
    ways = [
        *(f"line {one.at.line}" for one in vo.access),
        *(f"service user {one.name}" for one in vo.service_users),
    ]
    if ways:
        yield Step(f"it is let in by {len(vo.access)} access lines and {len(vo.service_users)} service users")
    else:
        yield Step(
            "nobody is let in: it has neither access lines nor service users",
            True,
            f"add access to vos.{vo.name}",
        )
    for ban in bans.load(bans.file_beside(subject.file)).all:
        whole = ban.vo == vo.name or (ban.fqan is not None and ban.fits_fqan([f"/{vo.name}"]))
        if whole:
            reason = f" ({ban.reason})" if ban.reason else ""
            yield Step(
                f"the VO is banned: {ban.says}{reason}, since {ban.since or 'unknown'}",
                True,
                f"osg-site-iaas ban remove lifts it; bans are in {bans.file_beside(subject.file)}",
            )
    scope = Scope(vos=frozenset({vo.name}), parts=frozenset({"access", "service_users"}))
    made = plan(site, observe(subject.cloud(), site, scope=scope, secrets=False), scope=scope)
    for change in made.changes:
        yield Step(
            f"Keystone is not what site.yml says: {change.ref} is to be {change.op.value}d",
            True,
            f"osg-site-iaas apply {site.file}",
        )
    for conflict in made.conflicts:
        yield Step(f"{conflict.ref}: {conflict.why}", True, conflict.todo)


def _enabled(cloud: Cloud, project: str, vo: VO) -> Iterator[Step]:
    """Whether Keystone gives tokens for the project: it may have been disabled by hand in an emergency."""
    found = cloud.get("identity", f"/projects/{project}")["project"]
    if not found.get("enabled", True):
        yield Step(
            f"the project {vo.project} is disabled in Keystone",
            True,
            f"openstack project set --enable {project}, or `enabled: true` in site.yml, when the VO may come back",
        )


def _images(cloud: Cloud, name: str) -> list[Mapping[str, Any]]:
    """Images by id, by name (there may be several), or by the id that the EC2 door gives."""
    if not name.startswith("ami-"):
        try:
            return [cloud.get("image", f"/images/{quote(name)}")]
        except (Missing, Forbidden):
            pass
        return list(
            cloud.get("image", f"/images?name={quote(name)}&os_hidden=false&visibility=all")["images"]
        )
    found = _by_ec2_id(cloud, name)
    return [found] if found is not None else []


def _usable(cloud: Cloud, project: str, image: Mapping[str, Any]) -> bool:
    return image["status"] == "active" and not any(
        step.prevents for step in _image_steps(cloud, project, "", image)
    )


def _by_ec2_id(cloud: Cloud, name: str) -> Optional[Mapping[str, Any]]:
    start, path = name[len("ami-") :], "/images?limit=1000&visibility=all"
    while path:
        page = cloud.get("image", path)
        for item in page["images"]:
            if item["id"].replace("-", "").startswith(start):
                return dict(item)
        path = page.get("next", "").replace("/v2/", "/", 1)
    return None


def _image_steps(cloud: Cloud, project: str, name: str, image: Optional[Mapping[str, Any]]) -> Iterator[Step]:
    if image is None:
        yield Step(
            f"Glance has no image {name}",
            True,
            "declare it in site.yml's images and apply, or check the name",
        )
        return
    if image["status"] != "active":
        todo = (
            "openstack image set --activate"
            if image["status"] == "deactivated"
            else "its upload did not end: apply makes it anew"
        )
        yield Step(f"the image is {image['status']}", True, todo)
    visibility, owner = image["visibility"], image.get("owner")
    if owner == project or visibility in ("public", "community"):
        yield Step(f"the VO may use the image {image['name']}: it is {visibility}")
        return
    try:
        members = {
            one["member_id"]: one["status"]
            for one in cloud.get("image", f"/images/{image['id']}/members")["members"]
        }
    except (Forbidden, Missing):
        members = {}
    if visibility == "private":
        yield Step(
            "the image is private to another project",
            True,
            "name the VO among its vos in site.yml and apply, or make it public",
        )
    elif project not in members:
        yield Step(
            "the image is shared, and not with this VO",
            True,
            "add the VO to the image's vos in site.yml and apply",
        )
    elif members[project] != "accepted":
        yield Step(
            f"the VO has not accepted the image: {members[project]}",
            False,
            "it is started by its id all the same, but not listed: apply accepts it",
        )
    else:
        yield Step(f"the image {image['name']} is shared with the VO")
