"""Known words in whatever way something has written them: quoted, escaped, in a URL, in base64.

``Forms`` finds and takes out; ``holds`` looks again by undoing the encodings instead, so that neither trusts the other.
Both are linear in the text: what is searched is fixed words and bounded repeats.
"""

from __future__ import annotations

import base64
import html
import json
import re
from functools import lru_cache
from typing import Callable, Collection, Iterable, Iterator, Mapping, Optional
from urllib.parse import quote, quote_plus, unquote

SHORTEST = 6  # a shorter word would take half the text with it
_PIECE = 128  # characters; a longer word is searched in pieces of this length, each of which goes
_START = 7  # characters of base64: so many at least say something of the shortest word alone
_ANCHOR = re.compile(r"[A-Za-z0-9]+")
_REST = re.compile(
    r"(?:[A-Za-z0-9+/_-]|%2[bBfF]|\\/){0,65536}(?:=|%3[dD]){0,2}"
)  # of base64, as it stands in texts
_BLOB = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/_-%")


class Forms:
    """Words to be searched together in many texts, with what shall stand in their place."""

    def __init__(self, words: Iterable[str], instead: Callable[[str], str]) -> None:
        """``instead`` gets the word that was found."""
        self._instead = instead
        self._parts = [
            (part, word) for word in sorted(set(words), key=len, reverse=True) for part in pieces(word)
        ]
        self._coded: dict[
            str, set[tuple[str, str]]
        ] = {}  # how a base64 text of it begins -> that, and the word
        for part, word in self._parts:
            for core in cores(part):
                self._coded.setdefault(core[:_START], set()).add((core, word))

    def replace(self, text: str) -> str:
        """The text without the words; of base64 the whole blob goes."""
        for part, word in self._parts:
            if _may_have(text, part):
                text = re.sub(_alternatives(part), lambda _, word=word: self._instead(word), text)  # type: ignore[misc]
        stream = _stream(text)
        starts = {stream[at : at + _START] for at in range(len(stream))} & self._coded.keys()
        for core, word in sorted(one for start in starts for one in self._coded[start]):
            text = _without_blobs(text, core, self._instead(word))
        return text


def without(text: str, words: Collection[str], instead: str) -> str:
    """The text without the lines in which ``holds`` finds a word: the last resort."""
    return "\n".join(_lines_without(text.split("\n"), words, instead))


def _lines_without(lines: list[str], words: Collection[str], instead: str) -> list[str]:
    if holds("\n".join(lines), words) is None:
        return lines
    if len(lines) == 1:
        return [instead]
    middle = len(lines) // 2
    first, last = (_lines_without(half, words, instead) for half in (lines[:middle], lines[middle:]))
    taken = 1
    while holds("\n".join([*first, *last]), words) is not None:  # it begins in one half and ends in the other
        first, last = [*first[:-taken], instead], [instead, *last[taken:]]
        taken *= 2
        if taken > 2 * len(lines):
            return [instead]
    return [*first, *last]


def _without_blobs(text: str, core: str, instead: str) -> str:
    kept, done = [], 0
    for found in re.finditer(_alternatives(core), text):
        if found.start() < done:
            continue
        start = found.start()
        while start > done and text[start - 1] in _BLOB:
            start -= 1
        rest = _REST.match(text, found.end())
        kept += [text[done:start], instead]
        done = rest.end() if rest else found.end()
    return "".join([*kept, text[done:]])


def pieces(word: str) -> Iterator[str]:
    """What is searched for a word: itself, or where it is long all of its parts; nothing where it is too short."""
    for part in re.split(r"[\x00-\x1f\x7f-\x9f]+", word):
        part = part.strip()
        for start in range(0, len(part), _PIECE) if len(part) > 2 * _PIECE else (0,):
            found = part[start : start + _PIECE] if len(part) > 2 * _PIECE else part
            if len(found) >= SHORTEST:
                yield found


def cores(word: str) -> Iterator[str]:
    """The characters that are in any base64 text of the word, whatever stands before and after it there.

    The word may have been encoded otherwise before, or once in base64 already. And its hexadecimal digits.
    """
    written = {word.encode("utf-8", "surrogatepass"), *_in_bytes(word)}
    for data in sorted(written):
        for core in _aligned(data):
            yield core
            for alphabet in {core, core.replace("+", "-").replace("/", "_")}:
                yield from _aligned(alphabet.encode())
        yield from (data.hex(), data.hex().upper())


def _aligned(data: bytes) -> Iterator[str]:
    for before, lost in ((0, 0), (1, 2), (2, 3)):
        whole = base64.b64encode(b"\0" * before + data).decode()
        yield whole[lost : (before + len(data)) * 8 // 6]


def _in_bytes(word: str) -> Iterator[bytes]:
    in_urls = (
        quote(word, safe="", errors="replace"),
        quote(word, errors="replace"),
        quote_plus(word, errors="replace"),
    )
    for way in (*in_urls, json.dumps(word)[1:-1], json.dumps(word, ensure_ascii=False)[1:-1], html.escape(word),
                repr(word)[1:-1], ascii(word)[1:-1], word.replace("'", "''")):  # fmt: skip
        yield way.encode("utf-8", "surrogatepass")
    if all(ord(one) < 256 for one in word):
        yield word.encode("latin-1")


def holds(text: str, words: Iterable[str]) -> Optional[str]:
    """One of the words that the text still holds in some encoding, or in two over another; None if there is none."""
    parts = {part for word in words for part in pieces(word)}
    undo = (*_UNDO, _UNDO_SPACES) if any(" " in part for part in parts) else _UNDO
    return next((part for layer in _layers(text, undo) for part in parts if part in layer), None)


def _layers(text: str, undo: Collection[Callable[[str], Iterator[str]]]) -> Iterator[str]:
    """The text, and what it is with one or two encodings undone."""
    yield text
    seen = {text}
    for first in undo:
        for once in first(text):
            for layer in (once, *(twice for second in undo for twice in second(once))):
                if layer not in seen:
                    seen.add(layer)
                    yield layer


_ONE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^\w\s]))")
_ESCAPED = re.compile(rf"\\*{_ONE.pattern}")  # JSON in JSON in JSON


