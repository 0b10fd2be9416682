"""One project a VO: what it owns, and what its quotas count."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from osg_site_iaas.cloud.kind import Work, described, in_use, project_ref, required_id
from osg_site_iaas.cloud.kinds import contents
from osg_site_iaas.cloud.kinds.keystone import KeystoneKind, domain_ref
from osg_site_iaas.cloud.reader import VO_TAG, Reader, vo_of
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import TAG, Change, KindRule, Removal, Seen, Wanted


class Project(KeystoneKind):
    """Removing one takes two runs: it is disabled by the first, and deleted by a later one."""

    rule = KindRule("project", Removal.PRUNE, marks=("tags",), disable={"enabled": False})
    ownership = f"the project's tag `{TAG}`"
    path = "/projects"
    member = "project"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            stated, initial = in_use(vo)
            yield Wanted(
                project_ref(vo.project),
                {
                    **({"description": vo.description} if vo.description else {}),
                    **stated,
                    "tags": sorted([TAG, VO_TAG + vo.name]),
                },
                needs=(domain_ref(site.cloud.domain),),
                vo=vo.name,
                at=vo.at,
                initial=initial,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        declared = {vo.project for vo in reader.site.vos}
        for item in reader.projects:
            ours = TAG in item.get("tags", ())
            inside: Mapping[str, Any] = {}
            if ours and not item["enabled"] and item["name"] not in declared:
                inside = contents.count(reader, item["id"])
            yield Seen(
                project_ref(item["name"]),
                item["id"],
                {
                    "description": described(item),
                    "enabled": item["enabled"],
                    # tags that others have put there are theirs
                    "tags": sorted(
                        tag for tag in item.get("tags", ()) if tag == TAG or tag.startswith(VO_TAG)
                    ),
                },
                ours=ours,
                vo=vo_of(item),
                contents=inside,
            )

    def update(self, work: Work, change: Change) -> None:
        body = self.body(work, change)
        if "tags" in body:
            path = f"/projects/{required_id(change)}"
            kept = work.cloud.get("identity", path)["project"].get("tags", [])
            others = [tag for tag in kept if tag != TAG and not tag.startswith(VO_TAG)]
            body["tags"] = sorted({*others, *body["tags"]})
        work.cloud.request("PATCH", "identity", f"/projects/{required_id(change)}", json={"project": body})

    def remove(self, work: Work, change: Change) -> None:
        project = required_id(change)
        if any(change.contents.values()):
            contents.destroy(work, project)
        contents.tidy(work, project, str(change.ref))
        super().remove(work, change)
