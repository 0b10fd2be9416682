"""VOMS attribute names: their long form, and the patterns that site.yml and a voms-mapfile match them with.

An FQAN is ``/VO[/group...][/Role=role][/Capability=capability]``. A VOMS server writes all of it, with
``NULL`` for what is not set; people leave that out. Both are compared in the long form, so that ``/cms``
means the plain members of cms and nobody else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Optional

_WORD = "[A-Za-z0-9_.-]+"
_VO = "[A-Za-z0-9][A-Za-z0-9_.-]*"
_LONGEST = 1024
_FQAN = re.compile(
    rf"(?P<group>/{_VO}(?:/{_WORD})*)(?:/Role=(?P<role>{_WORD}))?(?:/Capability=(?P<capability>{_WORD}))?"
)
_FIRST = re.compile(rf"/(?P<vo>{_VO})(?=/|\Z)")
_PATTERN = re.compile(r"/[A-Za-z0-9_.*=/-]+")
_NOTHING = "/Role=NULL/Capability=NULL"


def long_form(fqan: str) -> Optional[str]:
    """The FQAN with its role and capability written out; None if VOMS could never have issued it."""
    found = _FQAN.fullmatch(fqan)
    if found is None:
        return None
    return f"{found['group']}/Role={found['role'] or 'NULL'}/Capability={found['capability'] or 'NULL'}"


def vo_of(fqan: str) -> Optional[str]:
    """The VO that an FQAN or a pattern speaks of: its first component; None if it names none."""
    found = _FIRST.match(fqan)
    return found["vo"] if found else None


def problem(pattern: str) -> str:
    """Why nobody may be let in by this pattern; empty if it is sound."""
    if not pattern.startswith("/"):
        return "an FQAN starts with /, as in /cms/Role=production"
    if not _PATTERN.fullmatch(pattern):
        return "an FQAN holds letters, digits and _ . - = / only; * stands for any characters"
    if vo_of(pattern) is None:
        return "the first part must name one VO in full: with * in it, members of other VOs would match"
    if len(pattern) > _LONGEST:
        return f"it is longer than {_LONGEST} characters"
    if "//" in pattern or pattern.endswith("/"):
        return "an empty part between two / never matches"
    if "*" not in pattern and long_form(pattern) is None:
        return "the order is /VO/group/Role=role/Capability=capability"
    return ""


@dataclass(frozen=True)
class Pattern:
    """A pattern ready to be matched, in time linear in the FQAN's length whatever the number of ``*``."""

    text: str  # as it was written
    long: str  # as it is compared
    vo: str  # first component, never a wildcard
    pieces: tuple[str, ...]  # what stands between the *

    @classmethod
    def of(cls, text: str) -> Pattern:
        """The pattern; ValueError, with the reason, if it is not sound."""
        wrong = problem(text)
        if wrong:
            raise ValueError(wrong)
        long = _long_pattern(text)
        return cls(text, long, str(vo_of(text)), tuple(long.split("*")))

    def matches(self, fqan: str) -> bool:
        """Whether an FQAN in its long form fits. ``*`` stands for any characters, ``/`` among them."""
        return fits(self.pieces, fqan)

    def covers(self, other: Pattern) -> bool:
        """Whether every FQAN that fits ``other`` fits this too. (A no may be wrong where both hold ``*``.)"""
        return fits(self.pieces, other.long)


def fits(pieces: tuple[str, ...], text: str) -> bool:
    """Whether the pieces stand in ``text`` in this order, the first at its start and the last at its end."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, last = pieces[0], pieces[-1]
    if len(text) < len(first) + len(last) or not text.startswith(first) or not text.endswith(last):
        return False
    at, end = len(first), len(text) - len(last)
    for piece in pieces[1:-1]:
        at = text.find(piece, at, end)
        if at < 0:
            return False
        at += len(piece)
    return True


def _long_pattern(text: str) -> str:
    """A pattern whose end is written out as VOMS would, unless a closing ``*`` leaves it open."""
    if "*" not in text:
        return str(long_form(text))
    if text.endswith("*") or "/Capability=" in text:
        return text
    return f"{text}/Capability=NULL" if "Role=" in text else f"{text}{_NOTHING}"
