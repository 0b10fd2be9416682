"""Which credentials are whose: a VO's access lines, gathered from what Topology and vo-client say.

Three sources speak of FQANs. vo-client's voms-mapfile is what OSG's compute elements accept, and is taken first;
then Topology's reporting groups; then, for a VO with neither, the name of its VOMS server's folder in vomsdir.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Iterable, Optional, Sequence

from osg_site_iaas.declaration import fqan
from osg_site_iaas.declaration.topology.organisations import Attribute, Issuer, Organisation
from osg_site_iaas.declaration.topology.voclient import VOClient

_ROLE = re.compile(r"/?Role=", re.IGNORECASE)
_LONGEST = 1024  # of an issuer or a subject
_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?(/[^\s?#]*)?")
_pattern = lru_cache(maxsize=4096)(fqan.Pattern.of)  # every VO's are compared with every other's


@dataclass(frozen=True)
class Line:
    """An access line to be: an FQAN, or an issuer and perhaps a subject."""

    sources: tuple[str, ...]  # where it was said, in words
    fqan: Optional[str] = None
    issuer: Optional[str] = None
    subject: Optional[str] = None

    @property
    def key(self) -> tuple[str, ...]:
        """What two lines have in common that let in the same people."""
        if self.fqan is not None:
            return ("fqan", _pattern(self.fqan).long)
        return ("issuer", self.issuer or "", self.subject or "")

    def covers(self, other: Line) -> bool:
        """Whether this one lets in everybody whom the other does."""
        if self.fqan is not None and other.fqan is not None:
            return _pattern(self.fqan).covers(_pattern(other.fqan))
        same = self.issuer is not None and self.issuer == other.issuer
        return same and self.subject in (None, other.subject)


@dataclass(frozen=True)
class Claims:
    """What one VO claims."""

    lines: tuple[Line, ...] = ()
    narrower: tuple[str, ...] = ()  # FQANs that were named too, and that a wider line takes
    reviews: tuple[str, ...] = ()  # what a person should look at, a sentence each


@dataclass
class _Gathered:
    lines: list[Line] = field(default_factory=list)
    reviews: list[str] = field(default_factory=list)


class Names:
    """Whose a name in an FQAN is: VOs of Topology by name, and VOMS VOs that belong to them."""

    def __init__(self, organisations: Sequence[Organisation], client: VOClient) -> None:
        self._by_name: dict[str, str] = {}
        for organisation in organisations:
            self._by_name.setdefault(organisation.name.casefold(), organisation.name)
        roots = {fqan.vo_of(line.pattern) or "" for line in client.lines}
        self.voms = {root.casefold() for root in (*roots, *client.voms)}

    def named(self, word: str) -> Optional[str]:
        """The VO of that very name, in any case."""
        return self._by_name.get(word.casefold())

    def root(self, voms: str) -> Optional[str]:
        """The VO that a VOMS VO is: of its name, or of its domain's first label (``vo.cta.in2p3.fr`` is CTA)."""
        label = re.sub(r"^vo\.", "", voms.casefold()).partition(".")[0]
        return self.named(voms) or (self.named(label) if "." in voms else None)

    def owner(self, pattern: str, account: str) -> Optional[str]:
        """The VO of a voms-mapfile's line: its group, if the account is called so too, else the VOMS VO."""
        for word in reversed(pattern.split("/")[2:]):
            if word.casefold() == account.casefold() and self.named(word):
                return self.named(word)
        return self.root(fqan.vo_of(pattern) or "")


def gather(organisations: Sequence[Organisation], client: VOClient) -> dict[str, Claims]:
    """What every VO claims, by name; claims of two VOs to one FQAN are not settled here."""
    names = Names(organisations, client)
    found = {organisation.name: _Gathered() for organisation in organisations}
    for line in client.lines:
        owner = names.owner(line.pattern, line.account)
        if owner is not None:
            source = f"voms-mapfile-default:{line.line} ({line.account})"
            found[owner].lines.append(Line((source,), fqan=line.pattern))
            if names.named(fqan.vo_of(line.pattern) or "") != owner:
                found[owner].reviews.append(f"{line.pattern} is taken for {owner}'s by its name and account")
    for organisation in organisations:
        _attributes(organisation, names, found[organisation.name])
    for voms in client.voms:
        owner = names.root(voms)
        if owner is not None and not any(_root(line) == voms for line in found[owner].lines):
            found[owner].lines.append(Line((f"vomsdir/{voms}",), fqan=f"/{voms}/*"))
            if names.named(voms) != owner:
                found[owner].reviews.append(f"the VOMS VO {voms} is taken for {owner}'s by its name")
    for organisation in organisations:
        _issuers(organisation.issuers, found[organisation.name])
    return {name: _widest(gathered) for name, gathered in found.items()}


def settle(claims: dict[str, Claims], chosen: Sequence[Organisation]) -> dict[str, Claims]:
    """The claims of the chosen VOs, each to one VO only: a line goes to the VO it is named after, else to the child."""
    depth = {organisation.name: _depth(organisation, chosen) for organisation in chosen}
    winners: dict[tuple[str, ...], tuple[tuple[bool, int, int], str]] = {}
    for order, organisation in enumerate(chosen):
        for line in claims[organisation.name].lines:
            rank = (not _named_after(line, organisation.name), -depth[organisation.name], order)
            winners[line.key] = min(
                winners.get(line.key, (rank, organisation.name)), (rank, organisation.name)
            )
    settled = {}
    for organisation in chosen:
        mine = claims[organisation.name]
        lost = {
            line: winners[line.key][1] for line in mine.lines if winners[line.key][1] != organisation.name
        }
        kept = tuple(line for line in mine.lines if line not in lost)
        said = tuple(
            f"{_words(line)} is claimed by {winner} too, and was given to it" for line, winner in lost.items()
        )
        settled[organisation.name] = replace(mine, lines=kept, reviews=mine.reviews + said)
    return settled


