"""S3 buckets (containers of the object store) in a VO's account."""

from __future__ import annotations

import functools
import re
from typing import Any, Iterable, Mapping
from urllib.parse import quote

from osg_site_iaas.cloud.connect import Forbidden
from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id, split
from osg_site_iaas.cloud.kinds.contents import empty
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.quota import account_headers, limit_in
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration import accept, schema
from osg_site_iaas.declaration.model import UNSET, Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import Attrs, Change, KindRule, Ref, Removal, Seen, Wanted

MARK = "x-container-meta-osg-site-iaas"
REGISTER = (
    "x-account-meta-osg-site-iaas-buckets"  # names of ours, so that one no longer declared is still known
)
QUOTA = "x-container-meta-quota-bytes"
READ = "x-container-read"
PUBLIC = ".r:*,.rlistings"


class Bucket(Kind):
    """A bucket that a VO has made itself is never looked at: there may be millions."""

    rule = KindRule("bucket", Removal.PRUNE, marks=("registered",), opens={"public_read": (True, False)})
    service = "object"
    ownership = f"its metadata `{MARK}`, and its name in the account's register"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            for bucket in vo.buckets:
                stated, initial = split(bucket.stated, {"public_read": bucket.public_read})
                attrs: dict[str, Any] = {**stated, "registered": True}
                if bucket.quota_bytes is not UNSET:
                    attrs["quota_bytes"] = bucket.quota_bytes
                yield Wanted(
                    Ref(self.name, (vo.project, bucket.name)),
                    attrs,
                    needs=(project_ref(vo.project),),
                    vo=vo.name,
                    at=bucket.at,
                    initial=initial,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        if not reader.cloud.has("object"):
            return []
        declared = {vo.name: {bucket.name for bucket in vo.buckets} for vo in reader.site.vos}
        asked = reader.declared_projects()
        try:
            registers = reader.map("object", lambda entry: registered(reader, entry[2]), asked)
        except Forbidden:
            if any(declared.values()):
                raise
            return []  # nothing is declared there, so the login need not be able to look
        wanted = [
            (vo, project, project_id, name, name in names)
            for (vo, project, project_id), names in zip(asked, registers)
            for name in sorted(declared[vo] | names)
        ]
        found = reader.map("object", lambda entry: self._look(reader, *entry), wanted)
        return [item for item in found if item is not None]

    def _look(self, reader: Reader, vo: str, project: str, project_id: str, name: str, listed: bool) -> Any:
        headers = reader.head("object", path(reader.cloud.account(project_id), name))
        if headers is None:
            return None
        return Seen(
            Ref(self.name, (project, name)),
            f"{project_id}/{name}",
            {
                "public_read": ".r:*" in (headers.get(READ) or ""),
                "quota_bytes": limit_in(headers.get(QUOTA, "")),
                "registered": listed,
            },
            ours=MARK in headers,
            needs=(project_ref(project),),
            vo=vo,
            contents={"objects": int(headers.get("x-container-object-count", 0))},
        )

    def create(self, work: Work, change: Change) -> str:
        project, name = change.ref.key
        project_id = work.ids[project_ref(project)]
        account = work.cloud.account(project_id)
        register(work, project_id, add=name)
        work.cloud.request(
            "PUT", "object", path(account, name), headers={MARK: "true", **_headers(change.after)}
        )
        return f"{project_id}/{name}"

    def update(self, work: Work, change: Change) -> None:
        project_id, name = required_id(change).split("/", 1)
        register(work, project_id, add=name)
        headers = {MARK: "true", **_headers(change.after)}
        work.cloud.request("POST", "object", path(work.cloud.account(project_id), name), headers=headers)

    def remove(self, work: Work, change: Change) -> None:
        project_id, name = required_id(change).split("/", 1)
        bucket = path(work.cloud.account(project_id), name)
        if any(change.contents.values()):
            empty(work.cloud, bucket)
        forget(work, "object", bucket)
        register(work, project_id, drop=name)


def path(account: str, name: str) -> str:
    """The path of a bucket below the object store's endpoint."""
    return f"{account}/{quote(name, safe='')}"


def registered(reader: Reader, project: str) -> set[str]:
    """The names of our buckets in an account."""
    return names_in(account_headers(reader, project).get(REGISTER, ""))


def register(work: Work, project: str, *, add: str = "", drop: str = "") -> None:
    """Add a name to the account's register or drop it; nothing is sent if it is right already."""
    with work.lock(("register", project)):  # buckets of one account may be made at the same time
        account = work.cloud.account(project)
        answer = work.cloud.request("HEAD", "object", account, ok=(200, 204, 404))
        names = names_in(answer.headers.get(REGISTER, "")) if answer.status_code != 404 else set()
        after = (names | {add} if add else names) - {drop}
        if after == names:
            return
        text = ",".join(sorted(after))
        if len(text) > 4000:  # what Swift keeps in one header, with a margin
            raise CloudError(
                f"{len(after)} buckets are more than one VO's register holds",
                todo="declare fewer buckets for it",
            )
        work.cloud.request("POST", "object", account, headers={REGISTER: text})


def names_in(text: str) -> set[str]:
    """The names in a register, but for those that site.yml could not have declared.

    The VO's members may write it too, and what a bucket cannot be called would be asked for in vain by every plan.
    """
    return {name for name in text.split(",") if _pattern().search(name)}


@functools.cache
def _pattern() -> re.Pattern[str]:
    return accept.whole_match(schema.load()["definitions"]["bucket_name"]["pattern"])


def _headers(attrs: Attrs) -> Mapping[str, str]:
    headers = {}
    if "public_read" in attrs:
        headers[READ] = PUBLIC if attrs["public_read"] else ""
    if "quota_bytes" in attrs:
        limit = attrs["quota_bytes"]
        headers[QUOTA] = str(limit) if limit >= 0 else ""
    return headers
