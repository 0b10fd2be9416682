"""One tree of errors: each says what is wrong, where, and what to do."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from typing import Iterable, Optional


class SiteError(Exception):
    """Anything the user can be told in one sentence; the command line prints it and exits with 1.

    ``where`` is a file position, a VO or a resource; ``todo`` is the next step for the reader.
    """

    def __init__(self, what: str, *, where: Optional[str] = None, todo: Optional[str] = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.todo = todo

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  -> {self.todo}" if self.todo else text


_WAYS_OUT = {
    errno.ENOENT: "name one that is there, or make its folder first",
    errno.ENOTDIR: "what should be a folder on the way there is a file",
    errno.EISDIR: "a file is meant, and this is a folder",
    errno.EEXIST: "a folder is meant, and this is a file",
    errno.EACCES: "run this as root, or as the user whose it is",
    errno.EPERM: "run this as root, or as the user whose it is",
    errno.EROFS: "name a place that can be written to",
    errno.ENOSPC: "make room there",
}


def trouble(error: OSError, otherwise: str, before: str = "", where: Optional[str] = None) -> SiteError:
    """What the system says of a file, as an error of ours; ``otherwise`` is what to do if no more is known."""
    what = error.strerror or str(error)
    file = str(error.filename) if error.filename is not None else None
    if where is not None and file not in (None, where):
        what += f": {file}"
    todo = _WAYS_OUT.get(error.errno or 0, otherwise)
    return SiteError(f"{before}{what}", where=where or file, todo=todo)


@dataclass(frozen=True, order=True)
class Problem:
    """One thing wrong with a file that a person wrote. Lines and columns count from 1; 0 means the whole file."""

    file: str
    line: int
    column: int
    path: str
    what: str
    todo: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        text = f"{place}: {self.path}: {self.what}" if self.path else f"{place}: {self.what}"
        return f"{text}\n  -> {self.todo}" if self.todo else text


class DeclarationError(SiteError):
    """A declaration that cannot be used; carries every problem that was found, not only the first."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class CloudError(SiteError):
    """OpenStack could not be reached, or refused."""


class UnsafePlan(SiteError):
    """A plan that would take away more than the bound allows; only ``--force`` goes past it."""


class StalePlan(SiteError):
    """The world has changed since the plan was written."""


class Locked(SiteError):
    """Another apply holds the site's lock."""


class SandboxError(SiteError):
    """A service of the sandbox could not be started, or died."""


class AccountingError(SiteError):
    """Usage could not be read, stored or delivered; nothing is lost."""
