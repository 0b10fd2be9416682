"""Whose address the door's log names, and who is told how the door does."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path

import pytest

from osg_site_iaas.ec2.clients import client, networks
from osg_site_iaas.ec2.door import make_door
from osg_site_iaas.ec2.settings import Settings, load_settings
from osg_site_iaas.ec2.wsgi import Application
from osg_site_iaas.errors import SiteError

PROXIES = networks(["127.0.0.0/8", "::1", "192.0.2.10"])
STRANGER, VICTIM = "203.0.113.66", "198.51.100.1"


@pytest.mark.parametrize(
    ("connected", "said", "found"),
    [
        ("127.0.0.1", STRANGER, STRANGER),
        ("192.0.2.10", STRANGER, STRANGER),
        ("::ffff:127.0.0.1", "2001:DB8::1", "2001:db8::1"),
        ("127.0.0.1", f"::ffff:{STRANGER}", STRANGER),
        # forged: by who is no proxy, and before what the proxy adds
        (STRANGER, VICTIM, STRANGER),
        (STRANGER, "127.0.0.1", STRANGER),
        ("127.0.0.1", f"{VICTIM}, {STRANGER}", STRANGER),
        ("127.0.0.1", f"{VICTIM},127.0.0.1,{STRANGER}", STRANGER),
        ("127.0.0.1", f"{VICTIM}, rubbish\n", "127.0.0.1"),
        # two proxies, one behind the other
        ("127.0.0.1", f"{VICTIM}, {STRANGER}, 192.0.2.10", STRANGER),
        # nothing said, or nothing but proxies
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("", VICTIM, ""),
    ],
)
def test_only_a_proxy_of_ours_is_believed_and_only_what_it_has_heard_itself(connected, said, found):
    assert client({"REMOTE_ADDR": connected, "HTTP_X_FORWARDED_FOR": said}, PROXIES) == found


def ask(application: Application, uri: str, **more: str) -> tuple[str, bytes]:
    told: list[str] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "RAW_URI": uri,
        "PATH_INFO": uri.partition("?")[0],
        "QUERY_STRING": uri.partition("?")[2],
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.input": io.BytesIO(),
        **more,
    }
    body = b"".join(application(environ, lambda status, headers: told.append(status)))
    return told[0], body


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(make_door(Settings(state=tmp_path, proxies=("127.0.0.1",)), session=None))


def test_a_line_of_the_log_has_the_clients_address_and_nothing_of_the_query(application, caplog):
    caplog.set_level(logging.INFO, "osg_site_iaas.ec2.access")
    logging.getLogger("osg_site_iaas.ec2.access").propagate = True
    ask(application, "/?Action=RunInstances&UserData=c2VjcmV0", HTTP_X_FORWARDED_FOR=STRANGER)
    ask(application, "/?Action=%FF&Action=", HTTP_X_FORWARDED_FOR=STRANGER)
    ask(application, "/", REQUEST_METHOD="PUT", REMOTE_ADDR=STRANGER, HTTP_X_FORWARDED_FOR=VICTIM)
    assert [json.loads(one)["address"] for one in caplog.messages] == [STRANGER] * 3
    assert "c2VjcmV0" not in caplog.text


@pytest.mark.parametrize("uri", ["/health", "/metrics"])
def test_who_asks_the_door_itself_is_told_how_it_does(application, uri):
    assert ask(application, uri)[0] == "200 OK"


@pytest.mark.parametrize(
    "uri", ["/metrics", "/health", "//a/metrics", "/metrics?", "/metrics#", "http://a/metrics", "/./metrics"]
)
def test_no_client_is_told_that_through_a_proxy_however_it_spells_it(application, uri):
    status, body = ask(application, uri, HTTP_X_FORWARDED_FOR=STRANGER)
    assert not status.startswith("200")
    assert b"<Code>" in body
    if uri not in ("/metrics", "/health"):  # nor where the proxy does not say that it is one
        assert not ask(application, uri)[0].startswith("200")


def test_proxies_are_given_as_addresses_and_networks(tmp_path):
    file = tmp_path / "ec2.yml"
    file.write_text("proxies: [192.0.2.0/24, '2001:db8::7']\n")
    assert load_settings(file).proxies == ("192.0.2.0/24", "2001:db8::7")
    for wrong in ("192.0.2.1", "[proxy.example.org]", "[192.0.2.1/24]", "[1]"):
        file.write_text(f"proxies: {wrong}\n")
        with pytest.raises(SiteError, match="proxies must be a list of addresses and networks"):
            load_settings(file)
