"""What stands in front of the EC2 door, good and bad, for the doctor: real TLS, and answers like the door's."""

from __future__ import annotations

import contextlib
import datetime as dt
import http.server
import socket
import ssl
import threading
from pathlib import Path
from typing import Iterator

import pytest

from osg_site_iaas.ec2.protocol.write import error_answer
from osg_site_iaas.ops.finding import OK, SKIPPED, UNKNOWN
from tests import pki
from tests.unit.ops.test_doctor_grid import DAY, Host, host  # noqa: F401


class Proxy(http.server.BaseHTTPRequestHandler):
    """Answers as the server's ``answers`` say: a status, a body and a Server header."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        status, body, self.server_version = self.server.answers  # type: ignore[attr-defined]
        self.sys_version = ""
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def proxy(
    host: Host,  # noqa: F811
    shows: pki.Holder,
    status: int = 401,
    body: bytes = b"",
    server: str = "AmazonEC2",
    name: str = "localhost",
) -> Iterator[None]:
    """Something with a certificate in front of a door, and an ec2.yml that names it."""
    chain = host.places.state / "shown.pem"
    chain.write_bytes(shows.pem())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    made.answers = (status, body or refusal(), server)  # type: ignore[attr-defined]
    made.socket = context.wrap_socket(made.socket, server_side=True)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    host.places.ec2.write_text(f"url: https://{name}:{made.server_address[1]}/\n")
    try:
        yield
    finally:
        made.shutdown()
        made.server_close()


def refusal() -> bytes:
    """What the door says to a stranger."""
    return error_answer("AuthFailure", "no", "req-1")


def holder(host: Host, name: str = "localhost", **made: dt.timedelta) -> pki.Holder:  # noqa: F811
    return pki.end_entity(f"/DC=org/DC=example/CN={name}", host.ca, hosts=[name], **{"end": 60 * DAY, **made})


def test_a_door_behind_good_tls_is_well(host: Host) -> None:  # noqa: F811
    with proxy(host, holder(host)):
        assert host.look("ec2-tls").state == OK


def test_a_certificate_that_expired_or_is_for_another_name_is_found(host: Host) -> None:  # noqa: F811
    with proxy(host, holder(host, start=-9 * DAY, end=-2 * DAY)):
        assert host.says("ec2-tls") == (
            "the certificate that it shows expired 2 days ago, on "
            f"{dt.datetime.now(dt.timezone.utc) - 2 * DAY:%Y-%m-%d}"
        )
    with proxy(host, holder(host, end=5 * DAY + dt.timedelta(hours=1))):
        assert "expires in 5 days" in host.says("ec2-tls")
    with proxy(host, holder(host, "old.example.org")):
        said = host.says("ec2-tls")
        assert said == "its certificate is for old.example.org, and clients come to localhost"


def test_a_certificate_that_clients_do_not_trust_is_found_with_the_reason(host: Host) -> None:  # noqa: F811
    itself = pki.ca("/DC=org/DC=example/CN=localhost", end=60 * DAY)
    with proxy(host, itself):
        assert "is signed by nobody but itself" in host.says("ec2-tls")
    stranger = pki.ca("/DC=org/DC=stranger/CN=CA", end=60 * DAY)
    lost = pki.end_entity("/DC=org/DC=example/CN=localhost", stranger, hosts=["localhost"], end=60 * DAY)
    with proxy(host, lost):
        (finding,) = host.look("ec2-tls").findings
        assert "what stands between it and its CA is not shown" in finding.what
        assert "fullchain.pem" in finding.todo


def test_a_proxy_that_goes_on_with_the_certificate_of_before_a_renewal_is_found(host: Host) -> None:  # noqa: F811
    old = holder(host, start=-50 * DAY, end=20 * DAY)
    host.certificate("localhost")
    with proxy(host, old):
        assert "shows an older certificate than" in host.says("ec2-tls")


def test_a_proxy_that_does_not_reach_the_door_is_found(host: Host) -> None:  # noqa: F811
    with proxy(host, holder(host), 502, b"<html>Bad Gateway</html>"):
        assert host.says("ec2-tls") == "answers 502: the proxy does not reach the door"
    with proxy(host, holder(host), 404, b"<html>Not Found</html>"):
        assert host.says("ec2-tls") == "answers 404: it is not the EC2 door that answers there"
    with proxy(host, holder(host), server="nginx"):
        assert "says nginx as its Server, and HTCondor looks for the door's own" in host.says("ec2-tls")
    with proxy(host, holder(host), 503):
        assert "is answered 503 AuthFailure, not refused" in host.says("ec2-tls")


def test_nobody_there_no_tls_there_and_no_such_name_are_told_apart(host: Host) -> None:  # noqa: F811
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        host.places.ec2.write_text(f"url: https://localhost:{port}/\n")
        assert (
            host.says("ec2-tls")
            == "cannot be reached: the connection is refused: nothing listens there, or a firewall says no"
        )
    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    try:
        host.places.ec2.write_text(f"url: https://localhost:{plain.server_address[1]}/\n")
        assert "speaks no TLS that clients speak" in host.says("ec2-tls")
    finally:
        plain.shutdown()
        plain.server_close()
    host.places.ec2.write_text("url: https://door.invalid:8773/\n")
    assert host.says("ec2-tls") == "the name door.invalid cannot be resolved here"
    host.places.ec2.write_text("url: door.example.org\n")
    assert "is no address that clients can call" in host.says("ec2-tls")


def test_without_an_address_keystones_catalogue_is_asked(host: Host) -> None:  # noqa: F811
    host.places.ec2.write_text("region: RegionOne\n")
    assert host.look("ec2-tls").state == UNKNOWN  # there is no login here
    host.places.ec2.write_text("url: http://127.0.0.1:8788/\n")
    assert host.look("ec2-tls").state == SKIPPED


@pytest.mark.parametrize(
    "url", ["https://ec2:99999/", "https://ec2:door/", "https://[::1", "ec2.example.org"]
)
def test_what_is_no_address_is_said_in_words(host: Host, url: str) -> None:  # noqa: F811
    host.places.ec2.write_text(f'url: "{url}"\n')
    (found,) = host.look("ec2-tls").findings
    assert found.what == f"{url!r} is no address that clients can call"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"-----BEGIN RUBBISH-----\n", "holds no certificate in PEM form"),
        (b"\xff\xfe\x00", "holds no certificate in PEM form"),
        (b"\x30\x82\x01", "is in DER form, and services read PEM"),
        (
            b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
            "its certificate 1 of 1 is damaged",
        ),
    ],
)
def test_what_is_no_certificate_is_said_in_words(host: Host, content: bytes, said: str) -> None:  # noqa: F811
    (host.places.grid / "hostcert.pem").write_bytes(content)
    (finding,) = host.look("certificates").findings
    assert (finding.what, finding.where) == (said, str(host.places.grid / "hostcert.pem"))


def test_what_is_no_key_is_said_in_words(host: Host) -> None:  # noqa: F811
    key = host.places.grid / "hostkey.pem"
    key.write_bytes(b"")
    assert host.says("certificates") == "is empty"
    key.write_bytes(b"no key\n")
    assert host.says("certificates") == "holds no key that can be read"
    key.write_bytes(locked())
    assert host.says("certificates") == "the key has a passphrase, which no service can type"
    key.unlink()
    assert host.says("certificates") == "is not there"


def locked() -> bytes:
    from cryptography.hazmat.primitives import serialization as form

    secret = form.BestAvailableEncryption(b"secret")
    return pki.rsa_key().private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, secret)


def test_other_files_of_the_folder_are_left_alone(host: Host, tmp_path: Path) -> None:  # noqa: F811
    (host.places.grid / "hostcert.pem").unlink()
    assert host.look("certificates").state == SKIPPED
