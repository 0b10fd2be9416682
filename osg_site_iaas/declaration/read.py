"""A file's bytes and text, and plain data in which every value knows its place."""

from __future__ import annotations

import re
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping, Optional, Sequence, Union

from osg_site_iaas.declaration.model import Position
from osg_site_iaas.errors import DeclarationError, Problem

MAX_PROBLEMS = 5000  # who reads more?
MAX_BYTES = 8 * 1024 * 1024  # twenty times a site of 1,000 VOs

Step = Union[str, int]
_CONTROL = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)  # YAML's own list
_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")  # what YAML 1.1 counts as one
_PLACE_BITS = 24  # a place is line << 24 | column
_COLUMN = (1 << _PLACE_BITS) - 1


class Entries(dict):  # type: ignore[type-arg]  # values are what YAML holds
    """A mapping that knows where its keys and values stand."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: dict[str, tuple[int, int]] = {}


class Items(list):  # type: ignore[type-arg]  # values are what YAML holds
    """A list that knows where its items stand."""

    __slots__ = ("places",)

    def __init__(self) -> None:
        super().__init__()
        self.places: list[int] = []


class Positions(Mapping[str, Position]):
    """Dotted path (``vos.cms.access[0].fqan``) to place: of a scalar its own, of anything else its key's."""

    def __init__(self, data: object) -> None:
        self._places: dict[str, int] = {}
        self._collect("", data)

    def _collect(self, prefix: str, data: object) -> None:
        if isinstance(data, Entries):
            for key, value in data.items():
                path = f"{prefix}.{key}" if prefix else str(key)
                key_place, value_place = data.places[key]
                nested = isinstance(value, (Entries, Items)) or value is None
                self._places[path] = key_place if nested else value_place
                if nested:
                    self._collect(path, value)
        elif isinstance(data, Items):
            for index, value in enumerate(data):
                path = f"{prefix}[{index}]"
                self._places[path] = data.places[index]
                self._collect(path, value)

    def __getitem__(self, path: str) -> Position:
        return unpack(self._places[path])

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


@dataclass(frozen=True)
class Document:
    """What a file holds, and what was already found wrong with it while reading."""

    file: str
    data: object
    problems: tuple[Problem, ...] = ()
    refused: frozenset[int] = field(
        default=frozenset(), repr=False
    )  # places of words that are already problems

    def problem(self, path: Sequence[Step], what: str, todo: str = "", *, key: bool = False) -> Problem:
        """A problem at a path; ``key`` points at the key rather than at its value."""
        position = unpack(self.place(path, key=key))
        return Problem(self.file, position.line, position.column, dotted(path), what, todo)

    def place(self, path: Sequence[Step], *, key: bool = False) -> int:
        """The place of a path, or of the nearest thing around it that is in the file."""
        data, place = self.data, 1 << _PLACE_BITS | 1
        for number, step in enumerate(path):
            if isinstance(data, Entries) and step in data:
                value = dict.__getitem__(data, step)
                key_place, value_place = data.places[str(step)]
                last = number == len(path) - 1
                nested = isinstance(value, (Entries, Items)) or value is None
                place = key_place if nested or (key and last) else value_place
            elif isinstance(data, Items) and isinstance(step, int) and step < len(data):
                value = data[step]
                place = data.places[step]
            else:
                break
            data = value
        return place


def dotted(path: Sequence[Step]) -> str:
    """The path as people read it: ``vos.cms.access[0].fqan``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def pack(line: int, column: int) -> int:
    """A place as one number, which takes a tenth of an object's memory."""
    return line << _PLACE_BITS | min(column, _COLUMN)


def unpack(place: int) -> Position:
    """A packed place, unpacked."""
    return Position(place >> _PLACE_BITS, place & _COLUMN)


def read_bytes(path: Path) -> bytes:
    """The file's bytes, one more than may be read at most; DeclarationError if they cannot be had."""
    try:
        if stat.S_ISDIR(path.stat().st_mode):
            raise _unreadable(path, "this is a folder, not a file", f"Name the file: {path / 'site.yml'}.")
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        todo = "Name an existing file, or write one with `osg-site-iaas init`."
        raise _unreadable(path, "there is no such file", todo) from error
    except PermissionError as error:
        todo = "Read it as a user who may, or change its mode."
        raise _unreadable(path, "it may not be read", todo) from error
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        raise _unreadable(path, f"it cannot be read: {words}", "Name a file that can be read.") from error


def _unreadable(path: Path, what: str, todo: str) -> DeclarationError:
    return DeclarationError([Problem(printable(str(path)), 0, 0, "", what, todo)])


def printable(text: str, keep: str = "") -> str:
    """The text with whatever could steer a terminal, or a JSON writer could not take, escaped, but for ``keep``.

    Names in OpenStack and in grids are written by others: an ESC, a line end or a bidi control would be theirs.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else ascii(char)[1:-1] for char in text)


def too_many(file: str) -> Problem:
    """What ends a list of problems that nobody would read to its end."""
    what = f"there are more than {MAX_PROBLEMS:,} problems, and these are some"
    return Problem(file, 0, 0, "", what, "Is this the right file?")


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """Line and column, from 1, of a character of the text."""
    ends = [match.end() for match in _LINE_END.finditer(text, 0, index)]
    return len(ends) + 1, index - (ends[-1] if ends else 0) + 1


def read_text(file: str, raw: bytes) -> tuple[str, Optional[Problem]]:
    """The file's text, or what is wrong with its bytes."""

    def wrong(what: str, todo: str, line: int = 0, column: int = 0) -> tuple[str, Problem]:
        return "", Problem(file, line, column, "", what, todo)

    if len(raw) > MAX_BYTES:
        return wrong(f"it is larger than {MAX_BYTES // 1024 // 1024} MiB", "Is this the right file?")
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return wrong("it is written in UTF-16", "Save it as UTF-8.")
    if b"\0" in raw:
        return wrong("it is binary, not text", "Is this the right file?")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        line = before.count(b"\n") + 1
        column = len(before.rpartition(b"\n")[2].decode("utf-8", "replace")) + 1
        return wrong(f"byte 0x{raw[error.start]:02x} is not UTF-8", "Save the file as UTF-8.", line, column)
    control = _CONTROL.search(text)
    if control is not None:
        line, column = line_and_column(text, control.start())
        what = f"there is a control character (U+{ord(control[0]):04X})"
        return wrong(what, "Remove it; most editors can show it.", line, column)
    if not text.strip():
        return wrong("it is empty", "Begin with `osg-site-iaas init`, or with examples/minimal.yml.")
    return text, None
