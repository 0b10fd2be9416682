"""A proxy in front of the real services that a test can make fail, delay, count, or end its client.

``clouds_yaml`` writes an entry whose login and endpoints lead through it. What it does to a request is a function of
the test's: see ``Rule``.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional
from urllib.parse import urlsplit

import yaml

from tests.sandbox.reconcile_kit import Hand

BLOCK = 1 << 16
HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "te", "upgrade", "trailer"}
PREFIXES = {  # service -> prefixes of settings in clouds.yaml
    "identity": "identity",
    "compute": "compute",
    "network": "network",
    "image": "image",
    "volume": "block_storage",
    "object": "object_store",
}


@dataclass(frozen=True)
class Call:
    """One request as it came."""

    number: int  # among all, from 1
    method: str
    service: str
    path: str  # with the query
    agent: str

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD") and not self.path.endswith("/auth/tokens")

    @property
    def logs_in(self) -> bool:
        return self.method == "POST" and self.path.endswith("/auth/tokens")


@dataclass(frozen=True)
class Answer:
    """An answer that does not come from the service."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Rule:
    """What is done to requests; nothing unless a subclass says so."""

    def before(self, call: Call) -> Optional[Answer]:
        """An answer instead of the service's; None to ask the service."""
        return None

    def halfway(self, call: Call) -> None:
        """Half of the body has been passed on."""

    def after(self, call: Call, status: int, body: bytes) -> Optional[Answer]:
        """Another answer than the service's; None to pass on its own."""
        return None


class Dropped(Exception):
    """Raised by a rule: the connection ends without an answer."""


class Proxy:
    """Listens on a free port. Keeps every call, and how it was answered."""

    def __init__(self, targets: Mapping[str, str]) -> None:
        self.targets = {name: urlsplit(url) for name, url in targets.items()}
        self.rule = Rule()
        self.calls: list[tuple[Call, int]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.lock = threading.Lock()
        self.count = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def next(self) -> int:
        with self.lock:
            self.count += 1
            return self.count

    def answered(self) -> list[tuple[Call, int]]:
        with self.lock:
            return list(self.calls)

    def forget(self) -> None:
        with self.lock:
            self.calls.clear()
            self.count = 0


@contextlib.contextmanager
def running(hand: Hand) -> Iterator[Proxy]:
    """A proxy in front of every service that the sandbox has."""
    targets = {name: hand.url(name) for name in PREFIXES if hand.has(name)}
    targets["identity"] = hand.auth_url
    proxy = Proxy(targets)
    proxy.thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        proxy.thread.join(10)


def clouds_yaml(proxy: Proxy, real: Path, path: Path, **auth: Any) -> Path:
    """A clouds.yaml whose entry ``sandbox`` goes through the proxy; ``auth`` overrides parts of its login."""
    entry = yaml.safe_load(real.read_text())["clouds"]["sandbox"]
    entry["auth"] = {**entry["auth"], **auth, "auth_url": f"{proxy.url}/identity/v3"}
    entry["auth"] = {name: value for name, value in entry["auth"].items() if value is not None}
    entry.setdefault(
        "auth_type", "v3password"
    )  # the generic one would follow Keystone's own links past the proxy
    for service, target in proxy.targets.items():
        entry[f"{PREFIXES[service]}_endpoint_override"] = f"{proxy.url}/{service}{target.path}"
    path.write_text(yaml.safe_dump({"clouds": {"sandbox": entry}}))
    return path


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def handle_any(self) -> None:
            _, service, rest = self.path.split("/", 2)
            agent = self.headers.get("User-Agent", "")
            call = Call(proxy.next(), self.command, service, "/" + rest, agent)
            try:
                given = proxy.rule.before(call)
                if given is not None:
                    self.drain()
                    self.reply(call, given.status, given.body, given.headers)
                    return
                status, headers, body = self.ask(call)
                other = proxy.rule.after(call, status, body)
                if other is not None:
                    status, headers, body = other.status, dict(other.headers), other.body
                self.reply(call, status, body, headers)
            except (
                Dropped,
                OSError,
                ValueError,
                http.client.HTTPException,
            ):  # the client has ended, or is to
                self.close_connection = True
                with contextlib.suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

        def blocks(self) -> Iterator[bytes]:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    yield self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return
            left = int(self.headers.get("Content-Length") or 0)
            while left:
                block = self.rfile.read(min(BLOCK, left))
                if not block:
                    raise Dropped
                left -= len(block)
                yield block

        def drain(self) -> None:
            for _ in self.blocks():
                pass

        def ask(self, call: Call) -> tuple[int, dict[str, str], bytes]:
            target = proxy.targets[call.service]
            upstream = http.client.HTTPConnection(target.hostname or "", target.port, timeout=120)
            try:
                upstream.putrequest(call.method, call.path, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() not in HOP:
                        upstream.putheader(name, value)
                length = self.headers.get("Content-Length")
                if length is not None:
                    upstream.putheader("Content-Length", length)
                chunked = "chunked" in self.headers.get("Transfer-Encoding", "")
                if chunked:
                    upstream.putheader("Transfer-Encoding", "chunked")
                upstream.endheaders()
                passed, total = 0, int(length or 0)
                told = False
                for block in self.blocks():
                    upstream.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
                    passed += len(block)
                    if not told and passed * 2 >= total:
                        told = True
                        proxy.rule.halfway(call)
                if chunked:
                    upstream.send(b"0\r\n\r\n")
                answer = upstream.getresponse()
                body = answer.read()
                headers = {n: v for n, v in answer.getheaders() if n.lower() not in HOP}
                if call.method == "HEAD" and answer.getheader("Content-Length"):
                    headers["Content-Length"] = str(answer.getheader("Content-Length"))
                return answer.status, headers, body
            finally:
                upstream.close()

        def reply(self, call: Call, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            with proxy.lock:
                proxy.calls.append((call, status))
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if "Content-Length" not in headers and status != 204:
                self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if call.method != "HEAD" and status != 204:
                self.wfile.write(body)

    return Handler


def failing(matches: Callable[[Call], bool], answer: Answer, times: int = 1 << 30) -> Rule:
    """A rule that answers so for the first calls that match."""

    class Failing(Rule):
        left = times
        lock = threading.Lock()

        def before(self, call: Call) -> Optional[Answer]:
            with self.lock:
                if matches(call) and self.left > 0:
                    self.left -= 1
                    return answer
            return None

    return Failing()
