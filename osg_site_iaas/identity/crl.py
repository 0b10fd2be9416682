"""A certificate revocation list, read once."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any, Optional

from cryptography import x509
from cryptography.hazmat.primitives import hashes


@dataclass(frozen=True)
class Crl:
    """Who revoked what; times are aware UTC."""

    issuer: bytes  # DER
    serials: frozenset[int]
    issued: dt.datetime
    until: Optional[dt.datetime]
    signature: bytes
    tbs: bytes
    hash_algorithm: Optional[hashes.HashAlgorithm]
    algorithm: str


def read_crl(data: bytes) -> Crl:
    """A list from PEM or DER; ValueError if it is none, or is partial and so could hide a revocation."""
    pem = b"-----BEGIN" in data
    crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
    for extension in crl.extensions:
        known = isinstance(extension.value, (x509.CRLNumber, x509.AuthorityKeyIdentifier))
        if extension.critical and not known:
            raise ValueError(f"critical extension {extension.oid.dotted_string} in a revocation list")
        if isinstance(extension.value, x509.DeltaCRLIndicator):
            raise ValueError("only a delta of a revocation list")
    return Crl(
        issuer=crl.issuer.public_bytes(),
        serials=frozenset(entry.serial_number for entry in crl),
        issued=_time(crl, "last_update"),
        until=_time(crl, "next_update") if _has_end(crl) else None,
        signature=crl.signature,
        tbs=crl.tbs_certlist_bytes,
        hash_algorithm=crl.signature_hash_algorithm,
        algorithm=crl.signature_algorithm_oid.dotted_string,
    )


def _has_end(crl: Any) -> bool:
    return (crl.next_update_utc if hasattr(crl, "next_update_utc") else crl.next_update) is not None


def _time(item: Any, name: str) -> dt.datetime:
    """A time of a certificate or list; cryptography before 42 has only naive UTC ones."""
    aware = getattr(item, f"{name}_utc", None)
    value: dt.datetime = aware if aware is not None else getattr(item, name).replace(tzinfo=dt.timezone.utc)
    return value


def validity(certificate: x509.Certificate) -> tuple[dt.datetime, dt.datetime]:
    """First and last moment at which the certificate is good."""
    return _time(certificate, "not_valid_before"), _time(certificate, "not_valid_after")
