"""YAML to plain data in which every value knows its place; nothing in a file can run code or use much memory.

The parser's events are read one by one (libyaml's where PyYAML has it): nesting is counted before anything
recurses, and an alias is the same object, not a copy.
"""

from __future__ import annotations

from typing import Any, Optional, Union

import yaml

from osg_site_iaas.declaration import scalars, syntax
from osg_site_iaas.declaration.read import (
    MAX_PROBLEMS,
    Document,
    Entries,
    Items,
    Step,
    dotted,
    pack,
    printable,
    too_many,
    unpack,
)
from osg_site_iaas.errors import Problem

MAX_TEXT = 65536  # the longest that the format takes is 4,096
MAX_VALUES = 500_000  # counted with every alias expanded; a site of 1,000 VOs has 40,000

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(file: str, text: str) -> Document:
    """The document of a text, with every problem that reading finds; data is None if it cannot be read."""
    reader = _Reader(file)
    try:
        data = reader.run(text)
    except yaml.YAMLError as error:
        return Document(file, None, (*reader.problems, syntax.problem(file, text, error, reader.opened())))
    except _Stop as stop:
        return Document(file, None, (*reader.problems, stop.problem))
    return Document(file, data, tuple(reader.problems), frozenset(reader.refused))


class _Stop(Exception):
    """Reading cannot go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.problem = problem


_NO_KEY = object()
_BAD_KEY = object()


class _Frame:
    """A collection that is being read."""

    __slots__ = ("anchor", "container", "flow", "height", "key", "key_place", "place", "size")

    def __init__(
        self, container: Union[Entries, Items], place: int, anchor: Optional[str], flow: bool
    ) -> None:
        self.container = container
        self.place = place
        self.anchor = anchor
        self.flow = flow
        self.key: object = _NO_KEY
        self.key_place = 0
        self.size = 1
        self.height = 1


class _Reader:
    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.refused: set[int] = set()
        self.stack: list[_Frame] = []
        self.anchors: dict[str, tuple[object, int, int]] = {}  # value, size, height
        self.root: object = None

    def run(self, text: str) -> object:
        loader = _LOADER(text)
        try:
            documents = 0
            get, end = loader.get_event, yaml.StreamEndEvent
            while True:
                event = get()
                kind = type(event)
                if kind is yaml.ScalarEvent:
                    self.scalar(event)
                elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                    self.open(event, Entries() if kind is yaml.MappingStartEvent else Items())
                elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                    self.close()
                elif kind is yaml.AliasEvent:
                    self.alias(event)
                elif kind is yaml.DocumentStartEvent:
                    documents += 1
                    if documents > 1:
                        self.stop(event, "a second document begins here", "Keep one: remove the ---.")
                elif kind is end:
                    return self.root
        finally:
            loader.dispose()

    def at(self, event: Any) -> int:
        return pack(event.start_mark.line + 1, event.start_mark.column + 1)

    def opened(self) -> int:
        """The line of the innermost [ or { that is still open; 0 if none is."""
        return next((unpack(frame.place).line for frame in reversed(self.stack) if frame.flow), 0)

    def path(self) -> str:
        """The dotted path of the value that comes next, or of the collection whose key comes next."""
        steps: list[Step] = []
        for frame in self.stack:
            if isinstance(frame.container, Items):
                steps.append(len(frame.container))
            elif isinstance(frame.key, str):
                steps.append(frame.key)
        return dotted(steps)

    def at_key(self) -> bool:
        """Whether a key comes next."""
        return (
            bool(self.stack)
            and self.stack[-1].key is _NO_KEY
            and isinstance(self.stack[-1].container, Entries)
        )

    def path_of_key(self, key: str) -> str:
        path = self.path()
        return f"{path}.{key}" if path else key

    def note(self, place: int, what: str, todo: str, path: Optional[str] = None) -> None:
        position = unpack(place)
        where = self.path() if path is None else path
        self.problems.append(Problem(self.file, position.line, position.column, where, what, todo))
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Stop(too_many(self.file))

    def stop(self, event: Any, what: str, todo: str) -> None:
        position = unpack(self.at(event))
        raise _Stop(Problem(self.file, position.line, position.column, self.path(), what, todo))

    def untagged(self, event: Any, place: int) -> None:
        if event.tag is not None:
            self.note(
                place,
                "YAML tags (words that begin with !) have no meaning here",
                "Remove it; for a text, use quotes.",
            )
            self.refused.add(place)

    def scalar(self, event: Any) -> None:
        place = self.at(event)
        word = event.value
        value: object = word
        self.untagged(event, place)
        if len(word) > MAX_TEXT:
            self.stop(event, f"a text of {len(word):,} characters is too long", "Is this the right file?")
        if event.implicit[0] and event.tag is None:
            value, wrong = scalars.meaning(word)
            if wrong is not None:
                self.note(place, *wrong, self.path_of_key(word) if self.at_key() else None)
                self.refused.add(place)
        self.add(value, place, 1, 0, event.anchor)

    def open(self, event: Any, container: Union[Entries, Items]) -> None:
        place = self.at(event)
        self.untagged(event, place)
        if len(self.stack) >= syntax.MAX_DEPTH:
            self.stop(event, *syntax.TOO_DEEP)
        self.stack.append(_Frame(container, place, event.anchor, bool(event.flow_style)))

    def close(self) -> None:
        frame = self.stack.pop()
        if isinstance(frame.container, Entries):
            self.merge(frame)
        self.add(frame.container, frame.place, frame.size, frame.height, frame.anchor)

    def alias(self, event: Any) -> None:
        name = printable(event.anchor[:40])
        if any(frame.anchor == event.anchor for frame in self.stack):
            self.stop(event, f"*{name} stands inside &{name} itself", "Write out what it stands for.")
        if event.anchor not in self.anchors:
            todo = f"Write &{name} before what it stands for; put a text that begins with * in quotes."
            self.stop(event, f"*{name} stands for nothing: there is no &{name} above it", todo)
        value, size, height = self.anchors[event.anchor]
        if len(self.stack) + height > syntax.MAX_DEPTH:
            self.stop(
                event,
                f"with its aliases it is nested more than {syntax.MAX_DEPTH} deep",
                "Use fewer aliases.",
            )
        self.add(value, self.at(event), size, height, None)

    def add(self, value: object, place: int, size: int, height: int, anchor: Optional[str]) -> None:
        """Put a value that is complete where it belongs."""
        if anchor is not None:
            self.anchors[anchor] = (value, size, height)
        if not self.stack:
            self.root = value
            return
        frame = self.stack[-1]
        frame.size += size
        frame.height = max(frame.height, height + 1)
        if frame.size > MAX_VALUES:
            position = unpack(place)
            what = f"it holds more than {MAX_VALUES:,} values, aliases included"
            raise _Stop(Problem(self.file, position.line, position.column, "", what, "Use fewer aliases."))
        container = frame.container
        if isinstance(container, Items):
            container.append(value)
            container.places.append(place)
        elif frame.key is _NO_KEY:
            frame.key, frame.key_place = self.as_key(value, place), place
        else:
            if frame.key is not _BAD_KEY:
                self.put(container, str(frame.key), value, frame.key_place, place)
            frame.key = _NO_KEY

    def as_key(self, value: object, place: int) -> object:
        if isinstance(value, str):
            return value
        if isinstance(value, (Entries, Items)):
            self.note(place, "a list or a mapping cannot be a key", "Write a name before the colon.")
            return _BAD_KEY
        if value is None:
            self.note(
                place, "there is no name before the colon", "Write one; for the word null, put it in quotes."
            )
            return _BAD_KEY
        word = str(value).lower()
        todo = f'Put it in quotes: "{word}".'
        self.note(place, f"the name {word} is not a text", todo, self.path_of_key(word))
        return word

    def put(self, container: Entries, key: str, value: object, key_place: int, place: int) -> None:
        if key in container:
            first = unpack(container.places[key][0])
            what = f"{printable(key[:60])} is already there, in line {first.line}"
            self.note(key_place, what, "Keep one of the two.")
            return
        container[key] = value
        container.places[key] = (key_place, place)

    def merge(self, frame: _Frame) -> None:
        """Carry out YAML's merge key ``<<``: what the mapping has itself goes first."""
        container = frame.container
        if not isinstance(container, Entries) or "<<" not in container:
            return
        place = container.places.pop("<<")[0]
        merged = container.pop("<<")
        for source in merged if isinstance(merged, Items) else [merged]:
            if not isinstance(source, Entries):
                self.note(place, "<< takes a mapping, or a list of mappings", "Write <<: *name.")
                continue
            for key, value in source.items():
                if key not in container:
                    container[key] = value
                    container.places[key] = source.places[key]
