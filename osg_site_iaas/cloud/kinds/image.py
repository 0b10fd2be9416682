"""Images of the site, and the VOs they are shared with. Their data is uploaded once and never changes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterable, Mapping, Optional
from urllib.parse import quote

from osg_site_iaas.cloud import upload
from osg_site_iaas.cloud.connect import Conflicting, Forbidden
from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id, split
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.neutron import own_project, own_projects
from osg_site_iaas.cloud.reader import Reader, vo_of
from osg_site_iaas.declaration.model import Image as Declared
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import TAG, Change, KindRule, Op, Ref, Removal, Seen, Wanted

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
SITE_TAG = f"{TAG}:domain="  # which site's; the plain tag is for people to filter by
FIXED = ("disk_format", "container_format")
SIMPLE = ("visibility", "min_disk", "min_ram", "protected")
CHECKSUM = "osg_site_iaas_checksum"  # a property: Glance itself keeps only its own choice of algorithms


def image_ref(name: str) -> Ref:
    """The reference to an image of the site."""
    return Ref("image", (name,))


class Image(Kind):
    """An image whose upload was cut off is not active; the next run makes it anew."""

    rule = KindRule(
        "image",
        Removal.PRUNE,
        marks=("tagged",),
        disable={"status": "deactivated"},
        opens={"visibility": ("public", "community", "shared", "private")},
    )
    service = "image"
    ownership = f"the image's tag `{SITE_TAG}DOMAIN`, and it is in an administrator's project"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for image in site.images:
            create: dict[str, Any] = {
                "disk_format": image.disk_format,
                "container_format": image.container_format,
            }
            if image.source:
                create["source"] = image.source
            simple = {name: getattr(image, name) for name in SIMPLE}
            if image.vos and image.visibility == "private":
                simple["visibility"] = "shared"
            # to name VOs is to say who may see it
            stated, initial = split(image.stated | ({"visibility"} if image.vos else set()), simple)
            attrs: dict[str, Any] = {
                **stated,
                "tagged": True,
                **{f"property {name}": value for name, value in sorted(image.properties.items())},
            }
            if image.source:
                attrs["uploaded"] = True
                initial["status"] = (
                    "active"  # who deactivates it in an emergency must not find it active again
                )
            if image.checksum:
                create["checksum"] = image.checksum
            yield Wanted(image_ref(image.name), attrs, create=create, at=image.at, initial=initial)

    def observe(self, reader: Reader) -> Iterable[Seen]:
        checksums = {image.name: image.checksum for image in reader.site.images if image.checksum}
        # of several with one name the oldest whole one is meant
        for item in sorted(
            _images(reader), key=lambda item: (item["status"] != "active", item["created_at"])
        ):
            attrs = {name: item[name] for name in SIMPLE}
            attrs.update({"status": item["status"], "tagged": set(_tags(reader.site)) <= set(item["tags"])})
            attrs["uploaded"] = item["status"] in ("active", "deactivated")
            if attrs["uploaded"]:
                attrs.update({name: item[name] for name in FIXED})
                known = _checksum(item, checksums.get(item["name"], ""))
                if known:
                    attrs["checksum"] = known
            attrs.update({f"property {name}": text for name, text in item.items() if isinstance(text, str)})
            # whoever owns an image writes its tags: in a stranger's project ours prove nothing, and its name is free
            key = (item["name"],) if item["owner"] in own_projects(reader) else (item["name"], item["owner"])
            ours = _ours(reader, item)
            others = [tag[len(SITE_TAG) :] for tag in item["tags"] if tag.startswith(SITE_TAG)]
            other = others[0] if others and not ours and len(key) == 1 else ""
            yield Seen(Ref(self.name, key), item["id"], attrs, ours=ours, other=other)

    def create(self, work: Work, change: Change) -> str:
        declared = _declared(work.site, change)
        body: dict[str, Any] = {
            "name": declared.name,
            "tags": _tags(work.site),
            **{name: change.create[name] for name in FIXED},
            **{name: change.after[name] for name in SIMPLE if name != "protected"},
            **dict(declared.properties),
        }
        if declared.checksum:
            body[CHECKSUM] = declared.checksum
        image = str(work.cloud.request("POST", "image", "/images", json=body).json()["id"])
        try:
            if declared.source:
                upload.send(work, image, declared.source, declared.checksum)
        except BaseException:
            with suppress(CloudError):  # the first error is the one to tell; the next run finds what stayed
                forget(work, "image", f"/images/{image}")
            raise
        if declared.protected:  # last: a protected image could not be taken back
            self._patch(work, image, [{"op": "replace", "path": "/protected", "value": True}])
        return image

    def update(self, work: Work, change: Change) -> None:
        image = required_id(change)
        if change.op is Op.DISABLE and change.before["status"] != "active":
            forget(work, "image", f"/images/{image}")  # without data there is nothing to put out of use
            return
        if change.op is Op.DISABLE:
            work.cloud.request("POST", "image", f"/images/{image}/actions/deactivate")
            return
        if "uploaded" in change.after:  # an upload that was cut off
            forget(work, "image", f"/images/{image}")
            wanted = next(w for w in self.desired(work.site) if w.ref == change.ref)
            anew = Change(Op.CREATE, change.ref, after=wanted.whole, create=wanted.create, at=change.at)
            work.ids[change.ref] = made = self.create(work, anew)
            for vo in _declared(work.site, change).vos:
                project = work.ids.get(project_ref(work.site.vo(vo).project))
                if project:  # else it is shared with it as soon as it exists
                    share(work, made, project, change)
            return
        steps: list[dict[str, Any]] = []
        for name, value in change.after.items():
            if name in SIMPLE:
                steps.append({"op": "replace", "path": f"/{name}", "value": value})
            elif name.startswith("property "):
                steps.append({"op": "add", "path": f"/{name[9:]}", "value": value})
        if steps:
            self._patch(work, image, steps)
        if "tagged" in change.after:
            for tag in _tags(work.site):
                work.cloud.request("PUT", "image", f"/images/{image}/tags/{quote(tag, safe='')}")

    def remove(self, work: Work, change: Change) -> None:
        image = required_id(change)
        if change.before.get("protected"):
            self._patch(work, image, [{"op": "replace", "path": "/protected", "value": False}])
        forget(work, "image", f"/images/{image}")

    @staticmethod
    def _patch(work: Work, image: str, steps: list[dict[str, Any]]) -> None:
        work.cloud.request("PATCH", "image", f"/images/{image}", json=steps, headers=PATCH)


class ImageMember(Kind):
    """One VO's use of one image. The site accepts on the VO's behalf, so that it is in the VO's list at once."""

    rule = KindRule("image_member", Removal.WITHDRAW, derived=True)
    service = "image"
    ownership = "its image and its project are ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for image in site.images:
            for name in image.vos:
                project = site.vo(name).project
                yield Wanted(
                    Ref(self.name, (image.name, project)),
                    {"status": "accepted"},
                    needs=(image_ref(image.name), project_ref(project)),
                    vo=name,
                    at=image.at,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        projects = {item["id"]: item for item in reader.projects}
        shared = [item for item in _images(reader) if item["visibility"] == "shared" and _ours(reader, item)]
        lists = reader.map(
            "image", lambda item: reader.cloud.get("image", f"/images/{item['id']}/members"), shared
        )
        for image, found in zip(shared, lists):
            for member in found["members"]:
                project = projects.get(member["member_id"])
                name = project["name"] if project else member["member_id"]
                yield Seen(
                    Ref(self.name, (image["name"], name)),
                    f"{image['id']} {member['member_id']}",
                    {"status": member["status"]},
                    ours=project is not None and TAG in project.get("tags", ()),
                    needs=(image_ref(image["name"]), project_ref(name)),
                    vo=vo_of(project) if project else None,
                )

    def create(self, work: Work, change: Change) -> str:
        image, project = (
            work.ids[image_ref(change.ref.key[0])],
            work.ids[project_ref(change.ref.key[1])],
        )
        share(work, image, project, change)
        return f"{image} {project}"

    def update(self, work: Work, change: Change) -> None:
        image, project = required_id(change).split()
        _accept(work, image, project, change)

    def remove(self, work: Work, change: Change) -> None:
        image, project = required_id(change).split()
        forget(work, "image", f"/images/{image}/members/{project}")


def share(work: Work, image: str, project: str, change: Change) -> None:
    """Let a project use an image, and put it in its list; that it has it already is success."""
    with suppress(Conflicting):
        work.cloud.request("POST", "image", f"/images/{image}/members", json={"member": project})
    _accept(work, image, project, change)


def _accept(work: Work, image: str, project: str, change: Change) -> None:
    path = f"/images/{image}/members/{project}"
    try:
        work.cloud.request("PUT", "image", path, json={"status": "accepted"})
    except Forbidden as error:
        raise Forbidden(
            f"{change.ref}: Glance does not let this login accept a shared image for a VO",
            todo="give it the role that Glance's modify_member policy asks for",
        ) from error


def _images(reader: Reader) -> list[dict[str, Any]]:
    """The images of the administrator's project, and all that carry our tag, whoever has put it there."""
    own = reader.all("image", f"/images?owner={own_project(reader)}", "images", paged=True)
    tag = quote(SITE_TAG + reader.site.cloud.domain, safe="")
    ours = reader.all("image", f"/images?visibility=all&tag={tag}", "images", paged=True)
    return list({item["id"]: item for item in (*own, *ours)}.values())


def _tags(site: Site) -> list[str]:
    return [TAG, SITE_TAG + site.cloud.domain]


def _ours(reader: Reader, item: Mapping[str, Any]) -> bool:
    tagged = SITE_TAG + reader.site.cloud.domain in item["tags"]
    return tagged and item["owner"] in own_projects(reader)


def _checksum(item: Mapping[str, Any], declared: str) -> Optional[str]:
    """The image's checksum where it can be compared: Glance's own, or in another algorithm as we noted it."""
    algorithm = declared.partition(":")[0]
    for known in (f"{item.get('os_hash_algo')}:{item.get('os_hash_value')}", item.get(CHECKSUM)):
        if known and algorithm and str(known).startswith(f"{algorithm}:"):
            return str(known)
    return None


def _declared(site: Site, change: Change) -> Declared:
    found: Optional[Declared] = next((item for item in site.images if item.name == change.ref.key[0]), None)
    if found is None:
        raise CloudError(f"{change.ref} is no longer declared")
    return found
