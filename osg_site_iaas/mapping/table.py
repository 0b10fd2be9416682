"""One ordered table of who may be whom, and the decision about a credential.

The order of a decision is the one that a compute element of OSG has always had (grid-mapfile before
voms-mapfile):

1. A line with the certificate's DN: naming a person is more deliberate than naming a VO.
2. Else the FQANs in the credential's own order, the primary one first: whoever made the proxy chose it. For
   each of them, the first line of site.yml that fits.
3. A token is one statement: the first line of site.yml whose issuer, and every one of whose subject, group
   and scope, it satisfies.

Lines stand in the order of site.yml: VOs from top to bottom, and the access lines of each VO from top to
bottom. A line of a disabled VO still decides, and refuses: a VO that is switched off must not fall through to
a wider line.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, Iterable, Optional

from osg_site_iaas.declaration import fqan
from osg_site_iaas.declaration.model import VO, Access, Position, Site
from osg_site_iaas.errors import DeclarationError, Problem
from osg_site_iaas.mapping import index
from osg_site_iaas.mapping.credential import Certificate, Credential, Token, usual_dn


@dataclass(frozen=True)
class Line:
    """One line of the table: an access line of site.yml and the VO that it opens."""

    order: int  # position in the table, from 0
    vo: VO
    access: Access

    @property
    def says(self) -> str:
        """The line's condition in words: ``fqan /cms/*``."""
        return says(self.access)


def says(access: Access) -> str:
    """The condition of an access line in words: ``fqan /cms/*``."""
    if access.issuer is not None:
        narrower = {"subject": access.subject, "group": access.group, "scope": access.scope}
        return ", ".join(
            [f"issuer {access.issuer}", *(f"{k} {v}" for k, v in narrower.items() if v is not None)]
        )
    return f"dn {access.dn}" if access.dn is not None else f"fqan {access.fqan}"


@dataclass(frozen=True)
class Match:
    """What a credential is here: the line that decided, and what of the credential it matched."""

    line: Line
    by: str  # the DN, the FQAN in its long form, or issuer and subject

    @property
    def vo(self) -> str:
        return self.line.vo.name

    @property
    def project(self) -> str:
        return self.line.vo.project

    @property
    def role(self) -> str:
        return self.line.access.role

    @property
    def ec2_keys(self) -> bool:
        """Whether EC2 keys may be issued to them."""
        return self.line.access.ec2_keys

    @property
    def at(self) -> Position:
        """Where the line stands in site.yml."""
        return self.line.access.at


@dataclass(frozen=True)
class Decision:
    """A match, or none, and whether it lets in. ``reason`` is a sentence for a person, also when it does."""

    match: Optional[Match]
    allowed: bool
    reason: str


class Table:
    """The lines of one site.yml, ready to decide. Cheap to ask; immutable, so it may be shared by threads."""

    def __init__(self, lines: Iterable[Line], file: Path) -> None:
        self.lines = tuple(lines)
        self.file = file
        self._dns: dict[str, Line] = {}
        fqans: dict[str, list[tuple[int, index.Pieces]]] = {}
        tokens: dict[tuple[str, Optional[str]], list[index.TokenLine]] = {}
        for place, line in enumerate(self.lines):
            access = line.access
            if access.dn is not None:
                self._dns.setdefault(usual_dn(access.dn), line)
            elif access.fqan is not None:
                pattern = fqan.Pattern.of(access.fqan)
                fqans.setdefault(pattern.vo, []).append((place, pattern.pieces))
            elif access.issuer is not None:
                asks = index.TokenLine(place, _group(access), frozenset((access.scope or "").split()))
                tokens.setdefault((access.issuer, access.subject), []).append(asks)
        self._fqans = {vo: index.Patterns(patterns) for vo, patterns in fqans.items()}
        self._tokens = {of: index.Tokens(lines) for of, lines in tokens.items()}

    @classmethod
    def of(cls, site: Site) -> Table:
        """The site's table; DeclarationError, with every bad pattern, if one is not sound."""
        wrong = problems(site)
        if wrong:
            raise DeclarationError(wrong)
        pairs = [(vo, access) for vo in site.vos for access in vo.access]
        return cls((Line(order, vo, access) for order, (vo, access) in enumerate(pairs)), site.file)

    def who(self, credential: Credential) -> Optional[Match]:
        """Who a credential is, or None if it lets nobody in."""
        decision = self.decide(credential)
        return decision.match if decision.allowed else None

    def decide(self, credential: Credential) -> Decision:
        """Who a credential is, or why it lets nobody in."""
        match = self._token(credential) if isinstance(credential, Token) else self._certificate(credential)
        if match is None:
            return Decision(None, False, _why_nobody(credential))
        if not match.line.vo.enabled:
            return Decision(
                match, False, f"VO {match.vo} is disabled, and its line decides: {match.line.says}"
            )
        return Decision(match, True, f"{match.line.says} is the first line that fits {match.by}")

    def fitting(self, credential: Credential) -> list[Match]:
        """Every line that fits, in the order in which they would decide; for a person, as it looks at all lines."""
        found: dict[int, Match] = {}
        if isinstance(credential, Token):
            tests: list[tuple[Callable[[Access], bool], str]] = [
                (partial(_satisfies, credential), _by(credential))
            ]
        else:
            dn = usual_dn(credential.dn)
            longs = filter(None, map(fqan.long_form, credential.fqans))
            tests = [(partial(_is, dn), dn), *((partial(_fits, long), long) for long in longs)]
        for test, by in tests:
            for line in self.lines:
                if test(line.access):
                    found.setdefault(line.order, Match(line, by))
        return list(found.values())

    def _certificate(self, certificate: Certificate) -> Optional[Match]:
        dn = usual_dn(certificate.dn)
        line = self._dns.get(dn)
        if line is not None:
            return Match(line, dn)
        for name in certificate.fqans:
            long = fqan.long_form(name)
            line = self._fqan(long) if long is not None else None
            if line is not None:
                return Match(line, str(long))
        return None

    def _fqan(self, name: str) -> Optional[Line]:
        """The first line that fits one FQAN in its long form."""
        patterns = self._fqans.get(str(fqan.vo_of(name)))
        place = patterns.first(name) if patterns is not None else None
        return None if place is None else self.lines[place]

    def _token(self, token: Token) -> Optional[Match]:
        first = None
        for subject in (token.subject, None):
            lines = self._tokens.get((token.issuer, subject))
            found = lines.first(token, first) if lines is not None else None
            first = first if found is None else found
        return None if first is None else Match(self.lines[first], _by(token))


