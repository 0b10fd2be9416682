"""RFC 3820 proxy certificates: what kind one is, and whether one may follow another in a chain."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Optional

from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from osg_site_iaas.identity import der

PROXY_CERT_INFO = "1.3.6.1.5.5.7.1.14"
_DRAFT_PROXY_CERT_INFO = "1.3.6.1.4.1.3536.1.222"
_LANGUAGES = {
    "1.3.6.1.5.5.7.21.1": "full",
    "1.3.6.1.5.5.7.21.2": "independent",
    "1.3.6.1.4.1.3536.1.1.1.9": "limited",
}
# Critical extensions that are understood in a proxy; any other makes it unusable, as X.509 asks.
_UNDERSTOOD = {PROXY_CERT_INFO, "2.5.29.15", "2.5.29.37", "2.5.29.19"}


class Kind(enum.Enum):
    """How much of its issuer's rights a proxy carries."""

    FULL = "full"
    LIMITED = "limited"
    INDEPENDENT = "independent"


@dataclass(frozen=True)
class ProxyInfo:
    """What the certificate says of itself; ``path_length`` is how many proxies may follow, None for any."""

    kind: Kind
    path_length: Optional[int]


class ProxyError(ValueError):
    """A proxy that breaks the rules; the text may be shown to its owner."""


def extension(certificate: x509.Certificate, oid: str) -> Optional[x509.Extension[x509.ExtensionType]]:
    """The certificate's extension of that OID, or None."""
    for found in certificate.extensions:
        if found.oid.dotted_string == oid:
            wanted: x509.Extension[x509.ExtensionType] = found
            return wanted
    return None


def info(certificate: x509.Certificate) -> Optional[ProxyInfo]:
    """What a proxy says of itself; None for a certificate that is not a proxy; ProxyError for a bad one."""
    if extension(certificate, _DRAFT_PROXY_CERT_INFO) is not None:
        raise ProxyError("a draft (GT3) proxy is not accepted")
    found = extension(certificate, PROXY_CERT_INFO)
    if found is None:
        return None
    if not found.critical:
        raise ProxyError("the proxy's proxyCertInfo is not critical")
    value = found.value
    assert isinstance(value, x509.UnrecognizedExtension)  # noqa: S101  # cryptography knows no proxyCertInfo
    try:
        parts = list(der.read(value.value).children(der.SEQUENCE))
        length = parts.pop(0).integer() if parts and parts[0].tag == der.INTEGER else None
        (policy,) = parts
        language = policy.children(der.SEQUENCE)[0].oid()
        extra = policy.children()[1:]
    except (der.DerError, ValueError, IndexError) as error:
        raise ProxyError("the proxy's proxyCertInfo cannot be read") from error
    if language not in _LANGUAGES or extra:
        raise ProxyError("the proxy carries a policy of its own, which is not supported")
    if length is not None and length < 0:
        raise ProxyError("the proxy's path length is negative")
    return ProxyInfo(Kind(_LANGUAGES[language]), length)


def check(proxy: x509.Certificate, issuer: x509.Certificate) -> None:
    """Return if the proxy may follow its issuer (a user's certificate or a proxy), by RFC 3820 section 3."""
    own, above = list(proxy.subject.rdns), list(issuer.subject.rdns)
    last = list(own[-1]) if own else []
    if own[:-1] != above or len(last) != 1 or last[0].oid != NameOID.COMMON_NAME:
        raise ProxyError("the proxy's subject is not its issuer's subject and one CN")
    if proxy.issuer.public_bytes() != issuer.subject.public_bytes():
        raise ProxyError("the proxy's issuer is not the certificate before it")
    for found in proxy.extensions:
        if found.oid in (ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ExtensionOID.ISSUER_ALTERNATIVE_NAME):
            raise ProxyError("a proxy with an alternative name is not accepted")
        if found.critical and found.oid.dotted_string not in _UNDERSTOOD:
            raise ProxyError(f"the proxy has an unknown critical extension {found.oid.dotted_string}")
    if is_ca(proxy) or is_ca(issuer):
        raise ProxyError("a CA certificate has no place among the proxies")
    if not may_sign_data(issuer):
        raise ProxyError("the key usage of the certificate before it does not allow a proxy")


def is_ca(certificate: x509.Certificate) -> bool:
    found = extension(certificate, "2.5.29.19")
    return found is not None and isinstance(found.value, x509.BasicConstraints) and found.value.ca


def may_sign_data(certificate: x509.Certificate) -> bool:
    """Whether keyUsage, where there is one, includes digitalSignature."""
    found = extension(certificate, "2.5.29.15")
    return found is None or (isinstance(found.value, x509.KeyUsage) and found.value.digital_signature)
