"""Distinguished names as the grid writes them: ``/DC=org/DC=example/CN=Jane Pilot``."""

from __future__ import annotations

import re
from typing import Union

from cryptography import x509

from osg_site_iaas.identity import der

# OpenSSL's short names, as X509_NAME_oneline prints them.
_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.4": "SN",
    "2.5.4.5": "serialNumber",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "street",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.12": "title",
    "2.5.4.13": "description",
    "2.5.4.17": "postalCode",
    "2.5.4.41": "name",
    "2.5.4.42": "GN",
    "2.5.4.43": "initials",
    "2.5.4.44": "generationQualifier",
    "2.5.4.46": "dnQualifier",
    "2.5.4.65": "pseudonym",
    "2.5.4.97": "organizationIdentifier",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
}
_OTHER_SPELLINGS = re.compile(r"/(?:(?P<mail>E|Email|EMAIL|EMAILADDRESS)|(?P<uid>USERID))=")
_SECOND_ATTRIBUTE = re.compile(r"/[A-Za-z][A-Za-z0-9.]*=|/\d+(\.\d+)+=")
_TEXT = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii", 0x14: "latin-1", 0x1E: "utf-16-be", 0x1C: "utf-32-be"}


def slash(name: x509.Name) -> str:
    """The name as OpenSSL prints it in one line; bytes that are not printable ASCII become ``\\xHH``."""
    return "".join(f"/{_short(a.oid.dotted_string)}={_escaped(a.value)}" for a in name)


def unambiguous(name: x509.Name) -> bool:
    """Whether the slash form can mean this name only.

    An attribute whose value holds ``/CN=`` would read as two attributes, and could pass for somebody else.
    """
    values = [a.value if isinstance(a.value, str) else a.value.decode("latin-1") for a in name]
    return bool(values) and not any(_SECOND_ATTRIBUTE.search(v) or not v.isprintable() for v in values)


def usual(dn: str) -> str:
    """A slash form with the older spellings of e-mail and user id replaced by OpenSSL's."""
    return _OTHER_SPELLINGS.sub(lambda m: "/emailAddress=" if m["mail"] else "/UID=", dn.strip())


Canonical = tuple[tuple[tuple[str, Union[str, bytes]], ...], ...]


def canonical(raw: bytes) -> Canonical:
    """A value equal for names that X.509 calls equal: case, runs of blanks and string types don't count."""
    return tuple(
        tuple(sorted(_attribute(a) for a in rdn.children(der.SET)))
        for rdn in der.read(raw).children(der.SEQUENCE)
    )


def same(one: bytes, other: bytes) -> bool:
    """Whether two names in DER are the same name."""
    return one == other or canonical(one) == canonical(other)


def _attribute(element: der.Element) -> tuple[str, Union[str, bytes]]:
    kind, value = element.children(der.SEQUENCE)
    if value.tag not in _TEXT:
        return kind.oid(), value.raw
    try:
        return kind.oid(), " ".join(value.body.decode(_TEXT[value.tag]).lower().split())
    except UnicodeDecodeError as error:
        raise der.DerError("bad text in a name") from error


def _short(oid: str) -> str:
    return _SHORT.get(oid, oid)


def _escaped(value: Union[str, bytes]) -> str:
    octets = value.encode("utf-8") if isinstance(value, str) else value
    return "".join(chr(o) if 0x20 <= o < 0x7F else f"\\x{o:02X}" for o in octets)
