"""A server by TLS for as long as a test looks at it."""

from __future__ import annotations

import contextlib
import http.server
import ssl
import threading
from pathlib import Path
from typing import Iterator, Optional


@contextlib.contextmanager
def over_tls(certificate: Path, key: Optional[Path] = None) -> Iterator[int]:
    """The port on this host where somebody shows the certificate; it knows no method of HTTP."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