def problems(site: Site) -> list[Problem]:
    """Every FQAN pattern of the site that could let in the wrong people, or nobody."""
    found = []
    for vo in site.vos:
        for number, access in enumerate(vo.access):
            wrong = fqan.problem(access.fqan) if access.fqan is not None else ""
            if wrong:
                path = f"vos.{vo.name}.access[{number}].fqan"
                found.append(
                    _problem(site, access, path, f"{access.fqan!r}: {wrong}", "write it as /VO/group/*")
                )
    return found


def unreachable(table: Table) -> list[Problem]:
    """Lines that can never decide, because an earlier one takes everything that they could."""
    found = []
    earlier: dict[str, list[tuple[fqan.Pattern, Line]]] = {}
    seen: dict[tuple[Optional[str], ...], Line] = {}
    for line in table.lines:
        access = line.access
        first: Optional[Line]
        if access.fqan is not None:
            pattern = fqan.Pattern.of(access.fqan)
            before = earlier.setdefault(pattern.vo, [])
            first = next((by for wider, by in before if wider.covers(pattern)), None)
            before.append((pattern, line))
        else:
            keys = _narrower_keys(access)
            first = next((seen[key] for key in keys if key in seen), None)
            seen.setdefault(keys[0], line)
        if first is not None:
            taker = f"{first.says} of VO {first.vo.name}, line {first.access.at.line}"
            what = f"{line.says} never decides, because {taker} does"
            path = f"vos.{line.vo.name}.access"
            found.append(
                Problem(
                    str(table.file), access.at.line, access.at.column, path, what, "move it up or drop it"
                )
            )
    return found


def _narrower_keys(access: Access) -> list[tuple[Optional[str], ...]]:
    """A key of the line itself, then of every wider line that would take what it takes."""
    if access.dn is not None:
        return [(usual_dn(access.dn),)]
    conditions = (access.subject, access.group, access.scope)
    keys = [
        tuple(c if mask >> i & 1 else None for i, c in enumerate(conditions)) for mask in range(7, -1, -1)
    ]
    return [(access.issuer, *key) for key in dict.fromkeys(keys)]


def _by(token: Token) -> str:
    return f"{token.issuer}, subject {token.subject}"


def _is(dn: str, access: Access) -> bool:
    return access.dn is not None and usual_dn(access.dn) == dn


def _fits(name: str, access: Access) -> bool:
    return access.fqan is not None and fqan.Pattern.of(access.fqan).matches(name)


def _satisfies(token: Token, access: Access) -> bool:
    if access.issuer != token.issuer or access.subject not in (None, token.subject):
        return False
    if access.scope is not None and not set(access.scope.split()) <= set(token.scopes):
        return False
    return access.group is None or any(group_fits(access.group, group) for group in token.groups)


def group_fits(pattern: str, group: str) -> bool:
    """Whether a group of a token fits: ``/cms`` is that group, ``/cms/*`` also every group below it."""
    return fqan.fits(index.group_pieces(pattern), index.closed_group(group))


def _group(access: Access) -> Optional[index.Pieces]:
    return None if access.group is None else index.group_pieces(access.group)


def _why_nobody(credential: Credential) -> str:
    if isinstance(credential, Token):
        return f"no line fits issuer {credential.issuer} with subject {credential.subject}"
    person = f"has the DN {usual_dn(credential.dn)}" if credential.dn else ""
    member = f"fits {', '.join(credential.fqans)}" if credential.fqans else ""
    if not member:
        return (
            f"no line {person}, and the credential names no VO" if person else "there is nothing to look for"
        )
    return f"no line {' or '.join(filter(None, (person, member)))}"


def _problem(site: Site, access: Access, path: str, what: str, todo: str) -> Problem:
    return Problem(str(site.file), access.at.line, access.at.column, path, what, todo)
