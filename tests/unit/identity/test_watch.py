"""What the Python front tells of itself."""

from __future__ import annotations

import json
import logging
from typing import Any, Callable, Iterable, Iterator, Optional

import pytest
import requests

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import middleware, watch


class Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(json.loads(record.getMessage()))


@pytest.fixture
def told() -> Iterator[Told]:
    handler = Told()
    yield handler
    logging.getLogger(watch.ACCESS).handlers.clear()


def ask(
    app: middleware.App, told: Told, environ: Optional[dict[str, Any]] = None
) -> tuple[dict[str, str], watch.Counters]:
    counters, headers = watch.Counters(), {}
    watching = watch.Watching(app, counters)
    logging.getLogger(watch.ACCESS).handlers[:] = [told]

    def start(status: str, given: list[tuple[str, str]], *rest: Any) -> None:
        headers.update(given)

    list(
        watching(
            {"REQUEST_METHOD": "GET", "PATH_INFO": "/v3", "REMOTE_ADDR": "::1", **(environ or {})}, start
        )
    )
    return headers, counters


def answering(status: str, *headers: tuple[str, str], **environ: Any) -> middleware.App:
    def app(given: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        given.update(environ)
        start(status, list(headers))
        return [b""]

    return app


def test_an_answer_of_keystones_keeps_its_id(told: Told) -> None:
    headers, counters = ask(answering("200 OK", ("X-Openstack-Request-Id", "req-of-keystone")), told)
    assert headers == {"X-Openstack-Request-Id": "req-of-keystone"}
    (line,) = told.lines
    assert line["request_id"] == "req-of-keystone"
    assert (line["status"], line["way"], line["outcome"], line["address"]) == (200, "other", "passed", "::1")
    assert 'front_requests_total{way="other",outcome="passed",status="200"} 1\n' in counters.text()


def test_a_refusal_gets_an_id_that_the_log_knows(told: Told) -> None:
    refused = answering("401 Unauthorized", **{middleware.OUTCOME: ("token", "refused")})
    headers, counters = ask(refused, told)
    (line,) = told.lines
    assert headers["x-openstack-request-id"] == line["request_id"]
    assert (line["way"], line["outcome"]) == ("token", "refused")
    assert 'way="token",outcome="refused",status="401"} 1\n' in counters.text()


def test_a_path_cannot_forge_a_line_and_is_cut(told: Told) -> None:
    ask(answering("404 Not Found"), told, {"PATH_INFO": "/\n" + "x" * 1000})
    (line,) = told.lines
    assert line["path"].startswith("/\\x0a")
    assert len(line["path"]) <= 210


def test_an_application_that_fails_is_counted_and_said(told: Told) -> None:
    def failing(*_: Any) -> Iterable[bytes]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(failing, told)
    assert told.lines[0]["status"] == 500


def test_health_and_metrics_have_an_address_of_their_own() -> None:
    wrong: list[str] = []
    counters = watch.Counters()
    counters.no_tls()
    server = watch.serve_status("127.0.0.1:0", counters, lambda: wrong[0] if wrong else None)
    try:
        url = f"http://127.0.0.1:{server.server_address[1]}"
        assert requests.get(f"{url}/health", timeout=30).json() == {"status": "ok"}
        assert "front_tls_failures_total 1\n" in requests.get(f"{url}/metrics", timeout=30).text
        assert requests.get(f"{url}/v3", timeout=30).status_code == 404
        wrong.append("the CAs cannot be read")
        failing = requests.get(f"{url}/health", timeout=30)
        assert (failing.status_code, failing.json()["why"]) == (503, "the CAs cannot be read")
        with pytest.raises(SiteError, match="cannot listen on"):
            watch.serve_status(f"127.0.0.1:{server.server_address[1]}", counters, lambda: None)
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("address", ["8790", "localhost", "localhost:x", ":8790"])
def test_an_address_that_is_none_is_said(address: str) -> None:
    with pytest.raises(SiteError, match="not HOST:PORT"):
        watch.serve_status(address, watch.Counters(), lambda: None)
