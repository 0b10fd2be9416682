"""Which of many lines fits first, without trying them one by one.

Nothing here decides anything that a loop over the lines would not: ``table`` says what a line means, this finds
it. Positions are those in the table, so the smallest one that fits is the one that decides.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Callable, Iterable, Optional, Sequence

from osg_site_iaas.declaration import fqan
from osg_site_iaas.mapping.credential import Token

Pieces = tuple[str, ...]  # what stands between the * of a pattern
Accept = Callable[[int], bool]


@dataclass(frozen=True)
class _Entry:
    order: int
    rare: str  # a piece that few others have; a text without it cannot fit
    pieces: Pieces


class Patterns:
    """Patterns with ``*``, found by what they begin and end with.

    Few patterns begin *and* end like a text. Those are gone through, and most of them fall at the one piece
    between two ``*`` that they share with the fewest others: a search for it costs less than a comparison.
    """

    def __init__(self, patterns: Iterable[tuple[int, Pieces]]) -> None:
        """``patterns`` are pairs of a position and a pattern, positions ascending."""
        self._exact: dict[str, list[int]] = {}
        ends: dict[str, dict[str, list[tuple[int, Pieces]]]] = {}
        for order, pieces in patterns:
            if len(pieces) == 1:
                self._exact.setdefault(pieces[0], []).append(order)
            else:
                ends.setdefault(pieces[0], {}).setdefault(pieces[-1], []).append((order, pieces))
        self._ends = {
            first: {last: _entries(alike) for last, alike in by_last.items()}
            for first, by_last in ends.items()
        }
        self._firsts = sorted({len(first) for first in ends})
        self._lasts = {first: sorted({len(last) for last in by_last}) for first, by_last in ends.items()}

    def first(
        self, text: str, before: Optional[int] = None, accept: Optional[Accept] = None
    ) -> Optional[int]:
        """The smallest position below ``before`` whose pattern fits, and that ``accept`` does not turn down."""
        best = before
        found = None
        for order in self._exact.get(text, ()):
            if best is not None and order >= best:
                break
            if accept is None or accept(order):
                best = found = order
                break
        for entries in self._alike(text):
            for entry in entries:
                order = entry.order
                if best is not None and order >= best:
                    break
                if entry.rare not in text or not fqan.fits(entry.pieces, text):
                    continue
                if accept is None or accept(order):
                    best = found = order
                    break
        return found

    def _alike(self, text: str) -> Iterable[Sequence[_Entry]]:
        """The patterns that begin and end like the text."""
        size = len(text)
        for length in self._firsts:
            if length > size:
                return
            first = text[:length]
            by_last = self._ends.get(first)
            if by_last is None:
                continue
            for end in self._lasts[first]:
                if length + end > size:
                    break
                entries = by_last.get(text[size - end :])
                if entries is not None:
                    yield entries


def _entries(alike: Sequence[tuple[int, Pieces]]) -> tuple[_Entry, ...]:
    shared = Counter(piece for _, pieces in alike for piece in set(pieces[1:-1]))

    def rare(pieces: Pieces) -> str:
        return min(pieces[1:-1], key=lambda piece: (shared[piece], -len(piece)), default="")

    return tuple(_Entry(order, rare(pieces), pieces) for order, pieces in alike)


@dataclass(frozen=True)
class TokenLine:
    """What a line asks of a token besides its issuer and subject."""

    order: int
    group: Optional[Pieces]
    scopes: frozenset[str]


class Tokens:
    """Lines for one issuer and subject: found by the token's groups and scopes."""

    def __init__(self, lines: Sequence[TokenLine]) -> None:
        """``lines`` in the table's order."""
        self._needs = {line.order: line.scopes for line in lines}
        self._groups = Patterns((line.order, line.group) for line in lines if line.group is not None)
        plain = [line for line in lines if line.group is None]
        self._any = next((line.order for line in plain if not line.scopes), None)
        shared = Counter(scope for line in plain for scope in line.scopes)
        self._scopes: dict[str, list[int]] = {}
        for line in plain:
            if line.scopes:
                rare = min(line.scopes, key=lambda scope: (shared[scope], scope))
                self._scopes.setdefault(rare, []).append(line.order)

    def first(self, token: Token, before: Optional[int] = None) -> Optional[int]:
        """The smallest position below ``before`` whose every condition the token satisfies."""
        has = set(token.scopes)
        found = self._any if self._any is not None and (before is None or self._any < before) else None
        best = before if found is None else found
        for scope in has:
            for order in self._scopes.get(scope, ()):
                if best is not None and order >= best:
                    break
                if self._needs[order] <= has:
                    best = found = order
                    break
        for group in token.groups:
            order_found = self._groups.first(
                closed_group(group), best, lambda order: self._needs[order] <= has
            )
            if order_found is not None:
                best = found = order_found
        return found


def closed_group(group: str) -> str:
    """A token's group as it is compared: ``/cms`` and ``/cms/`` are one, and no other begins like it."""
    return f"{group.rstrip('/')}/"


def group_pieces(pattern: str) -> Pieces:
    """A group's pattern as it is compared: ``/cms`` is that group, ``/cms/*`` also every group below it."""
    return tuple((pattern if pattern.endswith("*") else closed_group(pattern)).split("*"))
