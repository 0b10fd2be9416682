"""What the plain kinds of Keystone share: one URL for all of them, one a piece, and names as keys."""

from __future__ import annotations

from typing import Any, Iterable, Optional

from osg_site_iaas.cloud.connect import Missing
from osg_site_iaas.cloud.kind import Kind, Work, required_id
from osg_site_iaas.plan.model import Attrs, Change, Ref

DOMAIN = "domain"


class KeystoneKind(Kind):
    """A kind made by POST /things, changed by PATCH and removed by DELETE /things/ID."""

    service = "identity"
    path: str  # /things
    member: str  # thing
    in_domain = True

    def body(self, work: Work, change: Change) -> dict[str, Any]:
        """The attributes of ``change`` in the API's words."""
        return to_api(change.after)

    def create(self, work: Work, change: Change) -> str:
        body = self.body(work, change)
        body["name"] = change.ref.key[-1]
        if self.in_domain:
            body["domain_id"] = work.ids[domain_ref(work.site.cloud.domain)]
        answer = work.cloud.request(
            "POST", self.service, self.path, json={self.member: body}, hidden=_hidden(body)
        )
        return str(answer.json()[self.member]["id"])

    def update(self, work: Work, change: Change) -> None:
        body = self.body(work, change)
        if body:
            path = f"{self.path}/{required_id(change)}"
            work.cloud.request("PATCH", self.service, path, json={self.member: body}, hidden=_hidden(body))

    def remove(self, work: Work, change: Change) -> None:
        forget(work, self.service, f"{self.path}/{required_id(change)}")


def forget(work: Work, service: str, path: str) -> None:
    """DELETE; that it is gone already is success."""
    try:
        work.cloud.request("DELETE", service, path)
    except Missing:
        return


def domain_ref(name: str) -> Ref:
    """The reference to the domain that holds everything of ours in Keystone."""
    return Ref(DOMAIN, (name,))


def _hidden(body: dict[str, Any]) -> Optional[list[str]]:
    return [body["password"]] if body.get("password") else None


def to_api(attrs: Attrs) -> dict[str, Any]:
    """Attributes whose names are the API's own, as a body."""
    return dict(attrs)


def keys(items: Iterable[Ref]) -> list[str]:
    """The last parts of some references: names within the domain."""
    return [item.key[-1] for item in items]
