"""The grid's trust directory (``/etc/grid-security/certificates``), read again whenever it changes.

CAs are ``HASH.n``, revocation lists ``HASH.rn`` (as fetch-crl writes them), policies ``HASH.signing_policy``
and ``HASH.namespaces``. A file that cannot be read is logged, and what it stood for is gone; the rest holds.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterable, Mapping, Optional, Union

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import signatures
from osg_site_iaas.identity.crl import Crl, read_crl
from osg_site_iaas.identity.policy import Policy, namespaces, signing_policy
from osg_site_iaas.identity.refused import UNREADABLE

log = logging.getLogger(__name__)
DEFAULT_DIRECTORY = Path("/etc/grid-security/certificates")
_WANTED = re.compile(r"(?P<stem>[0-9a-f]{8})\.(?P<kind>\d+|r\d+|signing_policy|namespaces)\Z")
_LARGEST = 64 << 20  # bytes; the largest grid CRLs are a few MB

Fingerprint = tuple[int, int, int]


class Unreadable:
    """Stands for a revocation list that cannot be read: better nobody of that CA than a revoked one."""


Content = Union[x509.Certificate, Crl, Policy, Unreadable]


@dataclass(frozen=True)
class Anchor:
    """A CA of the trust directory, with the policies of its file stem."""

    certificate: x509.Certificate
    subject: bytes  # DER
    policies: tuple[Policy, ...]
    crl_unreadable: bool = False


@dataclass(frozen=True)
class Trust:
    """What the directory held at one moment; ``generation`` grows with each change."""

    anchors: Mapping[bytes, tuple[Anchor, ...]]  # by subject in DER
    crls: Mapping[bytes, tuple[Crl, ...]]  # by issuer in DER
    generation: int = 0

    def issuers_of(self, certificate: x509.Certificate) -> tuple[Anchor, ...]:
        """The CAs here whose name is the certificate's issuer; the signature is not looked at."""
        return self.anchors.get(certificate.issuer.public_bytes(), ())


@dataclass
class TrustDirectory:
    """The directory, read at most every ``recheck`` seconds; safe to use from many threads."""

    path: Path = DEFAULT_DIRECTORY
    recheck: float = 5.0
    clock: Callable[[], float] = time.monotonic
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _files: dict[str, tuple[Fingerprint, Optional[Content]]] = field(default_factory=dict, repr=False)
    _trust: Optional[Trust] = field(default=None, repr=False)
    _next: float = field(default=0.0, repr=False)

    def current(self) -> Trust:
        """What is trusted now; SiteError if the directory is missing or holds no CA."""
        now = self.clock()
        if self._trust is not None and now < self._next:
            return self._trust
        with self._lock:
            if self._trust is None or self.clock() >= self._next:
                self._read()
                self._next = self.clock() + self.recheck
            return self._trust  # type: ignore[return-value]  # _read has set it

    def _read(self) -> None:
        listed = self._list()
        if self._trust is not None and listed == {name: print_ for name, (print_, _) in self._files.items()}:
            return
        files: dict[str, tuple[Fingerprint, Optional[Content]]] = {}
        for name, fingerprint in listed.items():
            known = self._files.get(name)
            unchanged = known is not None and known[0] == fingerprint
            files[name] = known if known and unchanged else (fingerprint, self._load(name))
        generation = self._trust.generation + 1 if self._trust else 1
        self._files = files
        self._trust = _assemble({n: c for n, (_, c) in files.items() if c is not None}, generation)
        count = sum(map(len, self._trust.anchors.values()))
        if not count:
            log.error("no CA can be read in %s: every certificate will be refused", self.path)
        log.info("trust directory %s: %d CAs, generation %d", self.path, count, generation)

    def _list(self) -> dict[str, Fingerprint]:
        found = {}
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if _WANTED.match(entry.name):
                        try:
                            stat = entry.stat()
                        except FileNotFoundError:  # a dangling link, or replaced while we look
                            continue
                        found[entry.name] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except OSError as error:
            raise SiteError(
                f"the trust directory cannot be read: {error.strerror}",
                where=str(self.path),
                todo="install the grid's CA certificates (osg-ca-certs or igtf-ca-certs)",
            ) from error
        return found

    def _load(self, name: str) -> Optional[Content]:
        match = _WANTED.match(name)
        assert match is not None  # noqa: S101  # _list keeps no other
        file = self.path / name
        try:
            with file.open("rb") as stream:
                data = stream.read(_LARGEST + 1)
            if len(data) > _LARGEST:
                raise ValueError("larger than 64 MiB")
            kind = match["kind"]
            if kind == "signing_policy":
                return signing_policy(data.decode("utf-8", "replace"), name)
            if kind == "namespaces":
                return namespaces(data.decode("utf-8", "replace"), name)
            return read_crl(data) if kind.startswith("r") else _certificate(data)
        except (OSError, *UNREADABLE) as error:
            log.warning("%s is ignored: %s", file, error)
            if match["kind"] in ("signing_policy", "namespaces"):
                return Policy(name, ())  # it must not turn into no policy at all
            return Unreadable() if match["kind"].startswith("r") else None


def _certificate(data: bytes) -> x509.Certificate:
    pem = b"-----BEGIN" in data
    found = x509.load_pem_x509_certificate(data) if pem else x509.load_der_x509_certificate(data)
    found.subject.public_bytes()  # names are parsed only now: here a bad one takes away this file alone
    found.issuer.public_bytes()
    return found


def _assemble(content: Mapping[str, Content], generation: int) -> Trust:
    anchors: dict[bytes, dict[bytes, Anchor]] = {}
    crls: dict[bytes, list[Crl]] = {}
    for name in sorted(content):
        item = content[name]
        if isinstance(item, x509.Certificate):
            stem = name.split(".")[0]
            found = (content.get(f"{stem}.namespaces"), content.get(f"{stem}.signing_policy"))
            policies = tuple(p for p in found if isinstance(p, Policy))
            subject, whole = item.subject.public_bytes(), item.public_bytes(Encoding.DER)
            known = anchors.setdefault(subject, {}).get(whole)
            # The same CA under both hashes: only one of the stems may have the policies beside it.
            if known is None or not known.policies:
                broken = any(isinstance(content.get(f"{stem}.r{n}"), Unreadable) for n in range(10))
                anchors[subject][whole] = Anchor(item, subject, policies, broken)
    authorities = {subject: tuple(found.values()) for subject, found in anchors.items()}
    for item in content.values():
        if isinstance(item, Crl) and _is_from(item, authorities.get(item.issuer, ())):
            crls.setdefault(item.issuer, []).append(item)
    return Trust(authorities, {issuer: tuple(found) for issuer, found in crls.items()}, generation)


def _is_from(crl: Crl, authorities: Iterable[Anchor]) -> bool:
    """Whether one of the CAs signed the list; a forged list is worth nothing."""
    for anchor in authorities:
        try:
            signatures.verify(
                anchor.certificate.public_key(), crl.signature, crl.tbs, crl.hash_algorithm, crl.algorithm
            )
            return True
        except (InvalidSignature, *UNREADABLE):
            continue
    log.warning("a revocation list with a CA's name but without its signature is ignored")
    return False
