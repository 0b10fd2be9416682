"""Gratia's multiupdate protocol: one bundle of records in, and what the collector did with it out."""

from __future__ import annotations

import enum
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Mapping, Optional, Protocol, Sequence
from urllib.parse import quote

import requests
from urllib3.exceptions import HTTPError

from osg_site_iaas import __version__
from osg_site_iaas.accounting.settings import Collector
from osg_site_iaas.errors import AccountingError

CONNECT_TIMEOUT = 30  # seconds
_FREQUENT = '<>/"=:#\n+'  # in a record; the plus, before spaces become one
_RARE = re.compile(r"[^A-Za-z0-9_.~%+-]+")
ANSWER_LIMIT = 65536  # bytes; the answer to a bundle is two letters


class Fate(enum.Enum):
    """What became of a bundle."""

    TAKEN = "taken"
    REFUSED = "refused"  # the collector cannot read it, and never will
    LATER = "later"  # not now, for whatever reason


@dataclass(frozen=True)
class Outcome:
    """What became of a bundle, and the collector's words."""

    fate: Fate
    words: str = ""


class Sender(Protocol):
    """A way to a collector."""

    def send(self, records: Sequence[str], waiting: int) -> Outcome:
        """Send records as one bundle; ``waiting`` more are in the outbox. Never raises for the collector's sake."""

    def ping(self) -> Outcome:
        """Ask whether the collector answers at all."""


class Direct:
    """Our own client. Use as a context manager; raises AccountingError if the certificate cannot be read."""

    def __init__(self, collector: Collector, probe_name: str, bundle_size: int) -> None:
        self._collector = collector
        self._from = probe_name
        self._bundle_size = bundle_size
        self._session = self._connect()
        self._tls = _tls(collector) if collector.ssl else {}

    def __enter__(self) -> Direct:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._session.close()

    def send(self, records: Sequence[str], waiting: int) -> Outcome:
        """One multiupdate. Sent again at once if the connection broke: a record is known by its content."""
        return self._post({
            "command": "multiupdate",
            "arg1": envelope(records),
            "from": self._from,
            "xmlfiles": str(waiting),
            "tarfiles": "0",
            "maxpendingfiles": "0",
            "backlog": "0",
            "bundlesize": str(self._bundle_size),
        })  # fmt: skip

    def ping(self) -> Outcome:
        """The collector's ping."""
        return self._post({"command": "update", "arg1": "xxx", "from": self._from})

    def _post(self, form: Mapping[str, str]) -> Outcome:
        body = "&".join(f"{name}={encoded(value)}" for name, value in form.items()).encode("ascii")
        outcome, broken = self._once(body)
        if broken:  # the collector drops connections that were idle for a minute
            self._session.close()
            self._session = self._connect()
            outcome, _ = self._once(body)
        return outcome

    def _once(self, body: bytes) -> tuple[Outcome, bool]:
        try:
            with self._session.post(
                self._collector.url, data=body, timeout=(CONNECT_TIMEOUT, self._collector.timeout), stream=True,
                allow_redirects=False, **self._tls,
            ) as answer:  # fmt: skip
                text = answer.raw.read(ANSWER_LIMIT, decode_content=True).decode("utf-8", "replace").strip()
                return judge(answer.status_code, text), False
        except requests.exceptions.Timeout:
            return Outcome(Fate.LATER, f"no answer within {self._collector.timeout} seconds"), False
        except requests.exceptions.SSLError as error:
            return Outcome(Fate.LATER, f"TLS: {_cause(error)}"), False
        except (requests.exceptions.RequestException, OSError, HTTPError) as error:
            return Outcome(Fate.LATER, f"the connection failed: {_cause(error)}"), True

    def _connect(self) -> requests.Session:
        session = requests.Session()
        session.headers["Content-Type"] = "application/x-www-form-urlencoded"
        session.headers["User-Agent"] = f"osg-site-iaas/{__version__}"
        return session


def encoded(value: str) -> str:
    """What quote_plus makes of it, three times as fast for the XML of a bundle."""
    value = value.replace("%", "%25")
    for character in _FREQUENT:
        value = value.replace(character, f"%{ord(character):02X}")
    return _RARE.sub(lambda found: quote(found[0], safe=""), value.replace(" ", "+"))


def envelope(records: Sequence[str]) -> str:
    """Records as one document. A record has no XML declaration of its own."""
    inner = "\n".join(records)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<RecordEnvelope>\n{inner}\n</RecordEnvelope>\n'


def judge(status: int, text: str) -> Outcome:
    """What an answer means. Only an OK that is nothing else is one; what is not understood means later."""
    if status == 200 and text == "OK":
        return Outcome(Fate.TAKEN)
    words = f"{status} {_short(re.sub('<[^>]*>', ' ', text))}".strip()
    if status in (400, 413):
        return Outcome(Fate.REFUSED, words)
    return Outcome(Fate.LATER, words)


def _cause(error: BaseException) -> str:
    """What went wrong, without the words that the layers between have put around it."""
    inner: Any = error
    while True:
        inside = getattr(inner, "reason", None) or next(
            (part for part in getattr(inner, "args", ()) if isinstance(part, BaseException)), None
        )
        if not isinstance(inside, BaseException):
            break
        inner = inside
    return _short(re.sub(r"^(?:<[^>]*>|HTTPS?Connection[^:]*): ", "", str(inner)) or type(inner).__name__)


def _short(text: str) -> str:
    return " ".join(text.split())[:200]


def _tls(collector: Collector) -> dict[str, Any]:
    """What a request shows and trusts: said with each one, for a session's setting yields to REQUESTS_CA_BUNDLE."""
    for file in (collector.certificate, collector.key):
        _readable(file)
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(collector.certificate, collector.key, password=lambda: "")
    except ssl.SSLError as error:
        raise AccountingError(
            f"{collector.certificate} and {collector.key} do not belong together, or cannot be read: {error.reason}",
            todo="CertificateFile and KeyFile name the host's certificate and its key, in PEM, without a password",
        ) from error
    shown: dict[str, Any] = {"cert": (str(collector.certificate), str(collector.key))}
    if collector.authorities is not None:
        if not collector.authorities.exists():
            raise AccountingError(
                f"there is no {collector.authorities}",
                todo="CertificateAuthorities names a file of CA certificates, or a folder such as"
                " /etc/grid-security/certificates",
            )
        shown["verify"] = str(collector.authorities)
    return shown


def _readable(file: Path) -> None:
    try:
        with open(file, "rb"):
            pass
    except OSError as error:
        raise AccountingError(
            f"cannot read {file}: {error.strerror}",
            todo="CertificateFile and KeyFile name the host's certificate; the probe's user must read it",
        ) from error
