"""S3 buckets (containers of the object store) in a VO's account."""

from __future__ import annotations

import functools
import hashlib
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
# On the account: the name of a bucket of ours, so that one no longer declared is still known. Each has a header of its
# own, for Swift keeps 256 bytes of one; of any kind it keeps 90 an account, of 4096 bytes together.
REGISTER = "x-account-meta-osg-bucket-"
QUOTA = "x-container-meta-quota-bytes"
READ = "x-container-read"
PUBLIC = ".r:*,.rlistings"


class Bucket(Kind):
    """A bucket that a VO has made itself is never looked at: there may be millions."""

    rule = KindRule("bucket", Removal.PRUNE, marks=("registered",), opens={"public_read": (True, False)})
    service = "object"
    ownership = f"its metadata `{MARK}`, and its name in the account's `{REGISTER}…`"

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
    return names_in(account_headers(reader, project))


def register(work: Work, project: str, *, add: str = "", drop: str = "") -> None:
    """Write a name down on the account, or take one out; to repeat it changes nothing."""
    account = work.cloud.account(project)
    if drop:
        gone = {register_header(drop).replace("x-", "x-remove-", 1): "x"}
        work.cloud.request("POST", "object", account, headers=gone)
        return
    kept = {register_header(add): add}
    answer = work.cloud.request("POST", "object", account, headers=kept, ok=(200, 204, 400))
    if answer.status_code == 400:
        raise CloudError(
            f"the account has no room left to write down that the bucket {add} is ours: {answer.text[:200]}",
            todo="Swift keeps 90 values an account, of 4096 bytes together: declare fewer buckets for this VO",
        )


def register_header(name: str) -> str:
    """The header that a bucket's name is kept in."""
    return REGISTER + hashlib.sha256(name.encode()).hexdigest()[:8]


def names_in(headers: Mapping[str, str]) -> set[str]:
    """The names in an account's headers, but for those that site.yml could not have declared.

    The VO's members may write them too, and what a bucket cannot be called would be asked for in vain by every plan.
    """
    found = (text for name, text in headers.items() if name.lower().startswith(REGISTER))
    return {name for name in found if _pattern().search(name)}


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
