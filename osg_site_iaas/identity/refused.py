"""The one error for a credential that does not let its bearer in."""

from __future__ import annotations

from typing import Optional

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from osg_site_iaas.errors import SiteError

# What `cryptography` raises over hostile certificates: names, times, keys and extensions are parsed only as they are
# asked for, and its releases differ (36 answers an unknown type of text with KeyError).
UNREADABLE = (
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    NotImplementedError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


class Refused(SiteError):  # what happened to the credential, not a fault
    """A credential is not accepted.

    ``what`` and ``todo`` go to the client: one line each, without key material and without anything that
    helps to probe the site. ``subject`` and ``detail`` are for the site's log only.
    """

    def __init__(
        self,
        what: str,
        *,
        todo: Optional[str] = None,
        subject: Optional[str] = None,
        detail: Optional[str] = None,
    ) -> None:
        super().__init__(what, todo=todo)
        self.subject = subject
        self.detail = detail

    @property
    def line(self) -> str:
        """What the client is told, in one line."""
        return f"{self.what}; {self.todo}" if self.todo else self.what

    @property
    def log_line(self) -> str:
        """What the log says, in one line, whatever the credential put into it."""
        parts = [f"subject={self.subject or '-'}", f"reason={self.what}"]
        if self.detail:
            parts.append(f"detail={self.detail}")
        return printable(" ".join(parts))


def printable(text: str, limit: int = 600) -> str:
    """The text with nothing in it that could forge a log line; cut at ``limit`` characters."""
    safe = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text[: limit + 1])
    return safe if len(safe) <= limit else safe[:limit] + "..."
