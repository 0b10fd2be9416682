"""What a VO may use: the limits of each service on its project. One kind a service, since each asks differently."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from osg_site_iaas.cloud.connect import Missing
from osg_site_iaas.cloud.kind import Kind, Work, project_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import Change, KindRule, Ref, Removal, Seen, Wanted

OBJECT_HEADER = "X-Account-Meta-Quota-Bytes"


class QuotaKind(Kind):
    """Limits have no life of their own: a limit that is not declared is left as it is."""

    ownership = "a limit that site.yml declares, on a project of ours"
    part: str  # the field of Quota

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            limits: Mapping[str, int] = getattr(vo.quota, self.part)
            if limits:
                yield Wanted(
                    Ref(self.name, (vo.project,)),
                    dict(limits),
                    needs=(project_ref(vo.project),),
                    vo=vo.name,
                    at=vo.at,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        limited = {vo.name for vo in reader.site.vos if getattr(vo.quota, self.part)}
        asked = [entry for entry in reader.declared_projects() if entry[0] in limited]
        return reader.map(self.service, lambda entry: self._look(reader, *entry), asked)

    def _look(self, reader: Reader, vo: str, project: str, project_id: str) -> Seen:
        limits = self.read(reader, project_id)
        wanted: Mapping[str, int] = getattr(reader.site.vo(vo).quota, self.part)
        differs = any(limits.get(name, value) != value for name, value in wanted.items())
        return Seen(
            Ref(self.name, (project,)),
            project_id,
            limits,
            ours=True,
            vo=vo,
            defaults=self.defaults(reader, project_id) if differs else {},
        )

    def create(self, work: Work, change: Change) -> str:
        project = work.ids[project_ref(change.ref.key[0])]
        self.write(work, project, change.after)
        return project

    def update(self, work: Work, change: Change) -> None:
        self.write(work, work.ids[project_ref(change.ref.key[0])], change.after)

    def read(self, reader: Reader, project: str) -> Mapping[str, int]:
        """The limits in force."""
        raise NotImplementedError

    def defaults(self, reader: Reader, project: str) -> Mapping[str, int]:
        """The limits of a project that nobody has set any for: those that a killed first run leaves behind."""
        raise NotImplementedError

    def write(self, work: Work, project: str, limits: Mapping[str, int]) -> None:
        """Make these limits true, also below what is in use: nothing running is stopped by a limit."""
        raise NotImplementedError


class _QuotaSet(QuotaKind):
    """Nova's and Cinder's way."""

    def read(self, reader: Reader, project: str) -> Mapping[str, int]:
        found = reader.cloud.get(self.service, f"/os-quota-sets/{project}")["quota_set"]
        return _numbers(found)

    def defaults(self, reader: Reader, project: str) -> Mapping[str, int]:
        path = f"/os-quota-sets/{project}/defaults"
        return reader.once(
            ("defaults", self.service), lambda: _numbers(reader.cloud.get(self.service, path)["quota_set"])
        )

    def write(self, work: Work, project: str, limits: Mapping[str, int]) -> None:
        body: dict[str, Any] = dict(limits)
        if self.service == "compute":
            body["force"] = True
        work.cloud.request("PUT", self.service, f"/os-quota-sets/{project}", json={"quota_set": body})


class ComputeQuota(_QuotaSet):
    rule = KindRule("compute_quota", Removal.NEVER, limits=True)
    service = "compute"
    part = "compute"


class VolumeQuota(_QuotaSet):
    rule = KindRule("volume_quota", Removal.NEVER, limits=True)
    service = "volume"
    part = "volume"


class NetworkQuota(QuotaKind):
    """Neutron lists the limits of every project that has its own in one answer."""

    rule = KindRule("network_quota", Removal.NEVER, limits=True)
    service = "network"
    part = "network"

    def read(self, reader: Reader, project: str) -> Mapping[str, int]:
        for item in reader.all("network", "/quotas", "quotas"):
            if item.get("project_id", item.get("tenant_id")) == project:
                return _numbers(item)
        return self.defaults(reader, project)

    def defaults(self, reader: Reader, project: str) -> Mapping[str, int]:
        path = f"/quotas/{project}/default"
        return reader.once(
            ("defaults", "network"), lambda: _numbers(reader.cloud.get("network", path)["quota"])
        )

    def write(self, work: Work, project: str, limits: Mapping[str, int]) -> None:
        work.cloud.request("PUT", "network", f"/quotas/{project}", json={"quota": dict(limits)})


class ObjectQuota(QuotaKind):
    """The object store keeps it as a header of the account, which only a reseller admin may set."""

    rule = KindRule("object_quota", Removal.NEVER, limits=True)
    service = "object"
    part = "object"

    def read(self, reader: Reader, project: str) -> Mapping[str, int]:
        found = account_headers(reader, project).get(OBJECT_HEADER.lower(), "")
        return {"bytes": limit_in(found)}

    def defaults(self, reader: Reader, project: str) -> Mapping[str, int]:
        return {"bytes": -1}

    def write(self, work: Work, project: str, limits: Mapping[str, int]) -> None:
        limit = limits["bytes"]
        headers = {OBJECT_HEADER: str(limit)} if limit >= 0 else {"X-Remove-Account-Meta-Quota-Bytes": "x"}
        work.cloud.request("POST", "object", work.cloud.account(project), headers=headers)


def limit_in(header: str) -> int:
    """The limit that a header of the object store says, -1 for none: VOs may write some, and Swift keeps ``²``."""
    return int(header) if header.isascii() and header.isdigit() else -1


def account_headers(reader: Reader, project: str) -> Mapping[str, str]:
    """An account's headers in lower case; empty if nothing was ever stored there. One request a project."""

    def ask() -> Mapping[str, str]:
        try:
            answer = reader.cloud.request("HEAD", "object", reader.cloud.account(project))
        except Missing:
            return {}
        return {name.lower(): value for name, value in answer.headers.items()}

    return reader.once(("account", project), ask)


def _numbers(limits: Mapping[str, Any]) -> Mapping[str, int]:
    return {
        name: value
        for name, value in limits.items()
        if isinstance(value, int) and not isinstance(value, bool)
    }
