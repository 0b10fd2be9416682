"""Changes to a declaration, each of which can be made to its data and to its text.

The data says what a change means. The text is changed in place by the positions of YAML's nodes, so that
comments and layout stay; whoever calls compares the two afterwards, since YAML has more ways of writing a
thing than are foreseen here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Sequence

import yaml

Path = tuple[str, ...]
Span = tuple[int, int, str]  # from, to, and what to put there


class Unforeseen(Exception):  # a way of writing that a text change cannot follow
    """The text is written in a way that this change cannot follow."""


class Impossible(ValueError):
    """The data does not hold what the change needs; ``path`` says where."""

    def __init__(self, path: Sequence[Any], what: str, todo: str) -> None:
        super().__init__(what)
        self.path = tuple(path)
        self.what = what
        self.todo = todo


@dataclass(frozen=True)
class Rename:
    """A key gets another name."""

    path: Path
    name: str

    def to_data(self, data: Any) -> Any:
        inside = _inside(data, self.path[:-1])
        if self.name in inside:
            todo = f"Put the two together under {self.name}."
            raise Impossible(self.path, f"there are both {self.path[-1]} and {self.name}", todo)
        return _replaced(data, self.path[:-1], {self._new(key): value for key, value in inside.items()})

    def to_text(self, text: str) -> str:
        key, _ = _find(text, self.path)
        return _apply(text, [(key.start_mark.index, key.end_mark.index, self.name)])

    def _new(self, key: str) -> str:
        return self.name if key == self.path[-1] else key


@dataclass(frozen=True)
class Put:
    """A key of the whole file gets a plain value, at the top if it was not there."""

    key: str
    value: int

    def to_data(self, data: Any) -> Any:
        return {**data, self.key: self.value} if self.key in data else {self.key: self.value, **data}

    def to_text(self, text: str) -> str:
        root = _compose(text)
        for key, value in root.value:
            if key.value == self.key:
                start = value.start_mark.index
                gap = "" if text[start - 1 : start].isspace() else " "
                return _apply(text, [(start, value.end_mark.index, f"{gap}{self.value}")])
        at = root.start_mark.index
        if root.flow_style:
            comma = ", " if root.value else ""
            return _apply(text, [(at + 1, at + 1, f"{self.key}: {self.value}{comma}")])
        indent = " " * root.start_mark.column
        return _apply(text, [(at, at, f"{self.key}: {self.value}{_newline(text)}{indent}")])


@dataclass(frozen=True)
class KeyBy:
    """A list of mappings becomes a mapping, by a key that each of them has."""

    path: Path
    key: str

    def to_data(self, data: Any) -> Any:
        found: dict[str, Any] = {}
        for index, item in enumerate(_inside(data, self.path)):
            here = (*self.path, index)
            name = item.get(self.key) if isinstance(item, dict) else None
            if not isinstance(name, str) or not name:
                raise Impossible(here, f"this entry has no {self.key}", f"Give it one: `{self.key}: cms`.")
            if name in found:
                raise Impossible(here, f"{name} is there already", "Keep one of the two.")
            found[name] = {key: value for key, value in item.items() if key != self.key} or None
        return _replaced(data, self.path, found)

    def to_text(self, text: str) -> str:
        key, items = _find(text, self.path)
        if not items.value:
            return _apply(text, [(items.start_mark.index, items.end_mark.index, "{}")])
        spans: list[Span] = []
        if items.flow_style:
            spans += [(items.start_mark.index, items.start_mark.index + 1, "{")]
            spans += [(items.end_mark.index - 1, items.end_mark.index, "}")]
        for item in items.value:
            spans += self._item(text, item, flow=items.flow_style)
        changed = _apply(text, spans)
        if not items.flow_style and items.start_mark.column <= key.start_mark.column:
            first, last = items.start_mark.line, _last_line(text, items)
            changed = _indent(changed, first, last + changed.count("\n") - text.count("\n"))
        return changed

    def _item(self, text: str, item: Any, *, flow: bool) -> list[Span]:
        if not isinstance(item, yaml.MappingNode):
            raise Unforeseen
        number = next(n for n, (key, _) in enumerate(item.value) if key.value == self.key)
        key, value = item.value[number]
        start = item.start_mark.index
        written = text[value.start_mark.index : value.end_mark.index]
        lead = start if flow else _dash(text, start)
        if item.flow_style:
            return [(lead, start, f"{written}: "), _without(text, item, number)]
        if number == 0:
            return [(lead, value.end_mark.index, f"{written}:")]
        first = " " * item.start_mark.column
        return [(lead, start, f"{written}:{_newline(text)}{first}"), _line(text, key, value)]


Change = Any  # Rename, Put or KeyBy: whatever has to_data and to_text


def _compose(text: str) -> Any:
    # PyYAML's own parser: its marks hold the index of a character in the text.
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        raise Unforeseen
    return root


def _find(text: str, path: Path) -> tuple[Any, Any]:
    """The nodes of a key and of its value."""
    key, node = None, _compose(text)
    for step in path:
        pairs = [pair for pair in node.value if pair[0].value == step] if hasattr(node, "value") else []
        if len(pairs) != 1:
            raise Unforeseen
        key, node = pairs[0]
    return key, node


def _apply(text: str, spans: Sequence[Span]) -> str:
    for start, end, new in sorted(spans, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _dash(text: str, start: int) -> int:
    """The index of the dash that an item of a block list begins with."""
    lead = re.search(r"-[ \t]+\Z", text[:start])
    if lead is None:
        raise Unforeseen
    return lead.start()


def _without(text: str, item: Any, number: int) -> Span:
    """The span of one pair of a mapping in braces, and of the comma that goes with it."""
    key, value = item.value[number]
    if len(item.value) == 1:
        return item.start_mark.index, item.end_mark.index, "{}"
    if number + 1 < len(item.value):
        return key.start_mark.index, item.value[number + 1][0].start_mark.index, ""
    return item.value[number - 1][1].end_mark.index, value.end_mark.index, ""


def _line(text: str, key: Any, value: Any) -> Span:
    """The span of one pair of a block mapping; of its whole line, if nothing else is on it."""
    start, end = key.start_mark.index, value.end_mark.index
    begin = text.rfind("\n", 0, start) + 1
    rest = re.compile(r"[ \t]*(\r\n|\n|\Z)").match(text, end)
    if rest is not None and not text[begin:start].strip():
        return begin, rest.end(), ""
    return start, end, ""


def _last_line(text: str, node: Any) -> int:
    """The line, from 0, that a node ends in; the end that PyYAML states is where the next one begins."""
    while not isinstance(node, yaml.ScalarNode) and not node.flow_style and node.value:
        node = node.value[-1][1] if isinstance(node, yaml.MappingNode) else node.value[-1]
    return text[: node.end_mark.index].rstrip().count("\n")


def _indent(text: str, first: int, last: int) -> str:
    """The text with the lines from the first to the last, counted from 0, two columns further in."""
    lines = text.splitlines(keepends=True)
    for number in range(first, min(last + 1, len(lines))):
        if lines[number].strip():
            lines[number] = f"  {lines[number]}"
    return "".join(lines)


def _inside(data: Any, path: Path) -> Any:
    for step in path:
        data = data[step]
    return data


def _replaced(data: Any, path: Path, value: Any) -> Any:
    """The data with one value replaced, sharing what is not on the way to it."""
    if not path:
        return value
    return {
        key: _replaced(inner, path[1:], value) if key == path[0] else inner for key, inner in data.items()
    }
