"""Sizes of servers, and which VOs may use the private ones."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, Iterable

from osg_site_iaas.cloud.connect import Conflicting, Missing
from osg_site_iaas.cloud.kind import Kind, Work, described, mib, project_ref, required_id, split
from osg_site_iaas.cloud.kinds.keystone import domain_ref, forget
from osg_site_iaas.cloud.reader import Reader, vo_of
from osg_site_iaas.declaration.model import UNSET, Site
from osg_site_iaas.declaration.model import Flavour as Declared
from osg_site_iaas.plan.model import (
    TAG,
    Attrs,
    Change,
    KindRule,
    Ref,
    Removal,
    Seen,
    Wanted,
    is_marked,
    marked,
    other_site,
)

VERSION = "2.61"  # description, and extra specs in the list; Zed has it
SIZES = ("vcpus", "ram", "disk", "ephemeral", "swap")
API = {"ephemeral": "OS-FLV-EXT-DATA:ephemeral"}


def flavour_ref(name: str) -> Ref:
    """The reference to a flavour."""
    return Ref("flavour", (name,))


def list_flavours(reader: Reader) -> list[dict[str, Any]]:
    """Every flavour, the private ones too, with its extra specs."""
    return reader.all("compute", "/flavors/detail?is_public=none", "flavors", version=VERSION, paged=True)


class Flavour(Kind):
    """Nova cannot change a size: a flavour that is declared otherwise is replaced, and servers keep what they have."""

    rule = KindRule("flavour", Removal.PRUNE, marks=("description",), opens={"public": (True, False)})
    service = "compute"
    ownership = "its description carries our mark"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for flavour in site.flavours:
            attrs, initial = _attrs(flavour, site.cloud.domain)
            yield Wanted(flavour_ref(flavour.name), attrs, at=flavour.at, initial=initial)

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in list_flavours(reader):
            yield Seen(
                flavour_ref(item["name"]),
                item["id"],
                {
                    **{size: mib(item.get(API.get(size, size))) for size in SIZES},
                    "public": item["os-flavor-access:is_public"],
                    "properties": dict(sorted(item["extra_specs"].items())),
                    "description": described(item),
                },
                ours=is_marked(item.get("description"), reader.site.cloud.domain),
                other=other_site(item.get("description"), reader.site.cloud.domain),
            )

    def create(self, work: Work, change: Change) -> str:
        return self._make(work, change.ref.key[0], change.after)

    def update(self, work: Work, change: Change) -> None:
        old = required_id(change)
        if {*SIZES, "public"} & set(change.after):
            self._replace(work, change, old)
            return
        if "description" in change.after:
            body = {"flavor": {"description": change.after["description"]}}
            work.cloud.request("PUT", "compute", f"/flavors/{old}", json=body, version=VERSION)
        if "properties" in change.after:
            self._specs(work, old, dict(change.before.get("properties") or {}), change.after["properties"])

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "compute", f"/flavors/{required_id(change)}")

    def _replace(self, work: Work, change: Change, old: str) -> None:
        """Delete and make anew, for those who may use it, access given by hand included.

        Killed in between, the next run finds it missing and makes it, and no longer knows what was given by hand:
        Nova has no two flavours of one name, and forgets who may use one with it.
        """
        name = change.ref.key[0]
        declared = next(item for item in work.site.flavours if item.name == name)
        users = [work.ids.get(project_ref(work.site.vo(vo).project)) for vo in _users(declared)]
        projects = [project for project in users if project]  # another is granted as soon as it exists
        attrs, initial = _attrs(declared, work.site.cloud.domain)
        if "public" in initial:  # site.yml does not say it: it stays as it is
            with suppress(Missing):
                found = work.cloud.get("compute", f"/flavors/{old}")["flavor"]
                initial["public"] = found["os-flavor-access:is_public"]
        if not {**initial, **attrs}["public"]:
            projects += _strangers(work, old, but=projects)
        if "properties" in initial:  # whoever has given it some means the new one too
            with suppress(Missing):
                found = work.cloud.get("compute", f"/flavors/{old}/os-extra_specs")
                initial["properties"] = found["extra_specs"]
        forget(work, "compute", f"/flavors/{old}")
        work.ids[change.ref] = new = self._make(work, name, {**initial, **attrs})
        for project in projects:
            grant(work, new, project)

    def _make(self, work: Work, name: str, attrs: Attrs) -> str:
        body: dict[str, Any] = {API.get(size, size): attrs[size] for size in SIZES}
        body.update(
            {"name": name, "description": attrs["description"], "os-flavor-access:is_public": attrs["public"]}
        )
        answer = work.cloud.request("POST", "compute", "/flavors", json={"flavor": body}, version=VERSION)
        made = str(answer.json()["flavor"]["id"])
        if attrs["properties"]:
            self._specs(work, made, {}, attrs["properties"])
        return made

    @staticmethod
    def _specs(work: Work, flavour: str, before: dict[str, str], after: Attrs) -> None:
        path = f"/flavors/{flavour}/os-extra_specs"
        if after:
            work.cloud.request("POST", "compute", path, json={"extra_specs": dict(after)})
        for name in before:
            if name not in after:
                forget(work, "compute", f"{path}/{name}")


def _users(flavour: Declared) -> tuple[str, ...]:
    return flavour.vos if isinstance(flavour.vos, tuple) else ()


def _attrs(flavour: Declared, domain: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What it is to be, and what it is made with."""
    said = flavour.stated | (
        {"public"} if flavour.vos is not UNSET else set()
    )  # to name VOs is to say who may
    public = flavour.public and flavour.vos is UNSET
    stated, initial = split(said, {"properties": dict(sorted(flavour.properties.items())), "public": public})
    sizes = {size: getattr(flavour, size) for size in SIZES}
    return {**sizes, **stated, "description": marked("", domain)}, initial


