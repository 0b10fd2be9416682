"""What the kinds of Neutron share: owners, tags, and bodies by name."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import TAG, Change, Ref, is_marked, other_site

CHUNK = 50  # ids in one query
# ports that come and go with the network or router itself
OF_NEUTRON = ("network:dhcp", "network:distributed", "network:router_", "network:ha_router")


class NeutronKind(Kind):
    """A kind with one body for POST and PUT, which cannot be tagged in the request that makes it.

    So the description carries our mark from the start; the tag, which people filter by, follows, and is an
    attribute like any other: a run that was killed before it set the tag is finished by the next.
    """

    service = "network"
    ownership = (
        "its description carries our mark and it is in an administrator's project, or in a VO's project "
        "its description or its tag does"
    )
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
            owner = owners.get(item["project_id"])
            if owner is not None:
                key = (owner, item["name"])
                if key in names or is_ours(reader, key, item):
                    found.append((key, item))
            elif is_marked(item.get("description"), reader.site.cloud.domain):
                # whoever owns a thing writes its description: in a stranger's project our mark proves nothing
                found.append(((item["project_id"], item["name"]), item))
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


def is_ours(reader: Reader, key: tuple[str, ...], item: Mapping[str, Any]) -> bool:
    """Whether a thing of this key, whose first part is its owner as ``owner_names`` has it, is the site's.

    In a VO's own project the tag will do: the VO may change either, and must not get in the way by changing one.
    In an administrator's project it will not, as another site's things may lie there too.
    """
    marked = is_marked(item.get("description"), reader.site.cloud.domain)
    if key[0] == "":
        return marked
    vos = reader.once("owners", lambda: frozenset(owner_names(reader).values()))
    return key[0] in vos and (marked or TAG in item["tags"])


def other(reader: Reader, key: tuple[str, ...], item: Mapping[str, Any]) -> str:
    """The Keystone domain of another site that has made it; what a VO's members write in their own proves nothing."""
    return other_site(item.get("description"), reader.site.cloud.domain) if key[0] == "" else ""


def owner_names(reader: Reader) -> Mapping[str, str]:
    """Names of the domain's projects by id; the administrators' own have the empty name."""
    return reader.once(
        "owner names",
        lambda: {
            **{item["id"]: item["name"] for item in reader.projects},
            **dict.fromkeys(own_projects(reader), ""),
        },
    )


def own_projects(reader: Reader) -> frozenset[str]:
    """The ids of the projects that only administrators are in: what is the site's and no VO's is in one of them."""
    return frozenset({own_project(reader), *reader.site.cloud.admin_projects})


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
