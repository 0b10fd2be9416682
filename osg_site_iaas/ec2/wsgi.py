"""The door as a WSGI application, with its health and metrics."""

from __future__ import annotations

from typing import Any, Callable, Iterable, Mapping, Optional
from urllib.parse import urlsplit

from osg_site_iaas.ec2.clients import client, networks
from osg_site_iaas.ec2.door import Door, Reply, read_request
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.protocol.query import MAX_BYTES

Start = Callable[[str, "list[tuple[str, str]]"], Any]

OWN = ("/health", "/metrics")
REASONS = {
    200: "OK",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    411: "Length Required",
    412: "Precondition Failed",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


def _headers(environ: Mapping[str, Any]) -> dict[str, str]:
    headers = {
        name[5:].replace("_", "-").lower(): str(value)
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    if environ.get("CONTENT_TYPE"):
        headers["content-type"] = environ["CONTENT_TYPE"]
    if environ.get("CONTENT_LENGTH"):
        headers["content-length"] = environ["CONTENT_LENGTH"]
    return headers


def _body(environ: Mapping[str, Any]) -> bytes:
    length: Optional[str] = environ.get("CONTENT_LENGTH")
    if not length and environ.get("HTTP_TRANSFER_ENCODING"):
        raise Ec2Error("MissingContentLength", "You must provide the Content-Length HTTP header.", 411)
    if length and (not length.isdigit() or int(length) > MAX_BYTES):
        raise Ec2Error("RequestEntityTooLarge", f"The request is larger than {MAX_BYTES} bytes", 413)
    body: bytes = environ["wsgi.input"].read(int(length)) if length and int(length) else b""
    if length and len(body) != int(length):
        raise Ec2Error("IncompleteBody", "The request ended before its Content-Length.")
    return body


def _is_own(environ: Mapping[str, Any]) -> bool:
    asked = str(environ.get("RAW_URI") or environ.get("PATH_INFO") or "")
    return asked in OWN and not environ.get("QUERY_STRING") and not environ.get("HTTP_X_FORWARDED_FOR")


class Application:
    """WSGI: ``/health`` and ``/metrics`` for who asks the door itself; everything else is EC2.

    What a proxy passes on is a client's, and no client is told how the door does, however it spells the path.
    """

    def __init__(self, door: Door) -> None:
        self._door = door
        self._proxies = networks(door.settings.proxies)

    def __call__(self, environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
        path = urlsplit(str(environ.get("RAW_URI") or environ.get("PATH_INFO") or "/")).path or "/"
        query = str(environ.get("QUERY_STRING") or "")
        method = str(environ["REQUEST_METHOD"])
        if method in ("GET", "HEAD") and _is_own(environ):
            return self._own(path, start)
        address = client(environ, self._proxies)
        if method not in ("GET", "POST"):
            error = Ec2Error("MethodNotAllowed", "Use GET or POST", 405)
            return self._send(self._door.fail(error, address), start)
        try:
            request = read_request(method, path, query, _headers(environ), _body(environ))
        except Ec2Error as error:
            return self._send(self._door.fail(error, address), start)
        return self._send(self._door.answer(request, address), start)

    def _send(self, reply: Reply, start: Start) -> Iterable[bytes]:
        headers = [
            ("Content-Type", "text/xml;charset=UTF-8"),
            ("Content-Length", str(len(reply.body))),
            ("x-amzn-RequestId", reply.request_id),
            ("X-Backend-Requests", str(reply.requests)),
        ]
        if reply.retry_after:
            headers.append(("Retry-After", str(reply.retry_after)))
        start(f"{reply.status} {REASONS.get(reply.status, 'Error')}", headers)
        return [reply.body]

    def _own(self, path: str, start: Start) -> Iterable[bytes]:
        text = "ok\n" if path == "/health" else self._door.store.metrics()
        body = text.encode()
        start("200 OK", [("Content-Type", "text/plain; version=0.0.4"), ("Content-Length", str(len(body)))])
        return [body]
