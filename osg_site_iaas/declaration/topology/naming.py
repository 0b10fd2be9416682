"""Names of Topology as names in site.yml, and the nearest names for a mistyped one."""

from __future__ import annotations

import difflib
import re
import unicodedata
from typing import Iterable, Sequence

LONGEST = 48  # leaves room for a role in the name of a Keystone group, which holds 64


def slug(name: str) -> str:
    """A name in lower case of ``a-z 0-9 . _ + -`` that begins with a letter or digit, at most 48 long.

    Accents go, anything else becomes one hyphen: ``São Paulo/T2`` is ``sao-paulo-t2``. Lower case, because
    many Keystones hold ``CMS`` and ``cms`` for one name, and because VOMS VOs are written so.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9._+]+", "-", plain).strip("-._+")
    return words[:LONGEST].strip("-._+") or "vo"


def slugs(names: Iterable[tuple[int, str]]) -> dict[str, str]:
    """A slug of its own for each name; ids decide who keeps a shared one.

    The oldest (lowest id) keeps it, the others get ``-`` and their id behind theirs: a VO that is added to
    Topology never renames one that was there before, as its project would be renamed too.
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for number, name in sorted(set(names)):
        if name in found:
            continue
        plain = slug(name)
        made, count = plain, number
        while made in taken:
            made = f"{plain[: LONGEST - len(str(count)) - 1]}-{count}"
            count += 1
        found[name] = made
        taken.add(made)
    return found


def nearest(name: str, names: Sequence[str], most: int = 5) -> list[str]:
    """The names that somebody who typed ``name`` may have meant, the likeliest first."""
    lower = name.casefold()
    folded: dict[str, str] = {}
    for other in names:
        folded.setdefault(other.casefold(), other)
    close = difflib.get_close_matches(lower, list(folded), n=most, cutoff=0.6)
    inside = [other for other in folded if len(lower) > 2 and lower in other]
    inside.sort(key=lambda other: (len(other), other))
    return [folded[other] for other in dict.fromkeys([*close, *inside])][:most]


def suggestion(name: str, names: Sequence[str]) -> str:
    """A sentence with the nearest names; empty if none is near."""
    found = nearest(name, names)
    return f"did you mean {', '.join(repr(other) for other in found)}?" if found else ""
