"""The collector stand-in over HTTP: the usage door, the counters, and a query door GRACC does not have."""

from __future__ import annotations

import json
import logging
import ssl
import threading
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable
from urllib.parse import parse_qs, urlsplit

from osg_site_iaas.sandbox.collector import protocol
from osg_site_iaas.sandbox.collector.faults import Fault, Faults
from osg_site_iaas.sandbox.collector.store import Store
from osg_site_iaas.sandbox.collector.view import page

log = logging.getLogger(__name__)
HTML_ERROR = "<html><head><title>Error report</title></head><body>A bad day.</body></html>"


@dataclass(frozen=True)
class Tls:
    """A server certificate; with ``client_ca`` the client must show a certificate of that authority."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        return context


class Collector:
    """A running collector; use it as a context manager. Port 0 takes a free one."""

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        idle: float = 60,
        tls: Tls | None = None,
    ) -> None:
        self.store = Store(folder)
        self.faults = Faults()
        self.closing = threading.Event()
        self._server = _Server((host, port), _handler(self, idle))
        if tls:
            self._server.socket = tls.context().wrap_socket(self._server.socket, server_side=True)
        self.scheme = "https" if tls else "http"
        self.port: int = self._server.server_address[1]
        self.address = f"{host}:{self.port}"
        self.url = f"{self.scheme}://{self.address}"

    def serve(self) -> None:
        """Answer until stop()."""
        self._server.serve_forever(poll_interval=0.1)

    def stop(self) -> None:
        """End serve(); callable from a signal handler."""
        threading.Thread(target=self._server.shutdown, daemon=True).start()

    def __enter__(self) -> Collector:
        self._thread = threading.Thread(target=self.serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self.close()

    def close(self) -> None:
        """Give the port back and close the store."""
        self.closing.set()
        self._server.server_close()
        self.store.close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64


def _handler(collector: Collector, idle: float) -> type[BaseHTTPRequestHandler]:
    store, faults = collector.store, collector.faults

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = idle  # seconds an unused connection is kept
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._body = b""
            path = urlsplit(self.path).path
            if path == protocol.PATH:
                self._usage()
            elif path in _QUERIES:
                query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
                self._json(_QUERIES[path](collector, query))
            elif path == "/metrics":
                self._send(200, _metrics(store), "text/plain; version=0.0.4")
            elif path == "/":
                self._send(200, page(store), "text/html; charset=utf-8")
            else:
                self._send(404, "404 page not found\n")

        def do_POST(self) -> None:
            length = self.headers.get("Content-Length", "")
            if not length.isdecimal():
                self.close_connection = True
                self._send(400, "a Content-Length is needed")
                return
            if int(length) > protocol.FORM_LIMIT:
                self._swallow(int(length))
            else:
                self._body = self.rfile.read(int(length))
            path = urlsplit(self.path).path
            if path == protocol.PATH:
                self._usage()
            elif path == "/faults":
                self._switch()
            else:
                self._send(404, "404 page not found\n")

        def do_DELETE(self) -> None:
            self._body = b""
            faults.clear()
            self._json([])

        def _usage(self) -> None:
            fields = protocol.form(self._body, urlsplit(self.path).query)
            suffered = faults.suffer(fields.get("arg1", "")) if fields.get("command") == "multiupdate" else {}
            if "slow" in suffered and collector.closing.wait(suffered["slow"].seconds):
                self._hang_up()
                return
            if "drop" in suffered:
                self._hang_up()
                return
            if "unavailable" in suffered:
                reply = protocol.UNAVAILABLE
            elif "poison" in suffered:
                reply = protocol.Reply(400, "Error handling request: error unmarshalling xml")
            elif "html" in suffered:
                reply = protocol.Reply(200, HTML_ERROR)
            elif "error" in suffered:
                reply = protocol.Reply(200, "Error")
            else:
                reply = protocol.answer(fields)
            if reply.records:
                store.keep(reply.records, datetime.now(timezone.utc))
            store.count(
                Requests=1,
                RequestErrors=int(reply.status >= 400),
                Records=len(reply.records) + reply.unknown,
                RecordErrors=reply.unknown,
            )
            log.info("%s from %s: %s records", reply.status, fields.get("from", "?"), len(reply.records))
            if "lost" in suffered:
                self._hang_up()
            elif "half" in suffered:
                self._send(reply.status, reply.text, half=True)
                self._hang_up()
            else:
                kind = "text/html" if "html" in suffered else "text/plain; charset=utf-8"
                self._send(reply.status, reply.text, kind)

        def _switch(self) -> None:
            try:
                faults.switch(Fault(**json.loads(self._body)))
            except (ValueError, TypeError) as error:
                self._send(400, f"{error}\n")
                return
            self._json(_QUERIES["/faults"](collector, {}))

        def _swallow(self, length: int) -> None:
            """Read and forget a form that is too large, so that the client gets to read the refusal."""
            self._body = b""
            while length > 0:
                length -= len(self.rfile.read(min(length, 1 << 20))) or length

        def _json(self, value: object) -> None:
            self._send(200, json.dumps(value, indent=1, ensure_ascii=False) + "\n", "application/json")

        def _send(
            self, status: int, text: str, kind: str = "text/plain; charset=utf-8", half: bool = False
        ) -> None:
            body = text.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if half else body)
            self.wfile.flush()

        def _hang_up(self) -> None:
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            log.debug(format, *args)

    return Handler


_QUERIES: dict[str, Callable[[Collector, dict[str, str]], object]] = {
    "/stats": lambda collector, query: collector.store.stats(),
    "/query/summary": lambda collector, query: collector.store.summary(),
    "/query/totals": lambda collector, query: collector.store.totals(),
    "/query/duplicates": lambda collector, query: collector.store.duplicates(),
    "/query/records": lambda collector, query: collector.store.records(
        job=query.get("job", ""),
        day=query.get("day", ""),
        vo=query.get("vo", ""),
        limit=int(query["limit"]) if query.get("limit", "").isdecimal() else 1000,
    ),
    "/faults": lambda collector, query: [asdict(fault) for fault in collector.faults.all()],
}


def _metrics(store: Store) -> str:
    names = {"Records": "records", "RecordErrors": "record_errors", "Requests": "requests"}
    names["RequestErrors"] = "request_errors"
    lines = []
    for counter, value in store.stats().items():
        name = f"gracc_{names[counter]}_total"
        lines += [f"# TYPE {name} counter", f"{name} {value}"]
    return "\n".join(lines) + "\n"
