"""Makes a grid's public key infrastructure for tests: CAs, certificates, proxies, CRLs, a trust directory.

Everything is fresh, lives in memory until ``Grid`` lays it out as ``/etc/grid-security`` has it, and is as
wrong as a test asks: each maker takes what an attacker could choose.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional, Sequence, Union

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

_OIDS = {
    "DC": NameOID.DOMAIN_COMPONENT,
    "C": NameOID.COUNTRY_NAME,
    "O": NameOID.ORGANIZATION_NAME,
    "OU": NameOID.ORGANIZATIONAL_UNIT_NAME,
    "CN": NameOID.COMMON_NAME,
    "emailAddress": NameOID.EMAIL_ADDRESS,
}
FULL, LIMITED = bytes.fromhex("06082b06010505071501"), bytes.fromhex("060b2b060104019b5001010109")
INDEPENDENT = bytes.fromhex("06082b06010505071502")
ORG = "/DC=org/DC=example/O=Grid"
HOUR = dt.timedelta(hours=1)


def now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc).replace(microsecond=0)


def der(tag: int, *parts: bytes) -> bytes:
    """One DER element around the parts."""
    body = b"".join(parts)
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def name(dn: str) -> x509.Name:
    """A Name from the slash form; a value may hold slashes that no KEY= follows."""
    attributes: list[list[str]] = []
    for part in dn.strip("/").split("/"):
        key, equals, value = part.partition("=")
        if equals and key in _OIDS:
            attributes.append([key, value])
        else:
            attributes[-1][1] += "/" + part
    return x509.Name([x509.NameAttribute(_OIDS[k], v) for k, v in attributes])


_spare = itertools.cycle(range(12))


@functools.cache
def _rsa(number: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key, out of a dozen made once: making them is most of a test PKI's cost."""
    return _rsa(next(_spare))


def new_key() -> rsa.RSAPrivateKey:
    """A key that nobody else has: for those who must not have another's by chance."""
    return rsa.generate_private_key(65537, 2048)


@dataclass(frozen=True)
class Holder:
    """A certificate with its key, and the certificates that go with it (issuer next)."""

    certificate: x509.Certificate
    key: Any
    above: tuple[Holder, ...] = ()

    @property
    def dn(self) -> str:
        return "".join(f"/{a.rfc4514_attribute_name}={a.value}" for a in self.certificate.subject)

    @property
    def chain(self) -> list[x509.Certificate]:
        """The proxies and the end entity, leaf first: what a client sends."""
        return [self.certificate, *(h.certificate for h in self.above)]

    def pem(self) -> bytes:
        """As a proxy file has it: certificate, key, the rest of the chain."""
        return b"".join(
            [cert_pem(self.certificate), self.key_pem(), *(cert_pem(h.certificate) for h in self.above)]
        )

    def key_pem(self) -> bytes:
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )

    def write(self, path: Path) -> Path:
        """The proxy file, mode 0600."""
        path.touch(mode=0o600)
        path.write_bytes(self.pem())
        return path


def cert_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


Extension = tuple[x509.ExtensionType, bool]


def make(
    subject: Union[str, x509.Name],
    key: Any,
    issuer: Optional[Holder] = None,
    *,
    start: dt.timedelta = -HOUR,
    end: dt.timedelta = 24 * HOUR,
    serial: Optional[int] = None,
    extensions: Sequence[Extension] = (),
    digest: Optional[hashes.HashAlgorithm] = None,
    issuer_name: Optional[x509.Name] = None,
    signer: Any = None,
    identifiers: bool = True,
) -> x509.Certificate:
    """One certificate; without ``identifiers`` as older CAs made them.

    ``signer`` and ``issuer_name`` override what the issuer would give, for forgeries.
    """
    named = name(subject) if isinstance(subject, str) else subject
    builder = x509.CertificateBuilder(
        issuer_name=issuer_name or (issuer.certificate.subject if issuer else named),
        subject_name=named,
        public_key=key.public_key(),
        serial_number=serial or x509.random_serial_number(),
        not_valid_before=now() + start,
        not_valid_after=now() + end,
    )
    above = issuer.key if issuer else key
    own: list[Extension] = [
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), False),
    ]
    for value, critical in (*(own if identifiers else ()), *extensions):
        builder = builder.add_extension(value, critical)
    return builder.sign(signer or above, digest or hashes.SHA256())


def key_usage(*names: str) -> x509.KeyUsage:
    flags = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
    )
    flags += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{flag: flag in names for flag in flags})


def ca(
    dn: str = f"{ORG}/CN=Test CA",
    issuer: Optional[Holder] = None,
    *,
    path_length: Optional[int] = None,
    **made: Any,
) -> Holder:
    key = made.pop("key", None) or rsa_key()
    extensions = [
        (x509.BasicConstraints(ca=True, path_length=path_length), True),
        (key_usage("key_cert_sign", "crl_sign"), True),
        *made.pop("extensions", ()),
    ]
    above = (issuer, *issuer.above) if issuer else ()
    made.setdefault("end", 24 * 365 * HOUR)
    return Holder(make(dn, key, issuer, extensions=extensions, **made), key, above)


def end_entity(
    dn: str, issuer: Holder, *, hosts: Sequence[str] = (), usage: Optional[x509.KeyUsage] = None, **made: Any
) -> Holder:
    """A user's certificate, or a host's if it has host names; ``above`` is empty as the CAs are not sent."""
    key = made.pop("key", None) or rsa_key()
    extensions: list[Extension] = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage or key_usage("digital_signature", "key_encipherment"), True),
        *made.pop("extensions", ()),
    ]
    if hosts:
        import ipaddress

        alternatives: list[x509.GeneralName] = [
            x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts
        ]
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        extensions += [
            (x509.SubjectAlternativeName(alternatives), False),
            (x509.ExtendedKeyUsage(purposes), False),
        ]
    return Holder(make(dn, key, issuer, extensions=extensions, **made), key)


