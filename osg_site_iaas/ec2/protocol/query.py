"""A query, from the bytes of a form to a tree of names; bounded in size, count and depth."""

from __future__ import annotations

import re
from typing import Mapping, Union
from urllib.parse import unquote_to_bytes

from osg_site_iaas.ec2.errors import Ec2Error

MAX_BYTES = 512 * 1024  # EC2 allows 16 KiB of user data; the rest is lists of ids
MAX_PARAMETERS = 6000
MAX_DEPTH = 12

# What belongs to the envelope and to no operation.
ENVELOPE = frozenset(
    [
        "Action",
        "Version",
        "AWSAccessKeyId",
        "Signature",
        "SignatureVersion",
        "SignatureMethod",
        "Timestamp",
        "Expires",
        "SecurityToken",
        "AUTHPARAMS",
    ]
)

Tree = Union[str, "dict[str, Tree]"]
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _malformed(why: str) -> Ec2Error:
    return Ec2Error("MalformedQueryString", f"The query string contains a syntax error: {why}", 400)


def _text(raw: bytes) -> str:
    try:
        value = unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise _malformed("it is not UTF-8") from None
    if _NOT_XML.search(value):
        raise _malformed("it holds a control character")
    return value


def parse_form(raw: bytes) -> dict[str, str]:
    """Name → value of an urlencoded form; refused where it is too large, repeated or not text."""
    if len(raw) > MAX_BYTES:
        raise Ec2Error("RequestEntityTooLarge", f"The request is larger than {MAX_BYTES} bytes", 413)
    values: dict[str, str] = {}
    if not raw:
        return values
    if raw.count(b"&") >= MAX_PARAMETERS:
        raise _malformed(f"more than {MAX_PARAMETERS} parameters")
    for pair in raw.split(b"&"):
        if not pair:
            continue
        name, _, value = pair.partition(b"=")
        key = _text(name)
        if not key:
            raise _malformed("a parameter without a name")
        if key in values:
            raise _malformed(f"the parameter {key[:100]} is given twice")
        values[key] = _text(value)
    return values


def operation_parameters(form: Mapping[str, str]) -> dict[str, str]:
    """What is left for the operation when the envelope and the signature are taken away."""
    return {
        name: value
        for name, value in form.items()
        if name not in ENVELOPE and not name.lower().startswith("x-amz-")
    }


def grow(parameters: Mapping[str, str]) -> dict[str, Tree]:
    """The parameters as a tree along the dots of their names."""
    root: dict[str, Tree] = {}
    for name, value in parameters.items():
        path = name.split(".")
        if len(path) > MAX_DEPTH or not all(path):
            raise Ec2Error("InvalidParameterValue", f"The parameter name {name[:200]} is not valid")
        node = root
        for step in path[:-1]:
            below = node.setdefault(step, {})
            if isinstance(below, str):
                raise Ec2Error("InvalidParameterCombination", f"{name[:200]} is both a value and a structure")
            node = below
        if path[-1] in node:
            raise Ec2Error("InvalidParameterCombination", f"{name[:200]} is both a value and a structure")
        node[path[-1]] = value
    return root
