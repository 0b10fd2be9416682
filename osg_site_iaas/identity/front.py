"""A TLS front in Python for a small site or a rehearsal: asks clients for a certificate, and takes RFC 3820 proxies.

What it hands on are mod_ssl's variables, so that the middleware behind it need not know which front there is.
Python 3.10 or later is needed: before that ``ssl`` can neither take proxies nor give their chain. A larger site
uses Apache with mod_gridsite.
"""

from __future__ import annotations

import importlib
import logging
import ssl
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Optional

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.trust import TrustDirectory

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Files:
    """The host's own certificate (with what stands above it) and key, and the grid's CAs."""

    certificate: Path
    key: Path
    authorities: Path


def context(files: Files) -> ssl.SSLContext:
    """TLS 1.2 or later that asks for a client certificate and goes on without one; a bad one ends the connection."""
    if sys.version_info < (3, 10):
        raise SiteError(
            "this Python cannot take proxies over TLS",
            todo="run the front with Python 3.11, or use Apache and mod_gridsite",
        )
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        made.load_cert_chain(files.certificate, files.key)
        made.load_verify_locations(capath=str(files.authorities))
    except (OSError, ssl.SSLError) as error:
        raise SiteError(
            f"the host's certificate or key cannot be used: {error}", where=str(files.certificate)
        ) from error
    made.verify_mode = ssl.CERT_OPTIONAL
    made.verify_flags |= ssl.VERIFY_ALLOW_PROXY_CERTS
    # Python 3.13's default contexts have this flag, this one has not, and must not get it: some grid CAs'
    # certificates have no key identifier, which it refuses. Our own verification follows and does not rest on it.
    made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    # A resumed session would come without the chain of the first.
    made.options |= ssl.OP_NO_TICKET
    made.num_tickets = 0
    return made


def variables(connection: ssl.SSLSocket) -> dict[str, str]:
    """mod_ssl's variables for a connection: the chain as the client sent it, leaf first; the middleware judges it."""
    chain = _chain(connection)
    found = {"wsgi.url_scheme": "https", "HTTPS": "on", "SSL_CLIENT_VERIFY": "SUCCESS" if chain else "NONE"}
    for number, der in enumerate(chain):
        name = "SSL_CLIENT_CERT" if number == 0 else f"SSL_CLIENT_CERT_CHAIN_{number - 1}"
        found[name] = ssl.DER_cert_to_PEM_cert(der)
    return found


def _chain(connection: ssl.SSLSocket) -> list[bytes]:
    if connection.getpeercert(binary_form=True) is None:
        return []
    public = getattr(connection, "get_unverified_chain", None)  # from Python 3.13 on
    if public is not None:
        return list(public())
    inner: Any = connection._sslobj  # type: ignore[attr-defined]
    return [
        ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in inner.get_unverified_chain()
    ]


class Renewing:
    """A context that follows the trust directory and the host's own certificate; made anew when one has changed."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._trust = TrustDirectory(files.authorities)
        self._lock = threading.Lock()
        self._of: Optional[tuple[int, ...]] = None
        self._context: Optional[ssl.SSLContext] = None

    def current(self) -> ssl.SSLContext:
        """The context for the next connection; if it cannot be made anew, the one there is."""
        with self._lock:
            try:
                mark = (self._trust.current().generation, *(f.stat().st_mtime_ns for f in self._own()))
                if mark != self._of:
                    self._context, self._of = context(self._files), mark
            except (SiteError, OSError) as error:
                if self._context is None:
                    raise
                log.error("the front goes on with its former certificates: %s", error)
            assert self._context is not None  # noqa: S101
            return self._context

    def _own(self) -> tuple[Path, Path]:
        return self._files.certificate, self._files.key


def server(
    app: Any,
    host: str,
    port: int,
    files: Files,
    *,
    threads: int = 16,
    no_tls: Callable[[], None] = lambda: None,
) -> Any:
    """A cheroot server for a WSGI application, ready to ``start()``; SiteError if cheroot is not installed.

    ``no_tls`` is called for each connection that ends in the handshake.
    """
    try:
        wsgi: Any = importlib.import_module("cheroot.wsgi")
        builtin: Any = importlib.import_module("cheroot.ssl.builtin")
        errors: Any = importlib.import_module("cheroot.errors")
    except ImportError as error:
        raise SiteError(
            "the Python front needs cheroot", todo="install python3-cheroot, or use Apache"
        ) from error
    renewing = Renewing(files)

    class Adapter(builtin.BuiltinSSLAdapter):  # type: ignore[misc]
        def wrap(self, sock: Any) -> Any:
            self.context = renewing.current()
            try:
                return super().wrap(sock)
            except (OSError, errors.FatalSSLAlert, errors.NoSSLError) as error:
                no_tls()
                log.info("no TLS with %s: %s", _peer(sock), error)
                raise

        def get_environ(self, sock: Any) -> dict[str, str]:
            return variables(sock)

    made: Any = wsgi.Server((host, port), app, numthreads=threads, request_queue_size=128)
    made.ssl_adapter = Adapter(str(files.certificate), str(files.key))
    made.ssl_adapter.context = renewing.current()
    made.error_log = lambda msg="", level=20, traceback=False: log.log(level, "%s", msg)
    return made


def _peer(sock: Any) -> str:
    try:
        return str(sock.getpeername()[0])
    except OSError:
        return "-"
