"""A strict reader of DER, as small as an attribute certificate needs.

Only definite lengths in their shortest form and one-byte tags are read; nothing may follow an element that is
expected to be alone. So there is one way to write a thing, and what was signed is what is read.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Optional

BOOLEAN, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x01, 0x02, 0x03, 0x04, 0x06
UTC_TIME, GENERALIZED_TIME, SEQUENCE, SET = 0x17, 0x18, 0x30, 0x31


class DerError(ValueError):
    """Bytes that are not the DER they should be."""


@dataclass(frozen=True)
class Element:
    """One tag, length and value; ``raw`` is the whole of it as it was read."""

    tag: int
    body: bytes
    raw: bytes

    def expect(self, tag: int) -> Element:
        """This element, if it has the tag; else DerError."""
        if self.tag != tag:
            raise DerError(f"tag {self.tag:#04x} where {tag:#04x} belongs")
        return self

    def children(self, tag: Optional[int] = None) -> tuple[Element, ...]:
        """The elements inside; all of the element's body must be elements."""
        if tag is not None:
            self.expect(tag)
        if not self.tag & 0x20:
            raise DerError(f"tag {self.tag:#04x} holds no elements")
        found, at = [], 0
        while at < len(self.body):
            element, at = _read(self.body, at)
            found.append(element)
        return tuple(found)

    def integer(self) -> int:
        body = self.expect(INTEGER).body
        if not body or (len(body) > 1 and (body[0], body[1] & 0x80) in ((0, 0), (0xFF, 0x80))):
            raise DerError("integer is not in its shortest form")
        return int.from_bytes(body, "big", signed=True)

    def boolean(self) -> bool:
        body = self.expect(BOOLEAN).body
        if body not in (b"\x00", b"\xff"):
            raise DerError("boolean is neither true nor false")
        return body == b"\xff"

    def oid(self) -> str:
        body = self.expect(OID).body
        if not body or body[-1] & 0x80 or len(body) > 40:
            raise DerError("bad object identifier")
        numbers, value, fresh = [], 0, True
        for byte in body:
            if fresh and byte == 0x80:
                raise DerError("object identifier is not in its shortest form")
            value, fresh = value << 7 | byte & 0x7F, not byte & 0x80
            if fresh:
                numbers.append(value)
                value = 0
        first = min(numbers[0] // 40, 2)
        return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

    def bits(self) -> bytes:
        """The octets of a bit string that has no unused bits."""
        body = self.expect(BIT_STRING).body
        if not body or body[0] != 0:
            raise DerError("bit string has unused bits")
        return body[1:]

    def ascii(self) -> str:
        """The body as ASCII text without control characters."""
        try:
            text = self.body.decode("ascii")
        except UnicodeDecodeError as error:
            raise DerError("text is not ASCII") from error
        if not text.isprintable():
            raise DerError("text holds control characters")
        return text

    def time(self) -> dt.datetime:
        """A GeneralizedTime in UTC, to the second."""
        text = self.expect(GENERALIZED_TIME).body
        if len(text) != 15 or not text[:14].isdigit() or text[14:] != b"Z":
            raise DerError("time is not YYYYMMDDhhmmssZ")
        try:
            return dt.datetime.strptime(text.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=dt.timezone.utc)
        except ValueError as error:
            raise DerError("no such time") from error


def read(data: bytes) -> Element:
    """The one element that ``data`` is; DerError if something follows it."""
    element, end = _read(data, 0)
    if end != len(data):
        raise DerError(f"{len(data) - end} bytes follow the element")
    return element


def _read(data: bytes, at: int) -> tuple[Element, int]:
    if len(data) - at < 2:
        raise DerError("truncated")
    tag, length, start = data[at], data[at + 1], at + 2
    if tag & 0x1F == 0x1F:
        raise DerError("tag of more than one byte")
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 4 or len(data) - start < count:
            raise DerError("bad length")
        length = int.from_bytes(data[start : start + count], "big")
        if length < 0x80 or length >> 8 * (count - 1) == 0:
            raise DerError("length is not in its shortest form")
        start += count
    end = start + length
    if end > len(data):
        raise DerError("truncated")
    return Element(tag, data[start:end], data[at:end]), end