def proxy(
    owner: Holder,
    *,
    policy: bytes = FULL,
    path_length: Optional[int] = None,
    cn: Optional[str] = None,
    subject: Optional[x509.Name] = None,
    voms: Optional[bytes] = None,
    critical: bool = True,
    info: Optional[bytes] = None,
    **made: Any,
) -> Holder:
    """An RFC 3820 proxy of the owner; ``voms`` is the value of its AC extension in DER."""
    key = made.pop("key", None) or ec.generate_private_key(ec.SECP256R1())
    serial = made.setdefault("serial", x509.random_serial_number() >> 96)
    length = b"" if path_length is None else der(2, bytes([path_length]))
    body = info if info is not None else der(0x30, length, der(0x30, policy))
    extensions: list[Extension] = [
        (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.5.5.7.1.14"), body), critical),
        (key_usage("digital_signature", "key_encipherment"), True),
        *made.pop("extensions", ()),
    ]
    if voms is not None:
        extensions.append(
            (x509.UnrecognizedExtension(ObjectIdentifier("1.3.6.1.4.1.8005.100.100.5"), voms), False)
        )
    rdns = [*owner.certificate.subject, x509.NameAttribute(NameOID.COMMON_NAME, cn or str(serial))]
    made.setdefault("end", 12 * HOUR)
    issuer = made.pop("issuer", owner)
    certificate = make(subject or x509.Name(rdns), key, issuer, extensions=extensions, **made)
    return Holder(certificate, key, (owner, *owner.above))


def crl(
    issuer: Holder,
    revoked: Sequence[int] = (),
    *,
    start: dt.timedelta = -HOUR,
    end: dt.timedelta = 24 * HOUR,
    signer: Any = None,
    extensions: Sequence[Extension] = (),
) -> bytes:
    """The CA's revocation list in PEM, as fetch-crl writes it."""
    builder = x509.CertificateRevocationListBuilder(
        issuer_name=issuer.certificate.subject, last_update=now() + start, next_update=now() + end
    )
    for serial in revoked:
        entry = x509.RevokedCertificateBuilder(serial_number=serial, revocation_date=now() + start).build()
        builder = builder.add_revoked_certificate(entry)
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(signer or issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def old_hash(authority: x509.Name) -> str:
    """The file stem that OpenSSL before 1.0 gave a name: four bytes of an MD5."""
    digest = hashlib.md5(authority.public_bytes(), usedforsecurity=False).digest()
    return f"{int.from_bytes(digest[:4], 'little'):08x}"


def new_hash(authority: x509.Name) -> str:
    """The file stem of today: four bytes of a SHA-1 over the canonical name (UTF8String, small letters)."""
    rdns = b""
    for attribute in authority:
        oid = x509.Name([attribute]).public_bytes()
        start = oid.index(b"\x06", 2)
        kind = oid[start : start + 2 + oid[start + 1]]
        text = " ".join(str(attribute.value).lower().split()).encode()
        rdns += der(0x31, der(0x30, kind, der(0x0C, text)))
    return f"{int.from_bytes(hashlib.sha1(rdns, usedforsecurity=False).digest()[:4], 'little'):08x}"


def signing_policy(authority: Holder, *subjects: str) -> str:
    quoted = " ".join(f'"{s}"' for s in subjects or (f"{ORG}/*",))
    return f"access_id_CA X509 '{authority.dn}'\npos_rights globus CA:sign\ncond_subjects globus '{quoted}'\n"


@dataclass
class Grid:
    """``/etc/grid-security`` below ``root``: ``certificates`` and ``vomsdir``."""

    root: Path
    written: dict[str, bytes] = field(default_factory=dict)

    @property
    def certificates(self) -> Path:
        return self.root / "certificates"

    @property
    def vomsdir(self) -> Path:
        return self.root / "vomsdir"

    def trust(self, authority: Holder, *subjects: str, policy: Optional[str] = None) -> None:
        """Install a CA under both hashes with a signing policy (``policy=""`` for none)."""
        self.certificates.mkdir(parents=True, exist_ok=True)
        text = signing_policy(authority, *subjects) if policy is None else policy
        for stem in self.stems(authority):
            (self.certificates / f"{stem}.0").write_bytes(cert_pem(authority.certificate))
            if text:
                (self.certificates / f"{stem}.signing_policy").write_text(text)

    def revoke(self, authority: Holder, revoked: Sequence[int] = (), **made: Any) -> None:
        """Install the CA's revocation list under both hashes, in one rename as fetch-crl does."""
        for stem in self.stems(authority):
            fresh = self.certificates / f"{stem}.new"
            fresh.write_bytes(crl(authority, revoked, **made))
            fresh.replace(self.certificates / f"{stem}.r0")

    def lsc(self, vo: str, *dns: str, host: str = "voms.example.org") -> None:
        """Say which server speaks for the VO: its DN, then its CA's."""
        (self.vomsdir / vo).mkdir(parents=True, exist_ok=True)
        (self.vomsdir / vo / f"{host}.lsc").write_text("".join(f"{dn}\n" for dn in dns))

    @staticmethod
    def stems(authority: Holder) -> tuple[str, str]:
        subject = authority.certificate.subject
        return new_hash(subject), old_hash(subject)
