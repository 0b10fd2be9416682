"""Reads each list of OpenStack once, however many kinds need it, and many at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import AbstractSet, Any, Callable, Iterable, Iterator, Mapping, Optional, TypeVar
from urllib.parse import quote, urlsplit

from osg_site_iaas.cloud.connect import Cloud, Missing
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import TAG

T = TypeVar("T")
R = TypeVar("R")
PAGE = 1000
VO_TAG = f"{TAG}:vo="  # on a project: which VO it is, also when site.yml no longer says so


def vo_of(project: Mapping[str, Any]) -> str:
    """The VO that a project is: as its tag says, else one of its own name."""
    tags = (tag[len(VO_TAG) :] for tag in project.get("tags", ()) if tag.startswith(VO_TAG))
    return next(tags, str(project["name"]))


class Reader:
    """A view of the cloud for one plan. Answers are kept for the life of the reader and never refreshed."""

    def __init__(
        self,
        cloud: Cloud,
        site: Site,
        *,
        workers: int = 8,
        vos: Optional[AbstractSet[str]] = None,
        secrets: bool = True,
    ) -> None:
        self.cloud = cloud
        self.site = site
        # where what apply has written lies; None: it is not to be looked at, and is taken to be as it should
        self.secrets = site.cloud.secrets if secrets else None
        self._workers = workers
        self._vos = vos
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._kept: dict[Any, Future[Any]] = {}
        self._lock = Lock()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        for pool in self._pools.values():
            pool.shutdown(wait=False)

    def once(self, key: Any, ask: Callable[[], T]) -> T:
        """What ``ask`` returned the first time it was asked under this key; concurrent askers wait for it."""
        with self._lock:
            kept = self._kept.get(key)
            mine = kept is None
            if kept is None:
                kept = self._kept[key] = Future()
        if mine:
            try:
                kept.set_result(ask())
            except BaseException as error:  # noqa: BLE001 - handed to every asker, this one included
                kept.set_exception(error)
        result: T = kept.result()
        return result

    def map(self, service: str, ask: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """``ask`` of every item, in the items' order, so many at a time for each service. Not to be nested."""
        with self._lock:
            pool = self._pools.get(service)
            if pool is None:  # one a service: a slow one must not hold up the others
                pool = self._pools[service] = ThreadPoolExecutor(self._workers, thread_name_prefix=service)
        return list(pool.map(ask, items))

    def all(
        self, service: str, path: str, member: str, *, version: Optional[str] = None, paged: bool = False
    ) -> list[dict[str, Any]]:
        """A whole list, with its further pages."""
        return self.once(
            (service, path),
            lambda: list(pages(self.cloud, service, path, member, version=version, paged=paged)),
        )

    # Keystone's lists, named since half of the kinds need them

    @property
    def domain(self) -> Optional[Mapping[str, Any]]:
        """The Keystone domain that site.yml names, if it exists."""
        name = self.site.cloud.domain
        found = [
            item
            for item in self.all("identity", f"/domains?name={quote(name)}", "domains")
            if item["name"] == name
        ]
        return found[0] if found else None

    def _in_domain(self, path: str, member: str) -> list[dict[str, Any]]:
        domain = self.domain
        if domain is None:
            return []
        return self.all("identity", f"{path}?domain_id={domain['id']}", member)

    @property
    def all_projects(self) -> list[dict[str, Any]]:
        """Every project of the domain."""
        return self._in_domain("/projects", "projects")

    @property
    def projects(self) -> list[dict[str, Any]]:
        """The projects to look at: every one of the domain, or those of the VOs that the reader is for."""
        if not self._vos:
            return self.all_projects
        declared = {vo.project for vo in self.site.vos if vo.name in self._vos}
        return [item for item in self.all_projects if vo_of(item) in self._vos or item["name"] in declared]

    def vo_named(self, project: str) -> Optional[str]:
        """The VO of a project of the domain, by the project's name; None for the administrator's own, ``""``."""
        names = self.once("vos", lambda: {item["name"]: vo_of(item) for item in self.all_projects})
        return names.get(project)

    @property
    def users(self) -> list[dict[str, Any]]:
        """Every user of the domain."""
        return self._in_domain("/users", "users")

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Every group of the domain."""
        return self._in_domain("/groups", "groups")

    @property
    def roles(self) -> Mapping[str, str]:
        """Ids of Keystone's global roles, by name."""
        return {role["name"]: role["id"] for role in self.all("identity", "/roles", "roles")}

    def project_ids(self) -> Mapping[str, str]:
        """Ids of the domain's projects, by name."""
        return {project["name"]: project["id"] for project in self.projects}

    def declared_projects(self) -> list[tuple[str, str, str]]:
        """VO, project and id of each VO of site.yml whose project exists."""
        ids = self.project_ids()
        return [(vo.name, vo.project, ids[vo.project]) for vo in self.site.vos if vo.project in ids]

    def head(self, service: str, path: str) -> Optional[Mapping[str, str]]:
        """Headers of an object; None if it does not exist."""
        try:
            headers: Mapping[str, str] = self.cloud.request("HEAD", service, path).headers
        except Missing:
            return None
        return headers


def pages(
    cloud: Cloud, service: str, path: str, member: str, *, paged: bool = False, **arguments: Any
) -> Iterator[dict[str, Any]]:
    """Every entry of a list; with ``paged``, so many at a time as the service is asked for.

    Whether there is more is for the service to say: it may give less than it was asked for. CloudError if it
    says that it cut the list off and not how to go on.
    """
    start = f"{path}{'&' if '?' in path else '?'}limit={PAGE}" if paged else path
    url: Optional[str] = start
    count = 0
    while url:
        page = cloud.get(service, url, **arguments)
        if not isinstance(page, Mapping) or not isinstance(page.get(member), list):
            raise CloudError(
                f"{service}: GET {path} answered no {member}", todo="is the endpoint in the catalogue right?"
            )
        count += len(page[member])
        yield from page[member]
        following = _next(page, member)
        if following is None and page.get("truncated"):  # Keystone's way of saying that list_limit has cut it
            raise CloudError(
                f"{service}: {path} is cut off after {count} entries",
                todo="raise list_limit in keystone.conf: a plan from half a list would be wrong",
            )
        url = _join(path, following) if following and page[member] else None


def _next(page: Mapping[str, Any], member: str) -> Optional[str]:
    """The link to the next page, in the words of Keystone, Glance, or Nova, Neutron and Cinder."""
    links = page.get("links")
    if isinstance(links, Mapping) and links.get("next"):
        return str(links["next"])
    if page.get("next"):
        return str(page["next"])
    for link in page.get(f"{member}_links") or ():
        if link.get("rel") == "next":
            return str(link["href"])
    return None


def _join(path: str, following: str) -> str:
    """The same path with the query of a link: what stands before it may be true behind a proxy only."""
    return f"{path.split('?')[0]}?{urlsplit(following).query}"
