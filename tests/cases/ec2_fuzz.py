"""Requests made from EC2's model: each parameter that an action can be given, by its name in a query."""

from __future__ import annotations

from typing import Iterator

from osg_site_iaas.ec2.protocol.model import Model, Shape

# a value of each kind of the model
PLAIN = {
    "string": "x",
    "character": "x",
    "integer": "7",
    "long": "7",
    "float": "1.5",
    "double": "1.5",
    "boolean": "true",
    "timestamp": "2026-01-02T03:04:05Z",
    "blob": "eA==",
}
# what no parameter wants: too long, of another kind, of another alphabet, of another notation
ODD = (
    "",
    "0",
    "-1",
    "99999999999999999999",
    "NaN",
    "true",
    "x" * 5000,
    "../../etc/passwd",
    "' OR 1=1 --",
    "<a>&amp;",
    "\u202e\U0001f600\t",
    "%00%0a",
    "*" * 60,
    "i-0123456789abcdef0",
    "ami-0123456789abcdef0",
    "sg-ffffffff",
    "192.0.2.0/24",
    "2026-13-45T99:99:99Z",
    "e30=",
)


def query_leaves(
    model: Model, shape: Shape, path: str = "", query: str = "", depth: int = 0
) -> Iterator[tuple[str, str, str]]:
    """(path by the model's names without list positions, name in a query, kind) of every plain value below a shape."""
    for member in shape.members:
        below, name = model.shapes[member.shape], f"{query}{member.query}"
        while below.kind == "list":
            below, name = model.shapes[below.item], f"{name}.1"
        inner = f"{path}{member.name}"
        if below.kind == "structure" and below.members and depth < 6:
            yield from query_leaves(model, below, f"{inner}.", f"{name}.", depth + 1)
        elif below.kind in PLAIN:
            yield inner, name, below.kind
