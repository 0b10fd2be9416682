"""Why nobody answered: real sockets, through requests and through keystoneauth."""

from __future__ import annotations

import contextlib
import datetime as dt
import socket
from pathlib import Path
from typing import Iterator

import pytest
import requests
from keystoneauth1 import session

from osg_site_iaas.cloud.silence import why_silent
from tests import pki
from tests.serving import over_tls


def through_requests(url: str) -> None:
    requests.get(url, timeout=0.5)


def through_keystoneauth(url: str) -> None:
    session.Session(timeout=0.5).get(url, authenticated=False, connect_retries=0)


@pytest.fixture(params=[through_requests, through_keystoneauth])
def said(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> object:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)

    def said(url: str) -> str:
        with pytest.raises(Exception) as caught:
            request.param(url)
        words = why_silent(caught.value)
        assert words is not None, repr(caught.value)
        return words

    return said


@contextlib.contextmanager
def listening() -> Iterator[int]:
    """A port at which connections are taken and nothing is said."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_nothing_listens(said) -> None:  # type: ignore[no-untyped-def]
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert said(f"http://127.0.0.1:{bound.getsockname()[1]}/").startswith("the connection is refused")


def test_a_name_that_is_nobodys(said) -> None:  # type: ignore[no-untyped-def]
    assert said("http://nobody.invalid/").startswith("its name cannot be resolved")


def test_no_answer(said) -> None:  # type: ignore[no-untyped-def]
    with listening() as port:
        assert said(f"http://127.0.0.1:{port}/") == "no answer came in time"


def test_a_proxy_that_is_away(said, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert said("http://example.invalid/").startswith("the proxy that is set in the environment")


def test_a_certificate_of_a_ca_that_nobody_here_knows(said, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with served(pki.ca("/DC=org/DC=example/CN=CA"), tmp_path) as port:
        assert "of a CA that is not known here" in said(f"https://localhost:{port}/")


def test_a_certificate_that_is_good_no_more(tmp_path: Path) -> None:
    ca = pki.ca("/DC=org/DC=example/CN=CA")
    (tmp_path / "ca.pem").write_bytes(pki.cert_pem(ca.certificate))
    past = {"start": dt.timedelta(days=-9), "end": dt.timedelta(days=-1)}
    with served(ca, tmp_path, **past) as port, pytest.raises(requests.ConnectionError) as caught:
        requests.get(f"https://localhost:{port}/", verify=str(tmp_path / "ca.pem"), timeout=30)
    assert "is this host's clock right?" in str(why_silent(caught.value))


@contextlib.contextmanager
def served(ca: pki.Holder, folder: Path, **made: dt.timedelta) -> Iterator[int]:
    holder = pki.end_entity("/DC=org/DC=example/CN=localhost", ca, hosts=["localhost"], **made)
    with over_tls(holder.write(folder / f"{len(list(folder.iterdir()))}.pem")) as port:
        yield port


def test_other_errors_are_not_about_silence() -> None:
    assert why_silent(ValueError("no")) is None
    assert why_silent(FileNotFoundError(2, "No such file", "/x/ca.pem")) == "no such file: /x/ca.pem"
