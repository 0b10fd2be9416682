"""A query's tree into the values of an operation's input shape, and back for what was given."""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime, timezone
from typing import Any, Callable, Iterator, Mapping

from osg_site_iaas.ec2.errors import Ec2Error, invalid_value, unknown_parameter
from osg_site_iaas.ec2.protocol.model import Model, Shape
from osg_site_iaas.ec2.protocol.query import Tree, grow

MAX_LIST = 1000  # elements of one list, as EC2 has it for ids

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}\Z")
_TIMESTAMP = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?(?:Z|\+00:?00)?)?\Z")


def parse_timestamp(text: str) -> datetime:
    """An aware UTC time from ISO 8601 as clients write it; ValueError otherwise."""
    match = _TIMESTAMP.match(text)
    if not match:
        raise ValueError(f"not a time: {text[:40]}")
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=timezone.utc)


def _integer(text: str) -> int:
    if not _INTEGER.match(text):
        raise ValueError(f"not an integer: {text[:40]}")
    return int(text)


def _boolean(text: str) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if value is None:
        raise ValueError("must be true or false")
    return value


def _float(text: str) -> float:
    value = float(text)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("not a number")
    return value


def decode_base64(text: str) -> bytes:
    """The bytes of base64 as clients send it: line breaks are allowed; ValueError otherwise."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ValueError("not base64") from error


_SCALARS: dict[str, Callable[[str], Any]] = {
    "string": str,
    "character": str,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "boolean": _boolean,
    "timestamp": parse_timestamp,
    "blob": decode_base64,
}


def _list(model: Model, shape: Shape, tree: Tree, path: str) -> list[Any]:
    if isinstance(tree, str):
        if tree == "":  # how some clients write an empty list
            return []
        raise invalid_value(path, tree[:100], "It is a list: its elements are numbered")
    numbered: dict[int, Tree] = {}
    for step, node in tree.items():
        if not step.isascii() or not step.isdigit() or len(step) > 6:
            raise unknown_parameter(f"{path}.{step}"[:300])
        index = int(step)
        if index in numbered:
            raise invalid_value(path, step, "An element is given twice")
        numbered[index] = node
    if len(numbered) > MAX_LIST:
        raise Ec2Error("InvalidParameterValue", f"{path} has more than {MAX_LIST} elements")
    item = model.shapes[shape.item]
    # HTCondor counts from 0, the others from 1, and EC2 allows gaps: only the order counts.
    return [_value(model, item, numbered[index], f"{path}.{index}") for index in sorted(numbered)]


def _structure(model: Model, shape: Shape, tree: Tree, path: str) -> dict[str, Any]:
    if isinstance(tree, str):
        raise invalid_value(path, tree[:100], "It is a structure: its members follow after a dot")
    members = shape.by_query()
    values: dict[str, Any] = {}
    for step, node in tree.items():
        below = f"{path}.{step}" if path else step
        member = members.get(step)
        if member is None:
            raise unknown_parameter(below[:300])
        values[member.name] = _value(model, model.shapes[member.shape], node, below)
    return values


def _value(model: Model, shape: Shape, tree: Tree, path: str) -> Any:
    if shape.kind == "structure":
        return _structure(model, shape, tree, path)
    if shape.kind == "list":
        return _list(model, shape, tree, path)
    if not isinstance(tree, str):
        raise invalid_value(path, "...", "It is a plain value")
    convert = _SCALARS.get(shape.kind)
    if convert is None:
        raise unknown_parameter(path)
    try:
        return convert(tree)
    except (ValueError, OverflowError) as error:
        raise invalid_value(path, tree[:100], str(error)) from None


def parse_input(model: Model, operation: str, parameters: Mapping[str, str]) -> dict[str, Any]:
    """The operation's input by the model's names. A name that the model does not know is an error."""
    return _structure(model, model.input(operation), grow(parameters), "")


def given_paths(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(path by the model's names without list positions, value) of everything that was given."""
    for name, value in values.items():
        path = f"{prefix}{name}"
        elements = value if isinstance(value, list) else [value]
        if not elements:
            yield path, []
        for element in elements:
            if isinstance(element, Mapping):
                if not element:
                    yield path, element
                yield from given_paths(element, f"{path}.")
            else:
                yield path, element
