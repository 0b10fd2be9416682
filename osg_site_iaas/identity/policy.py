"""Which names a CA may sign: ``.signing_policy`` (Globus) and ``.namespaces`` (EUGridPMA) files."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from osg_site_iaas.identity.names import usual


@dataclass(frozen=True)
class Rule:
    """Subjects that one CA may (or may not) sign; patterns are anchored regular expressions."""

    ca: str  # slash form; "" stands for the CA that the file belongs to
    subjects: tuple[str, ...]
    permit: bool = True


@dataclass(frozen=True)
class Policy:
    """All rules of one file. The first that matches decides; none means no."""

    file: str
    rules: tuple[Rule, ...]

    def allows(self, ca: str, subject: str) -> bool:
        wanted, name = usual(ca), usual(subject)
        for rule in self.rules:
            if rule.ca in ("", wanted) and any(re.fullmatch(p, name) for p in rule.subjects):
                return rule.permit
        return False


class PolicyError(ValueError):
    """A policy file that cannot be understood; the CA it belongs to then signs nothing."""


def signing_policy(text: str, file: str) -> Policy:
    """Read a Globus signing policy: blocks of access_id_CA, pos_rights and cond_subjects."""
    rules: list[Rule] = []
    ca = ""
    may_sign = False
    for number, words in _lines(text, file):
        key = words[0].lower()
        if key == "access_id_ca":
            ca, may_sign = _third(words, file, number), False
        elif key == "pos_rights":
            may_sign = may_sign or _third(words, file, number).lower() == "ca:sign"
        elif key == "neg_rights":
            raise PolicyError(f"{file}:{number}: neg_rights is not supported")
        elif key == "cond_subjects":
            if ca and may_sign:
                globs = _inner(_third(words, file, number), file, number)
                rules.append(Rule(usual(ca), tuple(_glob(usual(g)) for g in globs)))
        else:
            raise PolicyError(f"{file}:{number}: unknown word {words[0]!r}")
    return Policy(file, tuple(rules))


_NAMESPACE = re.compile(
    r"""TO\s+Issuer\s+(?:"(?P<ca>[^"]+)"|(?P<self>SELF))\s+
        (?P<verb>PERMIT|DENY)\s+Subject\s+"(?P<subject>[^"]+)"\Z""",
    re.IGNORECASE | re.VERBOSE,
)


def namespaces(text: str, file: str) -> Policy:
    """Read an EUGridPMA namespaces file: ``TO Issuer "..." PERMIT Subject "regular expression"`` lines."""
    rules = []
    joined = re.sub(r"\\\r?\n", " ", text)
    for line in joined.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _NAMESPACE.match(line)
        if match is None:
            raise PolicyError(f"{file}: cannot read {line[:80]!r}")
        try:
            re.compile(match["subject"])
        except re.error as error:
            raise PolicyError(f"{file}: bad expression {match['subject']!r}: {error}") from error
        ca = "" if match["self"] else usual(match["ca"])
        rules.append(Rule(ca, (usual(match["subject"]),), match["verb"].upper() == "PERMIT"))
    return Policy(file, tuple(rules))


def _lines(text: str, file: str) -> list[tuple[int, list[str]]]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            words = shlex.split(line, comments=True)
        except ValueError as error:
            raise PolicyError(f"{file}:{number}: {error}") from error
        if words:
            found.append((number, words))
    return found


def _third(words: list[str], file: str, number: int) -> str:
    if len(words) != 3:
        raise PolicyError(f"{file}:{number}: expected three words, found {len(words)}")
    return words[2]


def _inner(text: str, file: str, number: int) -> list[str]:
    """The patterns inside cond_subjects' quotes: one bare, or several each in double quotes."""
    if '"' not in text:
        return [text]
    try:
        return shlex.split(text)
    except ValueError as error:
        raise PolicyError(f"{file}:{number}: {error}") from error


def _glob(pattern: str) -> str:
    """A pattern of ``*`` and ``?`` as a regular expression."""
    return "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
