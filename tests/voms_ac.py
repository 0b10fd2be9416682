"""Writes VOMS attribute certificates for tests, right or wrong in any part."""

from __future__ import annotations

import datetime as dt
from typing import Any, Optional, Sequence

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests import pki
from tests.pki import HOUR, Holder, der

RSA_SHA256 = bytes.fromhex("300d06092a864886f70d01010b0500")
RSA_SHA1 = bytes.fromhex("300d06092a864886f70d0101050500")
_FQANS = bytes.fromhex("060a2b06010401be45646404")
_CERTIFICATES = bytes.fromhex("060a2b06010401be4564640a")
_AUTHORITY_KEY, _NO_REVOCATION, _TARGETS = (bytes.fromhex(f"0603551d{n}") for n in ("23", "38", "37"))


def integer(value: int) -> bytes:
    return der(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def time(value: dt.datetime) -> bytes:
    return der(0x18, value.strftime("%Y%m%d%H%M%SZ").encode())


def extension(oid: bytes, value: bytes, critical: bool = False) -> bytes:
    return der(0x30, oid, b"\x01\x01\xff" if critical else b"", der(4, value))


def fqan_attribute(fqans: Sequence[str], authority: str, oid: bytes = _FQANS) -> bytes:
    uri = der(0xA0, der(0x86, authority.encode()))
    values = der(0x30, *(der(4, f.encode()) for f in fqans))
    return der(0x30, oid, der(0x31, der(0x30, uri, values)))


def targets(*hosts: str) -> bytes:
    """A critical targets extension, in the form that VOMS's own library reads."""
    names = [der(0x30, der(0xA0, der(0x86, host.encode()))) for host in hosts]
    return extension(_TARGETS, der(0x30, der(0x30, *names)), critical=True)


def attribute_certificate(
    holder: Holder,
    server: Holder,
    fqans: Sequence[str] = ("/cms/Role=NULL/Capability=NULL",),
    *,
    vo: str = "cms",
    host: str = "voms.example.org:15000",
    authority: Optional[str] = None,
    start: dt.timedelta = -HOUR,
    end: dt.timedelta = 12 * HOUR,
    holder_serial: Optional[int] = None,
    holder_issuer: Optional[bytes] = None,
    issuer: Optional[bytes] = None,
    certificates: Optional[Sequence[bytes]] = None,
    extensions: Sequence[bytes] = (),
    attributes: Sequence[bytes] = (),
    key: Any = None,
    algorithm: bytes = RSA_SHA256,
    inner_algorithm: Optional[bytes] = None,
    version: int = 1,
) -> bytes:
    """One attribute certificate in DER; each argument overrides what a proper server would write."""
    user = holder.certificate
    listed = (
        [server.certificate.public_bytes(serialization.Encoding.DER)]
        if certificates is None
        else certificates
    )
    key_id = server.certificate.extensions.get_extension_for_oid(
        pki.x509.SubjectKeyIdentifier.oid
    ).value.digest
    body = der(
        0x30,
        integer(version),
        der(
            0x30,
            der(
                0xA0,
                der(0x30, der(0xA4, holder_issuer or user.issuer.public_bytes())),
                integer(user.serial_number if holder_serial is None else holder_serial),
            ),
        ),
        der(0xA0, der(0x30, der(0xA4, issuer or server.certificate.subject.public_bytes()))),
        inner_algorithm or algorithm,
        integer(4711),
        der(0x30, time(pki.now() + start), time(pki.now() + end)),
        der(0x30, fqan_attribute(fqans, authority or f"{vo}://{host}"), *attributes),
        der(
            0x30,
            extension(_AUTHORITY_KEY, der(0x30, der(0x80, key_id))),
            extension(_NO_REVOCATION, b"\x05\x00"),
            *([extension(_CERTIFICATES, der(0x30, der(0x30, *listed)))] if listed else []),
            *extensions,
        ),
    )
    signer = key or server.key
    assert isinstance(signer, rsa.RSAPrivateKey)
    digest = hashes.SHA1() if algorithm == RSA_SHA1 else hashes.SHA256()
    signature = signer.sign(body, padding.PKCS1v15(), digest)
    return der(0x30, body, algorithm, der(3, b"\0", signature))


def extension_value(*certificates: bytes) -> bytes:
    """The value of a proxy's AC extension."""
    return der(0x30, der(0x30, *certificates))


def voms_proxy(
    owner: Holder, server: Holder, fqans: Sequence[str] = ("/cms/Role=NULL/Capability=NULL",), **made: Any
) -> Holder:
    """A proxy of the owner with one attribute certificate."""
    return pki.proxy(owner, voms=extension_value(attribute_certificate(owner, server, fqans, **made)))
