"""What one service of the sandbox tells about itself: everything, in one file under services/."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Iterable, Mapping

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import services as package
from osg_site_iaas.sandbox.model import REGION, Box, Command, Endpoint

HOUR_S = 3600
Ini = Mapping[str, Mapping[str, object]]


class Service:
    """One process. A module under services/ makes an instance of a subclass and calls it ``SERVICE``."""

    name: str
    needs: tuple[str, ...] = ()
    #: names of the ports it listens on; the first is asked for its health
    ports: tuple[str, ...]
    #: names of further random secrets; a service with a Keystone user always has one of its own name
    secrets: tuple[str, ...] = ()
    #: whether Keystone gets a user of this name, with the roles admin and service on project ``service``
    has_user: bool = True
    #: databases that migrations() fill: db/NAME.db
    databases: tuple[str, ...] = ()
    #: whether `up` runs it when nobody names services
    default: bool = True

    def files(self, box: Box) -> dict[str, str]:
        """Configuration: path below etc/ and content."""
        return {}

    def folders(self, box: Box) -> tuple[str, ...]:
        """Folders below data/ that must exist."""
        return ()

    def migrations(self, box: Box) -> tuple[Command, ...]:
        """Commands that make the databases, one after the other; run once for the template."""
        return ()

    def adopt(self, box: Box) -> None:
        """Put right what a copied template cannot know, such as absolute paths."""

    def command(self, box: Box) -> Command:
        """The process itself; it stays in the foreground and ends on SIGTERM."""
        raise NotImplementedError

    def endpoints(self, box: Box) -> tuple[Endpoint, ...]:
        """What Keystone's catalogue says of it."""
        return ()

    def health(self, box: Box) -> str:
        """A URL that answers anything below 500 when the service is up."""
        return box.url(self.ports[0], "/")


def registry() -> dict[str, Service]:
    """Every service there is, by name: whatever modules lie under services/."""
    found = {}
    for info in pkgutil.iter_modules(package.__path__):
        service: Service = importlib.import_module(f"{package.__name__}.{info.name}").SERVICE
        found[service.name] = service
    return found


def choose(names: Iterable[str], known: Mapping[str, Service]) -> tuple[Service, ...]:
    """The named services and all they need, needs first.

    Raises SandboxError for a name that is not there.
    """
    ordered: dict[str, Service] = {}

    def add(name: str) -> None:
        if name in ordered:
            return
        if name not in known:
            raise SandboxError(
                f"there is no service {name!r}", todo=f"choose from {', '.join(sorted(known))}"
            )
        for need in known[name].needs:
            add(need)
        ordered[name] = known[name]

    for name in names:
        add(name)
    return tuple(ordered.values())


def ini(content: Ini) -> str:
    """An INI file; True and False become the words oslo.config and Swift both read."""
    lines = []
    for section, options in content.items():
        lines.append(f"[{section}]")
        for key, value in options.items():
            lines.append(f"{key} = {str(value).lower() if isinstance(value, bool) else value}")
        lines.append("")
    return "\n".join(lines)


def login(box: Box, user: str) -> dict[str, object]:
    """How a service logs in to Keystone as its own user; fits any section keystoneauth reads."""
    return {
        "auth_url": box.url("keystone", "/v3"),
        "auth_type": "password",
        "username": user,
        "password": box.secrets[user],
        "project_name": "service",
        "user_domain_id": "default",
        "project_domain_id": "default",
        "region_name": REGION,
    }


def authtoken(box: Box, user: str) -> dict[str, object]:
    """The section [keystone_authtoken]: how a service checks the tokens it is given."""
    return {
        **login(box, user),
        "www_authenticate_uri": box.url("keystone", "/v3"),
        "service_token_roles": "service",
        "service_token_roles_required": True,
    }
