"""Makes a sandbox's test authority, host certificate and one user certificate; what is there stays."""

import os
import sys
from datetime import datetime, timedelta, timezone
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 3650
BASE = ((NameOID.DOMAIN_COMPONENT, "org"), (NameOID.DOMAIN_COMPONENT, "sandbox"))


def name(*parts):
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in (*BASE, *parts)])


def write(path, content, mode=0o600):
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(content)


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def certificate(subject, key, issuer, issuer_key, *, authority=False, uses=(), names=()):
    now = datetime.now(timezone.utc) - timedelta(minutes=5)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=DAYS))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
        .add_extension(
            x509.KeyUsage(
                digital_signature=True, key_encipherment=not authority,
                key_cert_sign=authority, crl_sign=authority, content_commitment=False,
                data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
            ),
            critical=True,
        )
    )  # fmt: skip
    if uses:
        builder = builder.add_extension(x509.ExtendedKeyUsage(uses), critical=False)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def main():
    folder = Path(sys.argv[1])
    if (folder / "user.pem").exists():
        return
    keys = {
        part: rsa.generate_private_key(public_exponent=65537, key_size=2048)
        for part in ("ca", "host", "user")
    }
    authority = name((NameOID.COMMON_NAME, "Sandbox Test CA"))
    localhost = (x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1")))
    user = name((NameOID.ORGANIZATIONAL_UNIT_NAME, "Users"), (NameOID.COMMON_NAME, "Sandbox User"))
    host = name((NameOID.COMMON_NAME, "localhost"))
    made = {
        "ca": certificate(authority, keys["ca"], authority, keys["ca"], authority=True),
        "host": certificate(
            host,
            keys["host"],
            authority,
            keys["ca"],
            uses=(ExtendedKeyUsageOID.SERVER_AUTH,),
            names=localhost,
        ),
        "user": certificate(
            user, keys["user"], authority, keys["ca"], uses=(ExtendedKeyUsageOID.CLIENT_AUTH,)
        ),
    }
    for part in ("ca", "host", "user"):
        write(folder / f"{part}.key", key_pem(keys[part]))
        write(folder / f"{part}.pem", made[part].public_bytes(serialization.Encoding.PEM))


main()
