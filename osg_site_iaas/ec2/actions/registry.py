"""What the door serves: each action says what of EC2's parameters it understands, so that the rest is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Callable, Mapping, Optional

from osg_site_iaas.ec2.auth.keystone import Grant
from osg_site_iaas.ec2.backend.http import Cloud
from osg_site_iaas.ec2.backend.kept import Lookups
from osg_site_iaas.ec2.backend.servers import Views
from osg_site_iaas.ec2.errors import Ec2Error, unsupported
from osg_site_iaas.ec2.protocol.parse import given_paths
from osg_site_iaas.ec2.protocol.write import Writer
from osg_site_iaas.ec2.settings import Settings
from osg_site_iaas.ec2.store import Store

Parameters = Mapping[str, Any]
Answer = Optional[Mapping[str, Any]]  # None is EC2's <return>true</return>


@dataclass
class Call:
    """One EC2 request, as an action sees it."""

    cloud: Cloud
    grant: Grant
    store: Store
    settings: Settings
    lookups: Lookups
    views: Views
    writer: Writer
    endpoint: str = ""  # the host that the client asked

    @property
    def project(self) -> str:
        return self.grant.project_id

    @property
    def account(self) -> str:
        """EC2's account id, which is the Keystone project's id here."""
        return self.grant.project_id

    def look_again(self) -> bool:
        """Whether kept lists had a part in this call so far; they are read anew from now on."""
        kinds = self.cloud.recalled - {"addresses"}
        for kind in kinds:
            self.lookups.forget(self.project, kind)
        self.cloud.recalled.clear()
        return bool(kinds)


Run = Callable[[Call, Parameters], Answer]
# errors that can mean that a thing is not there, besides those whose code says so
NOT_THERE = ("InvalidParameterValue", "InvalidInstanceType", "VPCIdNotSpecified")


@dataclass(frozen=True)
class Action:
    """``params`` are paths by the model's names without list positions; ``x.*`` is everything below x.

    ``ignores`` maps a path to the reason why it changes nothing here. ``only`` maps a path to the values that it
    can have. ``requests`` says how many requests to OpenStack a warm call costs.
    """

    name: str
    run: Run
    params: frozenset[str]
    ignores: Mapping[str, str] = field(default_factory=dict)
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    filters: tuple[str, ...] = ()
    requests: str = ""
    notes: str = ""
    service: str = "ec2"

    def answer(self, call: Call, parameters: Parameters) -> Answer:
        """What ``run`` gives. What is not found in a kept list is looked for in a new one before it is refused."""
        try:
            return self.run(call, parameters)
        except Ec2Error as error:
            written = any(not line.startswith("GET ") for line in call.cloud.log)
            absent = error.code.endswith("NotFound") or error.code in NOT_THERE
            if written or not absent or not call.look_again():
                raise
            return self.run(call, parameters)

    def understands(self, path: str) -> bool:
        if path in self.params or path in self.ignores or path in self.only or path == "DryRun":
            return True
        parts = path.split(".")
        return any(
            f"{'.'.join(parts[:at])}.*" in table
            for at in range(1, len(parts))
            for table in (self.params, self.ignores)
        )

    def check(self, parameters: Parameters) -> None:
        """Nothing; an error for a parameter that EC2 knows and the door does not, or not with this value."""
        for path, value in given_paths(parameters):
            if not self.understands(path):
                raise unsupported(f"The parameter {path} of {self.name} is not supported by this cloud.")
            if path in self.only and value not in self.only[path]:
                allowed = ", ".join(
                    str(one).lower() if isinstance(one, bool) else str(one) for one in self.only[path]
                )
                raise unsupported(f"{path} of {self.name} can only be {allowed} in this cloud, not {value}.")
        if parameters.get("DryRun"):
            raise Ec2Error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)


ACTIONS: dict[str, Action] = {}


def action(
    params: str = "",
    *,
    ignores: Optional[Mapping[str, str]] = None,
    only: Optional[Mapping[str, tuple[Any, ...]]] = None,
    filters: Optional[Mapping[str, Any]] = None,
    tags: bool = False,
    requests: str = "",
    notes: str = "",
    service: str = "ec2",
) -> Callable[[Run], Run]:
    """Register a function as the action of its name in CamelCase."""

    def register(run: Run) -> Run:
        name = "".join(part.capitalize() for part in run.__name__.split("_"))
        known = set(params.split())
        names = tuple(filters or ())
        if filters is not None:
            known |= {"Filters.Name", "Filters.Values"}
            names += ("tag:<key>", "tag-key", "tag-value") if tags else ()
        ACTIONS[name] = Action(
            name, run, frozenset(known), ignores or {}, only or {}, names, requests, notes, service
        )
        return run

    return register
