"""What has been proven about somebody, as values. Whoever makes one has verified it; nothing here does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Union

_SPELLINGS = {
    "e": "emailAddress",
    "email": "emailAddress",
    "emailaddress": "emailAddress",
    "uid": "UID",
    "userid": "UID",
}
_ATTRIBUTE = re.compile(r"/(E|Email|EmailAddress|UID|UserID)=", re.IGNORECASE)


@dataclass(frozen=True)
class Certificate:
    """A grid certificate or proxy. ``dn`` is the end entity's subject, never a proxy's own."""

    dn: str  # slash form: /DC=org/DC=example/CN=Jane Pilot
    fqans: tuple[str, ...] = ()  # as the VOMS server ordered them; the first is the primary one


@dataclass(frozen=True)
class Token:
    """A bearer token of the WLCG or the SciTokens profile."""

    issuer: str
    subject: str
    groups: tuple[str, ...] = ()  # wlcg.groups
    scopes: tuple[str, ...] = ()


Credential = Union[Certificate, Token]


def usual_dn(dn: str) -> str:
    """The slash form as OpenSSL writes it, so that two spellings of one name are equal.

    Older tools write ``Email``, ``E`` and ``USERID``; what is not printable ASCII becomes ``\\xHH``.
    """
    dn = _ATTRIBUTE.sub(lambda found: f"/{_SPELLINGS[found[1].lower()]}=", dn.strip())
    return "".join(c if " " <= c <= "~" else "".join(f"\\x{b:02X}" for b in c.encode()) for c in dn)
