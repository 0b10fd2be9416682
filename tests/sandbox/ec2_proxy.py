"""A proxy in front of the sandbox's services, in a region of its own, or of a door, that can be told to fail."""

from __future__ import annotations

import contextlib
import re
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Iterator
from urllib.parse import urlsplit

import requests

TYPES = {
    "compute": "nova",
    "network": "neutron",
    "image": "glance",
    "block-storage": "cinder",
    "identity": "keystone",
}
# What a request to a door is about; a fault can be set for it, and what was seen tells it.
ASKED = re.compile(rb"\b(?:Action|ClientToken)=[\w-]+")

PASSED = ("content-type", "date", "server", "x-subject-token")


class Faults:
    """``how`` is service → fault: a status, ``("slow", seconds)``, ``"drop"`` (no answer), ``"lost"`` (unsaid)."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.how: dict[str, Any] = {}
        self.only = ""  # faults hit only methods and paths that hold this
        self.seen: list[str] = []
        self.urls: dict[str, str] = {}  # of the proxies, by service

    @contextlib.contextmanager
    def set(self, only: str = "", **how: Any) -> Iterator[None]:
        self.how, self.only = {name.replace("_", "-"): fault for name, fault in how.items()}, only
        try:
            yield
        finally:
            self.how, self.only = {}, ""


def handler(faults: Faults, service: str, target: str, kept: str = "") -> type[BaseHTTPRequestHandler]:
    """``kept`` is a header that the target is to see as its client sent it: EC2's Host is signed."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            """Nothing."""

        def pass_on(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = self.rfile.read(length)
            line = " ".join(
                (self.command, self.path, *(part.decode() for part in sorted(ASKED.findall(body))))
            )
            faults.seen.append(f"{service} {line}")
            fault = faults.how.get(service) if faults.only in line else None
            if isinstance(fault, int):
                self.reply(
                    fault, {"Content-Type": "application/json"}, b'{"error": {"message": "a test wants it"}}'
                )
                return
            if fault == "drop":
                self.close_connection = True
                return
            if isinstance(fault, tuple):
                time.sleep(fault[1])
            dropped = {"host", "connection"} - {kept}
            headers = {k: v for k, v in self.headers.items() if k.lower() not in dropped}
            answer = requests.request(
                self.command, target + self.path, headers=headers, data=body, timeout=120
            )
            if fault == "lost":
                self.close_connection = True
                return
            told = {k: v for k, v in answer.headers.items() if k.lower() in PASSED}
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.reply(answer.status_code, told, answer.content)

        def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = pass_on

    return Handler


@contextlib.contextmanager
def faulty_region(admin: Any, without: tuple[str, ...] = ()) -> Iterator[Faults]:
    """A region of the sandbox's catalogue whose endpoints all lead through proxies; some services it may lack."""
    identity = admin.identity
    faults = Faults(f"Faulty-{secrets.token_hex(3)}")
    identity.create_region(id=faults.region)
    made, servers = [], []
    for kind in TYPES:
        service = next((one for one in identity.services(type=kind)), None)
        if service is None or kind in without:
            continue
        old = next(one for one in identity.endpoints(service_id=service.id, interface="public"))
        url = urlsplit(old.url)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler(faults, kind, f"{url.scheme}://{url.netloc}"))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        through = f"http://127.0.0.1:{server.server_address[1]}{url.path}"
        faults.urls[kind] = through
        for interface in ("public",):
            made.append(
                identity.create_endpoint(
                    service_id=service.id, interface=interface, url=through, region_id=faults.region
                )
            )
    try:
        yield faults
    finally:
        for endpoint in made:
            identity.delete_endpoint(endpoint)
        identity.delete_region(faults.region)
        for server in servers:
            server.shutdown()


@contextlib.contextmanager
def before_door(url: str) -> Iterator[tuple[Faults, str]]:
    """(how the service ``door`` is to fail, the URL of a proxy that leads to it)."""
    faults = Faults("")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(faults, "door", url, kept="host"))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield faults, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
