"""A grid to rehearse with: a user, a VOMS server and a token issuer, all vouched for by the sandbox's own authority.

The user's proxies are made by ``voms-proxy-fake`` of voms-clients, which does what a VOMS server and
``voms-proxy-init`` do together; tokens are signed with the key of the sandbox's issuer. Both are as good as real
ones at the sandbox's door, and worth nothing anywhere else.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Iterable, Sequence

import jwt
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import issuer
from osg_site_iaas.sandbox.folders import make_private, write_private
from osg_site_iaas.sandbox.model import Box

MAKER = "voms-proxy-fake"
SERVER_HOST = "voms.example.org"
HOURS = 12  # that a proxy or a token lasts
DAYS = 3650
IDENTITY_FILE = "identity.yml"  # where the sandbox's Keystone looks for its door's settings


def can_make_proxies() -> bool:
    """Whether voms-clients is installed."""
    return shutil.which(MAKER) is not None


class Grid:
    """The trust that a site has in ``/etc/grid-security``, below the sandbox's folder, and makers of credentials."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self.folder = box.folder / "grid"
        self.certificates = self.folder / "certificates"
        self.vomsdir = self.folder / "vomsdir"
        self.ca = box.pki / "ca.pem"

    def prepare(self, vos: Iterable[str]) -> None:
        """Trust the sandbox's authority, and its VOMS server as the one that speaks for these VOs."""
        make_private(self.certificates)
        authority = _certificate(self.ca)
        stem = file_stem(authority.subject)
        dn = _dn(authority.subject)
        namespace = dn.rpartition("/CN=")[0]
        _write(self.certificates / f"{stem}.0", self.ca.read_text())
        policy = (
            f"access_id_CA X509 '{dn}'\npos_rights globus CA:sign\ncond_subjects globus '\"{namespace}/*\"'\n"
        )
        _write(self.certificates / f"{stem}.signing_policy", policy)
        server = self._server(authority)
        for vo in vos:
            make_private(self.vomsdir / vo)
            _write(self.vomsdir / vo / f"{SERVER_HOST}.lsc", f"{_dn(server.subject)}\n{dn}\n")

    def open_door(self, site: Path) -> None:
        """Let the sandbox's Keystone take grid logins, as ``site`` says."""
        told = {
            "site": str(site),
            "certificates": str(self.certificates),
            "vomsdir": str(self.vomsdir),
            "hosts": ["localhost"],
            "issuer_ca": str(self.ca),
            "recheck": 0,
            "keys": str(self.folder / "keys"),
            "logins": str(self.folder / "logins.sqlite"),
        }
        _write(self._box.folder / IDENTITY_FILE, yaml.safe_dump(told, sort_keys=False))

    def issuer(self, vo: str) -> str:
        """The URL of the VO's token issuer."""
        return self._box.url("issuer", f"/{vo}", scheme="https")

    def proxy(self, file: Path, vo: str, fqans: Sequence[str] = ()) -> Path:
        """A VOMS proxy of the sandbox's user, in a file; SandboxError if voms-clients is not installed."""
        if not can_make_proxies():
            raise SandboxError(
                f"{MAKER} is not installed", todo="install voms-clients (EPEL: voms-clients-cpp)"
            )
        fresh = file.with_name(f".{file.name}.{uuid.uuid4().hex[:8]}")
        said = [word for fqan in fqans or (f"/{vo}",) for word in ("-fqan", fqan)]
        pki = self._box.pki
        command = [
            MAKER, "-rfc", "-newformat", "-quiet", "-hours", str(HOURS), "-voms", vo, *said,
            "-cert", str(pki / "user.pem"), "-key", str(pki / "user.key"), "-certdir", str(self.certificates),
            "-hostcert", str(self.folder / "voms.pem"), "-hostkey", str(self.folder / "voms.key"),
            "-uri", f"{SERVER_HOST}:15000", "-out", str(fresh),
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode or not fresh.exists():
            raise SandboxError(f"{MAKER} failed: {(done.stderr or done.stdout).strip()[-500:]}")
        fresh.chmod(0o600)
        fresh.replace(file)
        return file

    def token(
        self,
        file: Path,
        vo: str,
        *,
        subject: str,
        audience: str,
        groups: Sequence[str] = (),
        scope: str = "compute.read compute.create compute.modify compute.cancel",
    ) -> Path:
        """A WLCG token of the VO's issuer, in a file."""
        now = dt.datetime.now(dt.timezone.utc)
        claims = {
            "wlcg.ver": "1.0",
            "iss": self.issuer(vo),
            "sub": subject,
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + dt.timedelta(hours=HOURS),
            "jti": uuid.uuid4().hex,
            "scope": scope,
            "wlcg.groups": list(groups) or [f"/{vo}"],
        }
        key = issuer.signing_key(self._box.data / "issuer")
        write_private(file, jwt.encode(claims, key, issuer.ALGORITHM, {"kid": issuer.key_id(key)}) + "\n")
        return file

    def _server(self, authority: x509.Certificate) -> x509.Certificate:
        """The VOMS server's certificate; made the first time, and again if the authority is another."""
        file = self.folder / "voms.pem"
        if file.exists() and _certificate(file).issuer == authority.subject:
            return _certificate(file)
        signer = serialization.load_pem_private_key((self._box.pki / "ca.key").read_bytes(), None)
        assert isinstance(signer, rsa.RSAPrivateKey)  # noqa: S101
        key = rsa.generate_private_key(65537, 2048)
        now = dt.datetime.now(dt.timezone.utc)
        base = [a for a in authority.subject if a.oid == NameOID.DOMAIN_COMPONENT]
        named = [
            *base,
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Services"),
            x509.NameAttribute(NameOID.COMMON_NAME, SERVER_HOST),
        ]
        made = (
            x509.CertificateBuilder()
            .subject_name(x509.Name(named))
            .issuer_name(authority.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(days=DAYS))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            # voms-proxy-fake takes the signer's key identifier from here.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(SERVER_HOST)]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
        _write(self.folder / "voms.key", pem.decode())
        _write(file, made.public_bytes(serialization.Encoding.PEM).decode())
        return made


def file_stem(name: x509.Name) -> str:
    """The name by which OpenSSL finds a CA in a directory: of a SHA-1 over its name in small letters."""
    rdns = b""
    for attribute in name:
        text = " ".join(str(attribute.value).lower().split()).encode()
        kind = x509.Name([attribute]).public_bytes()
        at = kind.index(b"\x06", 2)
        oid = kind[at : at + 2 + kind[at + 1]]
        value = b"\x0c" + bytes([len(text)]) + text
        inner = b"\x30" + bytes([len(oid) + len(value)]) + oid + value
        rdns += b"\x31" + bytes([len(inner)]) + inner
    return f"{int.from_bytes(hashlib.sha1(rdns, usedforsecurity=False).digest()[:4], 'little'):08x}"


def _dn(name: x509.Name) -> str:
    return "".join(f"/{attribute.rfc4514_attribute_name}={attribute.value!s}" for attribute in name)


def _certificate(file: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(file.read_bytes())


def _write(file: Path, text: str) -> None:
    """Only what is new is written: the door reads its files again whenever they change."""
    if not file.exists() or file.read_text() != text:
        write_private(file, text)
