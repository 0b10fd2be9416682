"""An X.509 attribute certificate as VOMS writes it (RFC 5755), read and not judged."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Optional, Sequence

from osg_site_iaas.identity import der

_FQANS, _CERTIFICATES = "1.3.6.1.4.1.8005.100.100.4", "1.3.6.1.4.1.8005.100.100.10"
_TARGETS = "2.5.29.55"
# May be critical and be ignored: the issuer's key id, "no revocation", and VOMS's generic attributes.
_HARMLESS = {"2.5.29.35", "2.5.29.56", "1.3.6.1.4.1.8005.100.100.11"}
_URI, _DNS, _DIRECTORY_NAME = 0x86, 0x82, 0xA4
_MOST = 200  # FQANs of one certificate


@dataclass(frozen=True)
class AttributeCertificate:
    """The fields that matter, in the certificate's own bytes where they are compared or signed."""

    signed: bytes  # what the signature is over
    signature: bytes
    algorithm: str  # OID
    holder_issuer: bytes  # Name in DER: the CA of the holder's certificate
    holder_serial: int
    issuer: bytes  # Name in DER: the VOMS server
    not_before: dt.datetime
    not_after: dt.datetime
    authority: str  # vo://host:port
    fqans: tuple[str, ...]
    targets: Optional[tuple[str, ...]]  # hosts it is meant for; None for any
    certificates: tuple[bytes, ...]  # the signer's first, in DER


def parse(element: der.Element) -> AttributeCertificate:
    """The attribute certificate in the element; DerError for anything that is not quite one."""
    info, algorithm, signature = _exactly(element, 3)
    fields = list(info.children(der.SEQUENCE))
    version, holder, issuer, inner, _serial, validity, attributes = fields[:7]
    if version.integer() != 1:
        raise der.DerError("not version 2 of an attribute certificate")
    if inner.raw != algorithm.raw:
        raise der.DerError("the two signature algorithms differ")
    rest = fields[7:]
    if rest and rest[0].tag == der.BIT_STRING:  # issuerUniqueID
        rest = rest[1:]
    extensions = _extensions(rest)
    if _CERTIFICATES not in extensions:
        raise der.DerError("the signer's certificate is not included")
    targets = extensions.get(_TARGETS)
    start, end = _exactly(validity, 2)
    holder_issuer, holder_serial = _holder(holder)
    authority, fqans = _attributes(attributes)
    return AttributeCertificate(
        signed=info.raw,
        signature=signature.bits(),
        algorithm=algorithm.children(der.SEQUENCE)[0].oid(),
        holder_issuer=holder_issuer,
        holder_serial=holder_serial,
        issuer=_issuer(issuer),
        not_before=start.time(),
        not_after=end.time(),
        authority=authority,
        fqans=fqans,
        targets=None if targets is None else tuple(_targets(targets)),
        certificates=_certificates(extensions[_CERTIFICATES]),
    )


def _exactly(element: der.Element, count: int, tag: int = der.SEQUENCE) -> tuple[der.Element, ...]:
    found = element.children(tag)
    if len(found) != count:
        raise der.DerError(f"{len(found)} parts where {count} belong")
    return found


def _holder(holder: der.Element) -> tuple[bytes, int]:
    """Issuer and serial of the holder's certificate; the only way of naming one that binds it."""
    (base,) = _exactly(holder, 1)
    issuer, serial = _exactly(base, 2, 0xA0)
    return _directory_name(issuer), serial.integer()


def _issuer(issuer: der.Element) -> bytes:
    """The name in an AttCertIssuer of the v2 form."""
    (general_names,) = _exactly(issuer, 1, 0xA0)
    return _directory_name(general_names)


def _directory_name(general_names: der.Element) -> bytes:
    (only,) = _exactly(general_names, 1)
    (found,) = _exactly(only, 1, _DIRECTORY_NAME)
    return found.expect(der.SEQUENCE).raw


def _extensions(rest: Sequence[der.Element]) -> dict[str, der.Element]:
    if len(rest) != 1:
        raise der.DerError("no extensions, or something after them")
    found: dict[str, der.Element] = {}
    for extension in rest[0].children(der.SEQUENCE):
        parts = extension.children(der.SEQUENCE)
        critical = parts[1].boolean() if len(parts) == 3 else False
        if len(parts) not in (2, 3):
            raise der.DerError("bad extension")
        oid = parts[0].oid()
        if oid in found:
            raise der.DerError(f"extension {oid} twice")
        if critical and oid not in _HARMLESS and oid not in (_TARGETS, _CERTIFICATES):
            raise der.DerError(f"unknown critical extension {oid}")
        value = parts[-1].expect(der.OCTET_STRING).body
        if oid in (_TARGETS, _CERTIFICATES):
            found[oid] = der.read(value)
        else:
            found[oid] = parts[-1]
    return found


def _attributes(attributes: der.Element) -> tuple[str, tuple[str, ...]]:
    """The policy authority and the FQANs; there must be one such attribute with one value."""
    values: list[der.Element] = []
    for attribute in attributes.children(der.SEQUENCE):
        kind, content = _exactly(attribute, 2)
        if kind.oid() == _FQANS:
            values.extend(content.children(der.SET))
    if len(values) != 1:
        raise der.DerError(f"{len(values)} lists of FQANs")
    parts = list(values[0].children(der.SEQUENCE))
    authority = ""
    if parts and parts[0].tag == 0xA0:
        (name,) = parts.pop(0).children()
        authority = (name if name.tag == _URI else _exactly(name, 1, name.tag)[0]).expect(_URI).ascii()
    if not authority or len(parts) != 1:
        raise der.DerError("no policy authority, or something after the FQANs")
    fqans = tuple(value.expect(der.OCTET_STRING).ascii() for value in parts[0].children(der.SEQUENCE))
    if not 1 <= len(fqans) <= _MOST:
        raise der.DerError(f"{len(fqans)} FQANs")
    return authority, fqans


def _targets(value: der.Element) -> list[str]:
    """Host names in a targets extension, however deep its choices are nested; a name of another kind is kept
    as nobody's."""
    found = []
    pending = list(value.children(der.SEQUENCE))
    while pending:
        element = pending.pop()
        if element.tag in (_URI, _DNS):
            found.append(_host(element.ascii()))
        elif element.tag & 0x20 and element.tag != _DIRECTORY_NAME:
            pending.extend(element.children())
        else:
            found.append("")
        if len(found) > _MOST:
            raise der.DerError("too many targets")
    return found


def _host(text: str) -> str:
    """The host of a target: written bare, or as scheme://host[:port]."""
    bare = text.partition("://")[2] or text
    return (
        bare.split("/")[0].rsplit(":", 1)[0].lower() if bare.count(":") == 1 else bare.split("/")[0].lower()
    )


def _certificates(value: der.Element) -> tuple[bytes, ...]:
    (inner,) = _exactly(value, 1)
    found = tuple(element.raw for element in inner.children(der.SEQUENCE))
    if not 1 <= len(found) <= 10:
        raise der.DerError(f"{len(found)} certificates of the signer")
    return found
