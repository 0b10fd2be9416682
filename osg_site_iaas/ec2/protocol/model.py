"""EC2's service model, as much of it as the door serves.

botocore's model describes 830 operations in 14 MB of objects, mostly prose. What is kept is the shapes
that the served operations reach, without the prose, and the names of all the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterable, Mapping, Optional

from osg_site_iaas.errors import SiteError

LATEST = "2016-11-15"


@dataclass(frozen=True)
class Member:
    """One member of a structure: its name in the model, in a query, and in an answer."""

    name: str
    query: str
    xml: str
    shape: str


@dataclass(frozen=True)
class Shape:
    """A type of the model. ``kind`` is structure, list, string, integer, boolean, timestamp, blob …"""

    name: str
    kind: str
    members: tuple[Member, ...] = ()
    item: str = ""  # list: the shape of an element
    item_xml: str = "item"  # list: its element's name in an answer
    required: tuple[str, ...] = ()
    enum: tuple[str, ...] = ()

    def by_query(self) -> Mapping[str, Member]:
        return {member.query: member for member in self.members}


@dataclass(frozen=True)
class Operation:
    name: str
    input: Optional[str]
    output: Optional[str]


def _query_name(name: str, ref: Mapping[str, Any]) -> str:
    if "queryName" in ref:
        return str(ref["queryName"])
    if "locationName" in ref:
        location = str(ref["locationName"])
        return location[:1].upper() + location[1:]
    return name


def _shape(name: str, raw: Mapping[str, Any]) -> Shape:
    kind = str(raw["type"])
    if kind == "structure":
        members = tuple(
            Member(key, _query_name(key, ref), str(ref.get("locationName", key)), str(ref["shape"]))
            for key, ref in raw.get("members", {}).items()
        )
        return Shape(name, kind, members=members, required=tuple(raw.get("required", ())))
    if kind == "list":
        ref = raw["member"]
        return Shape(name, kind, item=str(ref["shape"]), item_xml=str(ref.get("locationName", "member")))
    return Shape(name, kind, enum=tuple(raw.get("enum", ())))


class Model:
    """The shapes of the served operations; every other operation of EC2 is known by name only."""

    def __init__(self, raw: Mapping[str, Any], served: Iterable[str]) -> None:
        operations: Mapping[str, Any] = raw["operations"]
        self.known = frozenset(operations)
        self.namespace = str(raw["metadata"]["xmlNamespace"])
        self.operations = {
            name: Operation(
                name,
                operations[name].get("input", {}).get("shape"),
                operations[name].get("output", {}).get("shape"),
            )
            for name in served
            if name in operations
        }
        self.shapes: dict[str, Shape] = {}
        for operation in self.operations.values():
            for root in (operation.input, operation.output):
                if root is not None:
                    self._reach(root, raw["shapes"])

    def _reach(self, root: str, raw: Mapping[str, Any]) -> None:
        todo = [root]
        while todo:
            name = todo.pop()
            if name in self.shapes:
                continue
            shape = self.shapes[name] = _shape(name, raw[name])
            todo.extend(member.shape for member in shape.members)
            if shape.item:
                todo.append(shape.item)

    def input(self, operation: str) -> Shape:
        """The input shape of a served operation; an empty structure where it takes nothing."""
        name = self.operations[operation].input
        return self.shapes[name] if name else Shape("Nothing", "structure")

    def output(self, operation: str) -> Optional[Shape]:
        name = self.operations[operation].output
        return self.shapes[name] if name else None


def load_model(served: Iterable[str], service: str = "ec2") -> Model:
    """The model that the installed botocore carries; SiteError where there is none to read."""
    try:
        from botocore.exceptions import BotoCoreError
        from botocore.loaders import Loader
    except ImportError as error:
        raise SiteError(
            "the EC2 door needs botocore for EC2's service model", todo="install python3-botocore"
        ) from error
    try:
        raw = Loader().load_service_model(service, "service-2")
    except BotoCoreError as error:
        raise SiteError(
            f"the installed botocore has no service model of {service}: {error}",
            todo="install an unreduced python3-botocore",
        ) from error
    return Model(raw, served)
