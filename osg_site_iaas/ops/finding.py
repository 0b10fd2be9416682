"""What an examination finds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Optional

from osg_site_iaas.errors import DeclarationError, Problem, SiteError

OK, FOUND, SKIPPED, UNKNOWN = "ok", "found", "skipped", "unknown"


@dataclass(frozen=True)
class Finding:
    """Something that somebody should look at: what it is, where, and what to do."""

    what: str
    todo: str
    where: Optional[str] = None

    @classmethod
    def of(cls, problem: Problem) -> Finding:
        """A problem of a file that a person wrote; line 0 is the whole file."""
        return cls(
            f"{problem.path}: {problem.what}" if problem.path else problem.what,
            problem.todo or "mend it",
            f"{problem.file}:{problem.line}" if problem.line else problem.file,
        )

    def as_data(self) -> dict[str, Any]:
        return {"what": self.what, "todo": self.todo, "where": self.where}


def findings_of(error: SiteError) -> Iterator[Finding]:
    """What an error says: one finding, or one for each problem of a file."""
    if isinstance(error, DeclarationError):
        yield from map(Finding.of, error.problems)
    else:
        yield Finding(error.what, error.todo or "mend it, then run doctor again", error.where)


@dataclass(frozen=True)
class Result:
    """How one check came out. ``said`` is a line of what was seen, or why it was skipped."""

    check: str
    state: str  # ok, found, skipped, unknown
    said: str = ""
    findings: tuple[Finding, ...] = ()

    def as_data(self) -> dict[str, Any]:
        return {
            "check": self.check,
            "state": self.state,
            "said": self.said,
            "findings": [one.as_data() for one in self.findings],
        }


class NotHere(Exception):
    """The check has nothing to look at on this host; the text says why."""


class NotKnown(NotHere):
    """It has, but cannot look at it now; the text says why."""


@dataclass(frozen=True)
class Step:
    """One thing that must hold. ``prevents``: it does not, and that is a reason."""

    what: str
    prevents: bool = False
    todo: str = ""
