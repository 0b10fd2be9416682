"""What the kinds of Neutron share: owners, tags, and bodies by name."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import TAG, Change, Ref, is_marked

CHUNK = 50  # ids in one query
# ports that come and go with the network or router itself
OF_NEUTRON = ("network:dhcp", "network:distributed", "network:router_", "network:ha_router")


class NeutronKind(Kind):
    """A kind with one body for POST and PUT, which cannot be tagged in the request that makes it.

    So the description carries our mark from the start; the tag, which people filter by, follows, and is an
    attribute like any other: a run that was killed before it set the tag is finished by the next.
    """

    service = "network"
    ownership = "its description carries our mark, and so does its tag"
    path: str  # /networks
    member: str  # network

    def create_body(self, work: Work, change: Change) -> dict[str, Any]:
        """The body that makes it, without the owner."""
        return {**self.update_body(work, change), **change.create}

    def update_body(self, work: Work, change: Change) -> dict[str, Any]:
        """The changed attributes in the API's words."""
        return {name: value for name, value in change.after.items() if name != "tagged"}

    def create(self, work: Work, change: Change) -> str:
        body = self.create_body(work, change)
        body["name"] = change.ref.key[-1]
        owner = change.ref.key[0]
        if owner:
            body["project_id"] = work.ids[project_ref(owner)]
        answer = work.cloud.request("POST", "network", self.path, json={self.member: body})
        made = str(answer.json()[self.member]["id"])
        self.tag(work, made)
        return made

    def update(self, work: Work, change: Change) -> None:
        body = self.update_body(work, change)
        if body:
            path = f"{self.path}/{required_id(change)}"
            work.cloud.request("PUT", "network", path, json={self.member: body})
        if "tagged" in change.after:
            self.tag(work, required_id(change))

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "network", f"{self.path}/{required_id(change)}")

    def tag(self, work: Work, thing: str) -> None:
        """Add our tag; other tags stay."""
        work.cloud.request("PUT", "network", f"{self.path}/{thing}/tags/{TAG}")

    def items(
        self, reader: Reader, declared: Iterable[tuple[str, ...]]
    ) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
        """Key and item of everything that is ours or has the key of something declared.

        What else is in a VO's project is the VO's own affair, and no drift.
        """
        names = set(declared)
        # without anything declared, only what is ours and left over is of interest
        query = "" if names else f"?tags={TAG}"
        owners = owner_names(reader)
        found: list[tuple[tuple[str, ...], dict[str, Any]]] = []
        for item in reader.all("network", f"{self.path}{query}", self.path.strip("/").replace("-", "_")):
            ours = is_marked(item.get("description"), reader.site.cloud.domain)
            # what another administrator's project holds of ours is the site's all the same
            owner = owners.get(item["project_id"], "" if ours else None)
            if owner is not None and (ours or (owner, item["name"]) in names):
                found.append(((owner, item["name"]), item))
        # of several with one name the oldest is meant
        return sorted(found, key=lambda entry: str(entry[1].get("created_at")))


def in_use(reader: Reader, query: str, values: Iterable[str]) -> list[dict[str, Any]]:
    """The ports that stand in the way of a removal, by one of Neutron's filters; nothing is asked for no values."""
    wanted = sorted(set(values))
    ports: list[dict[str, Any]] = []
    for start in range(0, len(wanted), CHUNK):
        filters = "&".join(f"{query}={value}" for value in wanted[start : start + CHUNK])
        ports += reader.all("network", f"/ports?{filters}", "ports")
    return [port for port in ports if not port["device_owner"].startswith(OF_NEUTRON)]


def owner_names(reader: Reader) -> Mapping[str, str]:
    """Names of the domain's projects by id; the administrator's own has the empty name."""
    names = {item["id"]: item["name"] for item in reader.projects}
    names[own_project(reader)] = ""
    return names


def own_project(reader: Reader) -> str:
    """The id of the project that the administrator is logged in to."""
    token = reader.once("token", reader.cloud.login)
    return str(token.get("project", {}).get("id", ""))


def owner(site: Site, vo: Optional[str]) -> str:
    """The name of the project that a VO's things are in; empty for the administrator's own."""
    return site.vo(vo).project if vo else ""


def needed(kind: str, project: str, name: str) -> tuple[Ref, ...]:
    """References to an owner's project, where it is a VO's, and to one thing in it."""
    first = (project_ref(project),) if project else ()
    return (*first, Ref(kind, (project, name))) if name else first
