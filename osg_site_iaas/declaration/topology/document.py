"""XML from elsewhere, read with care: no document types, no entities, bounded in size, depth and elements."""

from __future__ import annotations

from typing import Iterator, Optional
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from osg_site_iaas.errors import SiteError

LARGEST = 64 * 1024 * 1024  # bytes; the real documents are below 2 MB
_DEEPEST = 64  # nested elements; the real documents have 8
_MOST = 2_000_000  # elements

_ABSENT = "(Information not available)"  # what Topology writes for what it does not know


class _Refused(Exception):
    """A document that is no document of ours; its text says why."""


def parse(data: bytes, where: str, root: str) -> Element:
    """The root element of a document, which must be called ``root``; SiteError, saying what it is instead, if not."""
    if len(data) > LARGEST:
        raise _error(where, f"it is larger than {LARGEST // 1024 // 1024} MiB", root)
    if not data.strip():
        raise _error(where, "it is empty", root)
    try:
        tree = _tree(data)
    except _Refused as refused:
        raise _error(where, str(refused), root) from refused
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        what = expat.errors.messages.get(error.code, "not well-formed")
        raise _error(where, f"its XML breaks off at {place}: {what}", root) from error
    except (ValueError, LookupError) as error:  # an encoding that Python does not know either
        raise _error(where, f"its encoding cannot be read: {error}", root) from error
    if tree.tag != root:
        what = (
            "it is a web page"
            if tree.tag.lower() == "html"
            else f"its root element is <{clean(tree.tag)[:60]}>"
        )
        raise _error(where, f"{what}, not <{root}>", root)
    return tree


def text(element: Optional[Element], path: str = ".") -> Optional[str]:
    """The text at a path on one line, or None if there is no such element or it says nothing."""
    found = element.find(path) if element is not None else None
    words = clean(found.text or "") if found is not None else ""
    return words if words and words != _ABSENT else None


def flag(element: Element, path: str, absent: bool) -> bool:
    """Whether the element at a path says ``true``."""
    words = text(element, path)
    return absent if words is None else words.lower() == "true"


def number(element: Element, path: str) -> int:
    """The whole number at a path; 0 if there is none."""
    words = text(element, path) or ""
    return int(words) if words.isascii() and words.isdigit() and len(words) < 19 else 0


def children(element: Optional[Element], path: str) -> Iterator[Element]:
    """The elements at a path, in order."""
    return iter(element.findall(path) if element is not None else ())


def clean(words: str) -> str:
    """Text fit for one line of a file: no line ends, no control characters, no blanks at its ends or in a row."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(words.split()))


def _tree(data: bytes) -> Element:
    builder = TreeBuilder()
    depth, count = 0, 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth, count
        depth, count = depth + 1, count + 1
        if depth > _DEEPEST:
            raise _Refused(f"its elements are nested more than {_DEEPEST} deep")
        if count > _MOST:
            raise _Refused(f"it has more than {_MOST} elements")
        builder.start(tag, attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        builder.end(tag)

    def doctype(name: str, *_: object) -> None:
        # Topology's documents have none; with one come entities, which can grow without bound or read files.
        page = name.lower() == "html"
        raise _Refused("it is a web page, not XML of Topology" if page else "it declares a document type")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = doctype
    parser.Parse(data, True)
    return builder.close()


def _error(where: str, what: str, root: str) -> SiteError:
    served = {"ResourceSummary": "/rgsummary/xml", "VOSummary": "/vosummary/xml"}.get(root, "")
    todo = f"get it again from OSG Topology ({served}); it begins with <{root}" if served else None
    return SiteError(what, where=where, todo=todo)
