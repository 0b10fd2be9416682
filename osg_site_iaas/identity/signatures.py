"""Checking one signature with one public key."""

from __future__ import annotations

from typing import Any, Optional

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from osg_site_iaas.identity.refused import UNREADABLE

_RSA_PKCS1 = "1.2.840.113549.1.1."
# OIDs of signatures that are accepted: RSA PKCS#1 1.5 and ECDSA, each with SHA-2.
ALGORITHMS: dict[str, type[hashes.HashAlgorithm]] = {
    _RSA_PKCS1 + "11": hashes.SHA256,
    _RSA_PKCS1 + "12": hashes.SHA384,
    _RSA_PKCS1 + "13": hashes.SHA512,
    "1.2.840.10045.4.3.2": hashes.SHA256,
    "1.2.840.10045.4.3.3": hashes.SHA384,
    "1.2.840.10045.4.3.4": hashes.SHA512,
}
SMALLEST_RSA = 1024  # bits; proxies of older tools still have 1024, and live for hours
_WEAK = (hashes.MD5, hashes.SHA1)


def verify(
    key: Any, signature: bytes, signed: bytes, algorithm: Optional[hashes.HashAlgorithm], oid: str
) -> None:
    """Return if the signature is good; InvalidSignature or UnsupportedAlgorithm if not, or if too weak."""
    if isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        key.verify(signature, signed)
        return
    if algorithm is None or isinstance(algorithm, _WEAK):
        raise UnsupportedAlgorithm(f"signature algorithm {oid} is not accepted")
    if isinstance(key, rsa.RSAPublicKey):
        if not oid.startswith(_RSA_PKCS1) or oid.endswith(".10"):
            raise UnsupportedAlgorithm(f"signature algorithm {oid} does not go with an RSA key")
        if key.key_size < SMALLEST_RSA:
            raise UnsupportedAlgorithm(f"an RSA key of {key.key_size} bits is not accepted")
        key.verify(signature, signed, padding.PKCS1v15(), algorithm)
    elif isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(signature, signed, ec.ECDSA(algorithm))
    else:
        raise UnsupportedAlgorithm(f"{type(key).__name__} is not accepted")


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether the issuer's key signed the certificate, in a way that is accepted."""
    try:
        verify(
            issuer.public_key(),
            certificate.signature,
            certificate.tbs_certificate_bytes,
            certificate.signature_hash_algorithm,
            certificate.signature_algorithm_oid.dotted_string,
        )
    except (InvalidSignature, *UNREADABLE):
        return False
    return True
