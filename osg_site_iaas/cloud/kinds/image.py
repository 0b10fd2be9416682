"""Images of the site, and the VOs they are shared with. Their data is uploaded once and never changes."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterable, Optional

from osg_site_iaas.cloud import upload
from osg_site_iaas.cloud.connect import Conflicting, Forbidden
from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.neutron import own_project
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Image as Declared
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import TAG, Change, KindRule, Op, Ref, Removal, Seen, Wanted

PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
SIMPLE = ("visibility", "min_disk", "min_ram", "protected")
CHECKSUM = "osg_site_iaas_checksum"  # a property: Glance itself keeps only its own choice of algorithms


def image_ref(name: str) -> Ref:
    """The reference to an image of the site."""
    return Ref("image", (name,))


class Image(Kind):
    """An image whose upload was cut off is not active; the next run makes it anew."""

    rule = KindRule("image", Removal.PRUNE)
    service = "image"
    ownership = f"the image's tag `{TAG}`, and the administrator's project owns it"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for image in site.images:
            create: dict[str, Any] = {
                "disk_format": image.disk_format,
                "container_format": image.container_format,
            }
            if image.source:
                create["source"] = image.source
            attrs: dict[str, Any] = {
                "visibility": "shared" if image.vos and image.visibility == "private" else image.visibility,
                "min_disk": image.min_disk,
                "min_ram": image.min_ram,
                "protected": image.protected,
                "tagged": True,
                **{f"property {name}": value for name, value in sorted(image.properties.items())},
            }
            if image.source:
                attrs["status"] = "active"
            if image.checksum:
                attrs["checksum"] = image.checksum
            yield Wanted(image_ref(image.name), attrs, create=create, at=image.at)

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in _images(reader):
            checksum = item.get(CHECKSUM)
            if checksum is None and item.get("os_hash_algo"):
                checksum = f"{item['os_hash_algo']}:{item['os_hash_value']}"
            yield Seen(
                image_ref(item["name"]),
                item["id"],
                {
                    **{name: item[name] for name in SIMPLE},
                    "status": item["status"],
                    "tagged": TAG in item["tags"],
                    "checksum": checksum,
                    **{f"property {name}": value for name, value in item.items() if isinstance(value, str)},
                },
                ours=TAG in item["tags"],
            )

    def create(self, work: Work, change: Change) -> str:
        declared = _declared(work.site, change)
        body: dict[str, Any] = {
            "name": declared.name,
            "tags": [TAG],
            **{name: value for name, value in change.create.items() if name != "source"},
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
            forget(work, "image", f"/images/{image}")
            raise
        if declared.protected:  # last: a protected image could not be taken back
            self._patch(work, image, [{"op": "replace", "path": "/protected", "value": True}])
        return image

    def update(self, work: Work, change: Change) -> None:
        image = required_id(change)
        if "checksum" in change.after and "status" not in change.after and change.op is Op.UPDATE:
            raise CloudError(
                f"the data of image {change.ref.key[0]} differs from what is declared, and cannot be changed",
                where=f"{work.site.file}:{change.at.line}",
                todo="declare the new data under a new name, and remove this one when nobody starts it any more",
            )
        if "status" in change.after:  # an upload that was cut off
            forget(work, "image", f"/images/{image}")
            whole = next(w for w in self.desired(work.site) if w.ref == change.ref)
            anew = Change(Op.CREATE, change.ref, after=whole.attrs, create=whole.create, at=change.at)
            work.ids[change.ref] = self.create(work, anew)
            return
        steps: list[dict[str, Any]] = []
        for name, value in change.after.items():
            if name in SIMPLE:
                steps.append({"op": "replace", "path": f"/{name}", "value": value})
            elif name.startswith("property "):
                steps.append({"op": "add", "path": f"/{name[9:]}", "value": value})
            elif name == "checksum":
                steps.append({"op": "add", "path": f"/{CHECKSUM}", "value": value})
        if steps:
            self._patch(work, image, steps)
        if "tagged" in change.after:
            work.cloud.request("PUT", "image", f"/images/{image}/tags/{TAG}")

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

    rule = KindRule("image_member", Removal.WITHDRAW)
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
        shared = [item for item in _images(reader) if item["visibility"] == "shared" and TAG in item["tags"]]
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
                    vo=name,
                )

    def create(self, work: Work, change: Change) -> str:
        image, project = (
            work.ids[image_ref(change.ref.key[0])],
            work.ids[project_ref(change.ref.key[1])],
        )
        with suppress(Conflicting):  # a member already
            work.cloud.request("POST", "image", f"/images/{image}/members", json={"member": project})
        self._accept(work, image, project, change)
        return f"{image} {project}"

    def update(self, work: Work, change: Change) -> None:
        image, project = required_id(change).split()
        self._accept(work, image, project, change)

    def remove(self, work: Work, change: Change) -> None:
        image, project = required_id(change).split()
        forget(work, "image", f"/images/{image}/members/{project}")

    @staticmethod
    def _accept(work: Work, image: str, project: str, change: Change) -> None:
        try:
            work.cloud.request(
                "PUT", "image", f"/images/{image}/members/{project}", json={"status": "accepted"}
            )
        except Forbidden as error:
            raise Forbidden(
                f"{change.ref}: Glance does not let this login accept a shared image for a VO",
                todo="give it the role that Glance's modify_member policy asks for",
            ) from error


def _images(reader: Reader) -> list[dict[str, Any]]:
    """The images of the administrator's project."""
    project = own_project(reader)
    return reader.all("image", f"/images?owner={project}", "images", paged=True)


def _declared(site: Site, change: Change) -> Declared:
    found: Optional[Declared] = next((item for item in site.images if item.name == change.ref.key[0]), None)
    if found is None:
        raise CloudError(f"{change.ref} is no longer declared")
    return found
