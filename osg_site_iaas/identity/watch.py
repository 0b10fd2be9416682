"""What the Python front tells of itself: a line a request, counters for Prometheus, and whether it is well.

Counters and health are served at an address of their own, which clients do not reach.
"""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Iterable, Optional

from osg_site_iaas import journal
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import middleware
from osg_site_iaas.identity.refused import printable

log = logging.getLogger(__name__)
ACCESS = "osg_site_iaas.identity.access"
_ID = "x-openstack-request-id"  # Keystone's header
_TOLD = 200  # characters of a path that are logged
Key = tuple[str, str, str]  # way in, outcome, status


class Counters:
    """Requests and their seconds by way in (x509, token, other), outcome and status; and connections without TLS."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[Key] = Counter()
        self._seconds: dict[Key, float] = {}
        self._no_tls = 0

    def request(self, key: Key, seconds: float) -> None:
        with self._lock:
            self._requests[key] += 1
            self._seconds[key] = self._seconds.get(key, 0.0) + seconds

    def no_tls(self) -> None:
        with self._lock:
            self._no_tls += 1

    def text(self) -> str:
        """All of them, as Prometheus reads them."""
        with self._lock:
            counts, seconds, no_tls = dict(self._requests), dict(self._seconds), self._no_tls
        out = []
        tables: tuple[tuple[str, str, dict[Key, Any]], ...] = (
            ("requests_total", "requests answered", counts),
            ("seconds_total", "time spent on them", seconds),
        )
        for name, text, of in tables:
            out.append(_head(name, text))
            for way, outcome, status in sorted(of):
                labels = f'way="{way}",outcome="{outcome}",status="{status}"'
                out.append(f"osg_site_iaas_front_{name}{{{labels}}} {of[way, outcome, status]}\n")
        out.append(_head("tls_failures_total", "connections that ended in the TLS handshake"))
        out.append(f"osg_site_iaas_front_tls_failures_total {no_tls}\n")
        return "".join(out)


def _head(name: str, text: str) -> str:
    return f"# HELP osg_site_iaas_front_{name} {text}\n# TYPE osg_site_iaas_front_{name} counter\n"


class Watching:
    """A WSGI application around the front's: logs and counts, and gives an answer without an id one."""

    def __init__(self, app: middleware.App, counters: Counters) -> None:
        self._app, self._counters = app, counters
        self._access = journal.events(ACCESS)

    def __call__(
        self, environ: middleware.Environ, start_response: middleware.StartResponse
    ) -> Iterable[bytes]:
        started, said = time.monotonic(), {"status": "500", "id": ""}
        own = f"req-{uuid.uuid4()}"
        token = journal.request_id.set(own)

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            given = next((value for name, value in headers if name.lower() == _ID), "")
            said.update(status=status.partition(" ")[0], id=given or own)
            return start_response(status, headers if given else [*headers, (_ID, own)], *rest)

        try:
            return self._app(environ, start)
        finally:
            journal.request_id.reset(token)
            self._tell(environ, said["status"], said["id"] or own, time.monotonic() - started)

    def _tell(self, environ: middleware.Environ, status: str, request_id: str, seconds: float) -> None:
        way, outcome = environ.get(middleware.OUTCOME, ("other", "passed"))
        self._counters.request((way, outcome, status), seconds)
        self._access.info(
            "%s",
            journal.line(
                time=journal.stamp(),
                request_id=request_id,
                method=printable(str(environ.get("REQUEST_METHOD", "-")), 20),
                path=printable(environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", ""), _TOLD),
                status=int(status) if status.isdecimal() else 500,
                way=way,
                outcome=outcome,
                address=str(environ.get("REMOTE_ADDR", "-")),
                ms=round(seconds * 1000, 1),
            ),
        )


def serve_status(address: str, counters: Counters, well: Callable[[], Optional[str]]) -> ThreadingHTTPServer:
    """Serve /health and /metrics at HOST:PORT until the process ends. ``well`` gives what is wrong, or None."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise SiteError(f"--status {address}: not HOST:PORT", todo="say for instance 127.0.0.1:8790")

    class Handler(BaseHTTPRequestHandler):
        server_version, sys_version = "osg-site-iaas", ""

        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._say(200, "text/plain; version=0.0.4", counters.text())
            elif self.path == "/health":
                wrong = well()
                answer = {"status": "failing", "why": wrong} if wrong else {"status": "ok"}
                self._say(503 if wrong else 200, "application/json", json.dumps(answer) + "\n")
            else:
                self._say(404, "text/plain", "there are /health and /metrics\n")

        def _say(self, status: int, kind: str, text: str) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            log.debug(format, *args)

    try:
        made = ThreadingHTTPServer((host.strip("[]"), int(port)), Handler)
    except (OSError, OverflowError) as error:
        raise SiteError(
            f"cannot listen on {address} for /health and /metrics: {error}", todo="name another --status"
        ) from error
    made.daemon_threads = True
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return made