def _strangers(work: Work, flavour: str, *, but: Iterable[str]) -> list[str]:
    """The projects that may use a private flavour by somebody's hand: what is of our own is as it is declared."""
    try:
        entries = work.cloud.get("compute", f"/flavors/{flavour}/os-flavor-access")["flavor_access"]
    except Missing:  # it is public, or gone
        return []
    found = []
    for project in sorted({entry["tenant_id"] for entry in entries}.difference(but)):
        try:
            item = work.cloud.get("identity", f"/projects/{project}")["project"]
        except Missing:  # Nova does not hear of a project's end
            continue
        ours = TAG in item.get("tags", ()) and item["domain_id"] == work.ids.get(
            domain_ref(work.site.cloud.domain)
        )
        if not ours:
            found.append(project)
    return found


def grant(work: Work, flavour: str, project: str) -> None:
    """Let a project use a private flavour; that it may already is success."""
    body = {"addTenantAccess": {"tenant": project}}
    try:
        work.cloud.request("POST", "compute", f"/flavors/{flavour}/action", json=body)
    except Conflicting:
        return


class FlavourAccess(Kind):
    """One VO's use of one private flavour."""

    rule = KindRule("flavour_access", Removal.WITHDRAW, derived=True)
    service = "compute"
    ownership = "its flavour and its project are ours"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for flavour in site.flavours:
            for name in _users(flavour):
                project = site.vo(name).project
                yield Wanted(
                    Ref(self.name, (flavour.name, project)),
                    needs=(flavour_ref(flavour.name), project_ref(project)),
                    vo=name,
                    at=flavour.at,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        projects = {item["id"]: item for item in reader.projects}
        private = [
            item
            for item in list_flavours(reader)
            if not item["os-flavor-access:is_public"]
            and is_marked(item.get("description"), reader.site.cloud.domain)
        ]
        lists = reader.map(
            "compute",
            lambda item: reader.cloud.get("compute", f"/flavors/{item['id']}/os-flavor-access"),
            private,
        )
        for flavour, found in zip(private, lists):
            for entry in found["flavor_access"]:
                project = projects.get(entry["tenant_id"])
                name = project["name"] if project else entry["tenant_id"]
                yield Seen(
                    Ref(self.name, (flavour["name"], name)),
                    f"{flavour['id']} {entry['tenant_id']}",
                    ours=project is not None and TAG in project.get("tags", ()),
                    needs=(flavour_ref(flavour["name"]), project_ref(name)),
                    vo=vo_of(project) if project else None,
                )

    def create(self, work: Work, change: Change) -> str:
        flavour, project = change.ref.key
        ids = work.ids[flavour_ref(flavour)], work.ids[project_ref(project)]
        grant(work, *ids)
        return " ".join(ids)

    def remove(self, work: Work, change: Change) -> None:
        flavour, project = required_id(change).split()
        body = {"removeTenantAccess": {"tenant": project}}
        try:
            work.cloud.request("POST", "compute", f"/flavors/{flavour}/action", json=body)
        except Missing:
            return