def order(claims: dict[str, Claims], chosen: Sequence[Organisation]) -> list[Organisation]:
    """The chosen VOs with narrower claims before wider ones, as the first line that fits decides; else as chosen."""
    left = list(chosen)
    before: dict[str, set[str]] = {one.name: set() for one in chosen}
    for wide in chosen:
        for narrow in chosen:
            if narrow is not wide and covers_any(claims[wide.name].lines, claims[narrow.name].lines):
                before[wide.name].add(narrow.name)
    placed: list[Organisation] = []
    while left:
        waiting = {organisation.name for organisation in left}
        # Two VOs that each cover a part of the other cannot be ordered: the first chosen comes first.
        free = next((one for one in left if not before[one.name] & waiting), left[0])
        left.remove(free)
        placed.append(free)
    return placed


def covers_any(wide: Iterable[Line], narrow: Iterable[Line]) -> bool:
    """Whether some line of one VO takes people whom a narrower line of another VO is about."""
    narrow = tuple(narrow)
    return any(one.covers(other) and one.key != other.key for one in wide for other in narrow)


def _attributes(vo: Organisation, names: Names, found: _Gathered) -> None:
    """The FQANs of a VO's reporting groups; in one sentence, those that could mean anything."""
    unclear = []
    for attribute in vo.attributes:
        pattern = _pattern_of(attribute, vo.name, names)
        if fqan.problem(pattern):
            unclear.append(attribute.group)
            continue
        found.lines.append(
            Line((f"Topology, reporting group {attribute.reporting_group or '?'}",), fqan=pattern)
        )
        owner = names.root(fqan.vo_of(pattern) or "")
        if owner is not None and owner not in (vo.name, vo.parent):
            found.reviews.append(f"{pattern} looks like VO {owner}'s, and Topology's VO {vo.name} has it")
    if unclear:
        words = ", ".join(dict.fromkeys(unclear))
        found.reviews.append(f"Topology's groups {words} were left out: they are not written as FQANs")


def _pattern_of(attribute: Attribute, vo: str, names: Names) -> str:
    """An FQAN of a reporting group as a pattern, however it is written.

    Some have their role within the group's text; some lack the first slash. A single word without a slash is taken
    only if it is the VO's own name: ENMR's ``ops`` is a group of its own, and must not let in the VO ops.
    """
    group, _, inside = attribute.group.rstrip("/").partition("/Role=")
    role = inside or _ROLE.sub("", attribute.role)
    if not group.startswith("/"):
        root, deeper, _ = group.partition("/")
        if root.casefold() == vo.casefold() or (deeper and root.casefold() in names.voms):
            group = f"/{group}"
    return f"{group}/Role={role}" if role else f"{group}/*"


def _issuers(issuers: Iterable[Issuer], found: _Gathered) -> None:
    for issuer in sorted(issuers, key=lambda one: one.subject is None):
        if not _ISSUER.fullmatch(issuer.url) or max(len(issuer.url), len(issuer.subject or "")) > _LONGEST:
            url = issuer.url[:200]
            found.reviews.append(f"Topology's token issuer {url!r} was left out: it is no https:// URL")
            continue
        words = ", ".join(word for word in (issuer.account, issuer.description) if word)
        found.lines.append(Line((words or "Topology",), issuer=issuer.url, subject=issuer.subject))
        if issuer.subject is None:
            found.reviews.append(f"Topology names no subject for {issuer.url}: every token it issues gets in")


def _widest(gathered: _Gathered) -> Claims:
    """The claims without those that another one takes anyway; who said the same twice is named twice."""
    merged: dict[tuple[str, ...], Line] = {}
    for line in gathered.lines:
        before = merged.get(line.key)
        sources = before.sources + tuple(s for s in line.sources if s not in before.sources) if before else ()
        merged[line.key] = replace(before, sources=sources) if before else line
    lines = list(merged.values())
    kept: list[Line] = []
    narrower: list[str] = []
    for place, line in enumerate(lines):
        # Of two that cover each other the earlier one stays.
        wider = [other for at, other in enumerate(lines) if at != place and other.covers(line)]
        taken = any(not line.covers(other) or other in lines[:place] for other in wider)
        if taken and line.fqan is not None:
            narrower.append(line.fqan)
        else:
            kept.append(line)
    return Claims(tuple(kept), tuple(narrower), tuple(dict.fromkeys(gathered.reviews)))


def _depth(organisation: Organisation, chosen: Sequence[Organisation]) -> int:
    parents = {one.name: one.parent for one in chosen}
    seen: list[str] = []
    name: Optional[str] = organisation.name
    while name is not None and name not in seen:
        seen.append(name)
        name = parents.get(name)
    return len(seen)


def _named_after(line: Line, name: str) -> bool:
    """Whether the last group of an FQAN is the VO's name."""
    groups = [part for part in (line.fqan or "").split("/") if part and "=" not in part and "*" not in part]
    return bool(groups) and groups[-1].casefold() == name.casefold()


def _root(line: Line) -> Optional[str]:
    return fqan.vo_of(line.fqan) if line.fqan is not None else None


def _words(line: Line) -> str:
    return line.fqan or f"issuer {line.issuer}" + (f" with subject {line.subject}" if line.subject else "")