_CODED = re.compile(r"[A-Za-z0-9+/]{6,}")
_READABLE = re.compile(rb"[\x20-\x7e\x80-\xff]{6,}")


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)


def _unescape_one(text: str) -> str:
    return _ONE.sub(lambda found: found[3] or chr(int(found[1] or found[2], 16)), text)


def _stream(text: str) -> str:
    """All longer words that are of base64's letters, in its usual alphabet, without what separates them."""
    plain = re.sub(r"\\[rn]|%2[bBfF]", lambda found: {"b": "+", "f": "/"}.get(found[0][-1].lower(), ""), text)
    return "".join(_CODED.findall(plain.replace("-", "+").replace("_", "/").replace("\\/", "/")))


def _from_base64(text: str) -> Iterator[str]:
    """All that its longer words may be the base64 of, at each of the places where one may begin."""
    stream = _stream(text) + "AAAA"
    for start in range(4):
        data = base64.b64decode(stream[start : start + (len(stream) - start) // 4 * 4])
        yield b"\n".join(_READABLE.findall(data)).decode("utf-8", "replace")
    for start in range(2):
        digits = "".join(re.findall(r"(?:[0-9a-fA-F]{2}){6,}", text[start:]))
        yield b"\n".join(_READABLE.findall(bytes.fromhex(digits))).decode("utf-8", "replace")


def _where(marks: str, undo: Callable[[str], str]) -> Callable[[str], Iterator[str]]:
    """Only lines that have one of the marks are looked at; they are few."""
    marked = re.compile(rf"[^\n]*(?:{marks})[^\n]*")
    return lambda text: iter([undo("\n".join(marked.findall(text)))])


_UNDO: tuple[Callable[[str], Iterator[str]], ...] = (
    _where("%", unquote),
    _where(r"\\", _unescape),
    _where(r"\\", _unescape_one),
    _where("&", html.unescape),
    _where("''", lambda text: text.replace("''", "'")),
    _from_base64,
)
_UNDO_SPACES = _where(r"\+", lambda text: unquote(text.replace("+", " ")))  # every time of day has a plus


def _may_have(text: str, word: str) -> bool:
    """Whether the text has all parts of the word that no encoder touches: else it has not the word."""
    return all(part in text for part in _ANCHOR.findall(word))


@lru_cache(maxsize=4096)
def _alternatives(word: str) -> str:
    parts = re.findall(r"\\+|.", word, re.S)
    return "".join(re.escape(one) if one.isascii() and one.isalnum() else _ways(one) for one in parts)


_BACKSLASHES = (
    r"(?:\\|%5[cC]|%255[cC]|%26%2392%3B|&(?:amp;)?#92;|&(?:amp;)?#[xX]5[cC];|\\[ux](?:00)?5[cC]){1,256}"
)
_QUOTED: Mapping[str, tuple[str, ...]] = {
    "'": ("''", "''''", "'\"'\"'", r"'\''", "&apos;", "&#x27;"),
    " ": ("+",),
    "+": ("-",),  # base64 that is safe in URLs
    "/": ("_",),
}


@lru_cache(maxsize=4096)
def _ways(one: str) -> str:
    """The ways to write a character that is not a plain letter or digit, in one encoding or in one over another."""
    if one[0] == "\\":  # each encoding doubles them
        return _BACKSLASHES
    once = {one, *_encoded(one), *_QUOTED.get(one, ())}
    twice = once | {further for way in once for further in _encoded(way)}
    written = sorted(twice, key=len, reverse=True)
    backslashes = r"\\{0,16}" if one.isascii() else ""  # JSON in JSON in a log; a shell's
    return f"(?:{backslashes}(?:{'|'.join(map(re.escape, written))}))"


def _encoded(way: str) -> set[str]:
    octets = "".join(f"%{octet:02X}" for octet in way.encode("utf-8", "surrogatepass"))
    numbers = [ord(one) for one in way]
    found = {
        quote(way, safe="", errors="replace"), quote_plus(way, errors="replace"), octets,
        json.dumps(way)[1:-1], json.dumps(way, ensure_ascii=False)[1:-1], repr(way)[1:-1], ascii(way)[1:-1],
        "".join(f"\\u{number:04x}" if number < 0x10000 else chr(number) for number in numbers),
        "".join(f"\\x{number:02x}" if number < 256 else chr(number) for number in numbers),
        "".join(f"\\x{octet:02x}" for octet in way.encode("utf-8", "surrogatepass")),
        html.escape(way), html.escape(way, quote=False), "".join(f"&#{number};" for number in numbers),
        "".join(f"&#x{number:x};" for number in numbers),
    }  # fmt: skip
    if len(way) == 1:  # hexadecimal digits come in both cases
        found |= {
            octets.lower(),
            f"\\u{ord(way):04X}",
            f"\\x{ord(way):02X}",
            f"&#x{ord(way):X};",
            f"&#X{ord(way):X};",
        }
    return found
