"""An older site.yml in today's format, with its comments where its layout allows.

A format is migrated one version at a time. To add a step from version N, write one function that says which
changes lead from N to N + 1, and put it into MIGRATIONS.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping

import yaml

from osg_site_iaas.declaration import edit, parse, read, schema
from osg_site_iaas.declaration.edit import Change, KeyBy, Put, Rename
from osg_site_iaas.declaration.read import Document
from osg_site_iaas.errors import DeclarationError, Problem, SiteError


def from_0(data: Mapping[str, Any]) -> Iterator[Change]:
    """The draft, before there was a release: ``flavors``, and ``vos`` as a list of entries with a ``name``.

    A file without a version is taken for a draft.
    """
    if "flavors" in data:
        yield Rename(("flavors",), "flavours")
    if isinstance(data.get("vos"), list):
        yield KeyBy(("vos",), "name")


MIGRATIONS: Mapping[int, Callable[[Mapping[str, Any]], Iterator[Change]]] = {0: from_0}


@dataclass(frozen=True)
class Migrated:
    """A declaration in today's format."""

    text: str
    version: int  # what it was; today's if nothing had to be done
    comments_kept: bool = True  # False: it is written anew, with the same meaning and no comments


def migrate(file: str, raw: bytes) -> Migrated:
    """The declaration in ``raw`` in today's format; DeclarationError if it cannot be understood.

    ``file`` is what problems call it.
    """
    name = read.printable(file)
    text, unreadable = read.read_text(name, raw)
    if unreadable is not None:
        raise DeclarationError([unreadable])
    document = _read(name, text)
    version = before = _version(document)
    kept = True
    while version < schema.VERSION:
        for change in (*MIGRATIONS[version](_mapping(document)), Put("version", version + 1)):
            text, step_kept = _step(document, text, change)
            kept = kept and step_kept
            document = _read(name, text)
        version += 1
    return Migrated(text, before, kept)


def _step(document: Document, text: str, change: Change) -> tuple[str, bool]:
    """The text after a change, and whether it is still the same hand's."""
    try:
        data = change.to_data(document.data)
    except edit.Impossible as impossible:
        raise DeclarationError(
            [document.problem(impossible.path, impossible.what, impossible.todo)]
        ) from impossible
    try:
        changed = change.to_text(text)
        if _same(parse.parse(document.file, changed), data):
            return changed, True
    except (edit.Unforeseen, yaml.YAMLError, StopIteration):
        pass
    return _anew(document, data), False


def _same(document: Document, data: Any) -> bool:
    """Whether a text means what it should, to the order of its keys."""
    return not document.problems and _ordered(document.data) == _ordered(data)


def _ordered(data: Any) -> Any:
    if isinstance(data, dict):
        # An entry in which nothing is said may be written as an empty mapping, or as nothing.
        return [(key, _ordered(value)) for key, value in data.items()] or _ordered(None)
    return [_ordered(item) for item in data] if isinstance(data, list) else (type(data), data)


def _anew(document: Document, data: Any) -> str:
    for allow_unicode in (True, False):  # with it PyYAML reads better, and loses some line ends
        text = yaml.safe_dump(_plain(data), sort_keys=False, allow_unicode=allow_unicode, width=110)
        if _same(parse.parse(document.file, text), data):
            return text
    raise SiteError(
        "it cannot be written anew", where=document.file, todo="Change it by hand: see docs/declaration.md."
    )


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    return [_plain(item) for item in data] if isinstance(data, list) else data


def _read(name: str, text: str) -> Document:
    document = parse.parse(name, text)
    if document.problems:
        raise DeclarationError(document.problems)
    if not isinstance(document.data, read.Entries):
        raise DeclarationError([Problem(name, 1, 1, "", "this is no declaration", "Is this the right file?")])
    return document


def _mapping(document: Document) -> Mapping[str, Any]:
    data: Any = document.data
    found: Mapping[str, Any] = data
    return found


def _version(document: Document) -> int:
    """The version of a document; none is that of the draft."""
    version = _mapping(document).get("version", 0)
    if isinstance(version, bool) or not isinstance(version, int) or version < 0:
        what = "the version is a whole number"
        raise DeclarationError([document.problem(("version",), what, f"Write 0 to {schema.VERSION}.")])
    if version > schema.VERSION:
        what = f"the file has version {version}, and this osg-site-iaas knows {schema.VERSION} at most"
        raise DeclarationError([document.problem(("version",), what, "Update osg-site-iaas.")])
    return version
