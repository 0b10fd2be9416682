"""What a person is called inside OpenStack, and back again: accounting reads there who used a machine."""

from __future__ import annotations

import hashlib
import re
from typing import Optional
from urllib.parse import unquote

from osg_site_iaas.mapping.credential import Certificate, Credential, Token, usual_dn

LONGEST = 255  # of a user's name, in Keystone's database
_DIGEST = 16
_CUT = re.compile(rf".{{{LONGEST - _DIGEST - 1}}}~[0-9a-f]{{{_DIGEST}}}")


def user_name(credential: Credential) -> str:
    """The name of somebody's Keystone user: the DN, or ``issuer#subject``; printable ASCII without ``;``.

    ``%``, ``;`` and what is not printable ASCII, and in an issuer ``#``, are written as in a URL. A name too
    long for Keystone is cut, and ends in ``~`` and a digest of all of it.
    """
    if isinstance(credential, Token):
        name = f"{_quoted(credential.issuer).replace('#', '%23')}#{_quoted(credential.subject)}"
    else:
        name = _quoted(usual_dn(credential.dn))
    if len(name) <= LONGEST:
        return name
    return f"{name[: LONGEST - _DIGEST - 1]}~{user_id(credential)[:_DIGEST]}"


def user_id(credential: Credential) -> str:
    """64 hexadecimal digits, always the same for one DN, or one issuer and subject, and theirs alone."""
    if isinstance(credential, Token):
        text = f"token\n{_quoted(credential.issuer)}\n{_quoted(credential.subject)}"
    else:
        text = f"x509\n{_quoted(usual_dn(credential.dn))}"
    return hashlib.sha256(text.encode()).hexdigest()


def person(name: str) -> Optional[Credential]:
    """Whom such a name stands for, without FQANs or groups; None if it was cut, or has not this form."""
    if _CUT.fullmatch(name):
        return None
    if name.startswith("/") and "=" in name:
        return Certificate(unquote(name))
    issuer, mark, subject = name.partition("#")
    return Token(unquote(issuer), unquote(subject)) if mark and "://" in issuer else None


def _quoted(text: str) -> str:
    """Text with ``%``, ``;`` and all but printable ASCII, even a lone surrogate, as ``%HH``."""
    octets = text.encode("utf-8", "surrogatepass")
    return "".join(chr(o) if 0x20 <= o < 0x7F and o not in b"%;" else f"%{o:02X}" for o in octets)
