"""What a sandbox is, as a value: where it lies, which ports and passwords it has, what it runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Mapping, Optional

REGION = "RegionOne"
Overrides = Mapping[str, Mapping[str, Mapping[str, str]]]
INSIDE = Path(__file__).parent / "inside"
#: the release that the lock file pins
CURRENT = "current"


def inside(script: str, release: str) -> Path:
    """The file of one of inside/'s scripts: the release's own if it has one."""
    own = INSIDE / release / script
    return own if own.exists() else INSIDE / script


@dataclass(frozen=True)
class Command:
    """Arguments and extra environment of one process; never holds a secret."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Endpoint:
    """One line of Keystone's catalogue."""

    name: str
    type: str
    url: str


@dataclass(frozen=True)
class Box:
    """One sandbox as its services see it."""

    name: str
    folder: Path
    python: Path
    ports: Mapping[str, int]
    secrets: Mapping[str, str]
    services: tuple[str, ...]
    #: what its databases were made with; empty when it has none
    made_with: str = ""
    #: the services that somebody named; none is all
    asked: tuple[str, ...] = ()
    computes: int = 4
    release: str = CURRENT
    #: ``module:function`` that is given Keystone's WSGI application and returns the one to serve
    wrapper: Optional[str] = None
    wrapper_env: Mapping[str, str] = field(default_factory=dict)
    #: file below etc/ -> section -> option -> value
    overrides: Overrides = field(default_factory=dict)

    @property
    def etc(self) -> Path:
        """The folder of rendered configuration."""
        return self.folder / "etc"

    @property
    def data(self) -> Path:
        """What services keep besides their databases: image files, Swift's devices, compute ids."""
        return self.folder / "data"

    @property
    def logs(self) -> Path:
        """One log and one access log for each service."""
        return self.folder / "logs"

    @property
    def pki(self) -> Path:
        """The sandbox's own certificate authority and what it signed."""
        return self.folder / "pki"

    def database(self, name: str) -> str:
        """SQLAlchemy's address of one database file."""
        return f"sqlite:///{self.folder / 'db' / name}.db"

    def url(self, port: str, path: str = "", scheme: str = "http") -> str:
        """Where something listens, by the name of its port."""
        return f"{scheme}://127.0.0.1:{self.ports[port]}{path}"

    def log(self, service: str) -> Path:
        """What the service says."""
        return self.logs / f"{service}.log"

    def access_log(self, service: str) -> Path:
        """One line a request that the service answered."""
        return self.logs / f"access-{service}.log"

    def inside(self, script: str, *arguments: str, env: Optional[Mapping[str, str]] = None) -> Command:
        """A command that runs one of inside/'s scripts, or its release's own, with the services' own Python."""
        return Command((str(self.python), str(inside(script, self.release)), *arguments), dict(env or {}))

    def serve(
        self,
        service: str,
        app: str,
        *,
        threads: int,
        env: Optional[Mapping[str, str]] = None,
        more: tuple[str, ...] = (),
    ) -> Command:
        """The command that serves a WSGI application (``module:attribute``) on the service's port."""
        return self.inside(
            "serve.py", "--app", app, "--port", str(self.ports[service]), "--threads", str(threads),
            "--access-log", str(self.access_log(service)), *more, env=env,
        )  # fmt: skip

    def manage(self, main: str, *arguments: str, env: Optional[Mapping[str, str]] = None) -> Command:
        """The command that runs a project's own management tool (``module:function``)."""
        return self.inside("manage.py", main, *arguments, env=env)
