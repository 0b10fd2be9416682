"""Certificates and keys in files, as a host has them; what is wrong with a file in words for who put it there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from osg_site_iaas.errors import SiteError

_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_BEGINS = "it begins with -----BEGIN CERTIFICATE-----, and what stands above it at the CA follows"


def certificates(path: Path) -> list[x509.Certificate]:
    """A file's certificates, the host's own first. PermissionError where it may not be read; else SiteError."""
    content = _content(path)
    blocks = _CERTIFICATE.findall(content)
    if not blocks:
        what = "is empty" if not content.strip() else "holds no certificate in PEM form"
        if content[:2] == b"\x30\x82":
            raise SiteError(
                "is in DER form, and services read PEM",
                where=str(path),
                todo=f"openssl x509 -inform der -in {path} -out {path}",
            )
        raise SiteError(what, where=str(path), todo=f"put the host's certificate there: {_BEGINS}")
    found = []
    for number, block in enumerate(blocks, 1):
        try:
            found.append(x509.load_pem_x509_certificate(block))
        except ValueError as error:
            raise SiteError(
                f"its certificate {number} of {len(blocks)} is damaged",
                where=str(path),
                todo=f"copy it again from where it came; `openssl x509 -in {path} -noout -text` shows a good one",
            ) from error
    return found


def private_key(path: Path) -> Any:
    """A file's key. PermissionError where it may not be read; else SiteError."""
    content = _content(path)
    try:
        return load_pem_private_key(content, None)
    except TypeError as error:  # what cryptography raises for one that is encrypted
        raise SiteError(
            "the key has a passphrase, which no service can type",
            where=str(path),
            todo=f"openssl pkey -in {path} -out {path}.plain, mode 0600, and put that in its place",
        ) from error
    except ValueError as error:
        what = "is empty" if not content.strip() else "holds no key that can be read"
        raise SiteError(
            what, where=str(path), todo="put the certificate's key there, in PEM form without a passphrase"
        ) from error


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except PermissionError:
        raise
    except FileNotFoundError as error:
        raise SiteError(
            "is not there", where=str(path), todo="install the host's certificate and key"
        ) from error
    except OSError as error:
        raise SiteError(
            f"cannot be read: {error.strerror}", where=str(path), todo="install it again"
        ) from error
