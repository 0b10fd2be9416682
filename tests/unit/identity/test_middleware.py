"""The door in front of Keystone: what reaches the application, and what never does."""

from __future__ import annotations

import io
import json
import logging
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
import yaml

from osg_site_iaas.identity.logins import Logins
from osg_site_iaas.identity.middleware import GridIdentity
from osg_site_iaas.mapping.credential import Certificate, Token
from tests import pki
from tests.issuer import Issuer
from tests.unit.identity.conftest import JANE, World, make_world
from tests.voms_ac import voms_proxy

PLAIN = "/cms/Role=NULL/Capability=NULL"
GRID = "/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"
TOKEN = "/v3/OS-FEDERATION/identity_providers/igwn/protocols/mapped/auth"


class Front:
    """The middleware around an application that tells what it was given."""

    def __init__(self, world: World, issuer: Issuer, folder: Path) -> None:
        self.world, self.issuer, self.folder = world, issuer, folder
        self.site = folder / "site.yml"
        self.settings = folder / "identity.yml"
        self.seen: dict[str, Any] = {}
        self.declare({"cms": {"access": [{"fqan": "/cms/*"}, {"issuer": issuer.url, "group": "/cms"}]}})
        self.configure()
        self.app = GridIdentity(self._application, self.settings)

    def declare(self, vos: dict[str, Any]) -> None:
        providers = {"grid": {"type": "x509"}, "igwn": {"type": "token", "remote_ids": [self.issuer.url]}}
        site = {
            "version": 1,
            "site": {"resource": "X", "fqdn": "cloud.example.org"},
            "cloud": {"name": "x"},
            "identity_providers": providers,
            "vos": vos,
        }
        self.site.write_text(yaml.safe_dump(site))

    def configure(self, **changed: Any) -> None:
        given = {
            "certificates": str(self.world.grid.certificates),
            "vomsdir": str(self.world.grid.vomsdir),
            "issuer_ca": str(self.issuer.ca_file),
            "keys": None,
            "logins": "logins.sqlite",
            "recheck": 0,
            **changed,
        }
        self.settings.write_text(yaml.safe_dump(given))

    def _application(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        self.seen = {name: value for name, value in environ.items() if name.startswith("OSG_SITE_")}
        self.environ = environ
        start_response("201 Created", [])
        return [b"{}"]

    def ask(self, path: str, holder: pki.Holder | None = None, **environ: Any) -> tuple[int, str]:
        """Status and the message of an error; what the application saw is in ``seen``."""
        self.seen = {}
        given = {"PATH_INFO": path, "SCRIPT_NAME": "", "REQUEST_METHOD": "GET"}
        if holder is not None:
            first, *others = [pki.cert_pem(c).decode() for c in holder.chain]
            given.update({"SSL_CLIENT_VERIFY": "SUCCESS", "SSL_CLIENT_CERT": first})
            given.update({f"SSL_CLIENT_CERT_CHAIN_{n}": pem for n, pem in enumerate(others)})
        given.update(environ)
        status: list[str] = []
        body = b"".join(self.app(given, lambda line, headers: status.append(line)))
        error = json.loads(body).get("error", {})
        return int(status[0].split()[0]), error.get("message", "")

    def ask_with_token(self, token: str, path: str = TOKEN) -> tuple[int, str]:
        return self.ask(path, HTTP_AUTHORIZATION=f"Bearer {token}")


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with Issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture
def front(tmp_path: Path, issuer: Issuer) -> Front:
    return Front(make_world(tmp_path), issuer, tmp_path)


def member(front: Front, *fqans: str) -> pki.Holder:
    return voms_proxy(front.world.jane, front.world.server, fqans or [PLAIN])


def test_a_proxy_becomes_variables_for_keystone(front: Front) -> None:
    assert front.ask(GRID, member(front)) == (201, "")
    assert (front.seen["OSG_SITE_USER"], front.seen["OSG_SITE_GROUPS"]) == (JANE, "cms-member")
    assert front.seen["OSG_SITE_PROJECT"] == "cms"


def test_a_token_becomes_variables_and_goes_no_further(front: Front) -> None:
    assert front.ask_with_token(front.issuer.sign(aud="https://cloud.example.org")) == (201, "")
    assert front.seen["OSG_SITE_IDP"] == front.issuer.url
    assert "HTTP_AUTHORIZATION" not in front.environ


def test_the_sites_own_name_is_the_audience_unless_it_says_otherwise(front: Front) -> None:
    status, message = front.ask_with_token(front.issuer.sign(aud="https://elsewhere.example.org"))
    assert (status, "https://cloud.example.org" in message) == (401, True)


@pytest.mark.parametrize("path", [GRID, TOKEN, "/v3/auth/tokens", "/v3", GRID + "/../auth", GRID.upper()])
def test_headers_of_the_same_names_reach_nobody_as_variables(path: str, front: Front) -> None:
    forged = {
        "HTTP_OSG_SITE_USER": "/CN=admin",
        "HTTP_OSG_SITE_GROUPS": "cms-member",
        "HTTP_SSL_CLIENT_VERIFY": "SUCCESS",
        "HTTP_SSL_CLIENT_CERT": pki.cert_pem(front.world.jane.certificate).decode(),
        "HTTP_REMOTE_USER": "admin",
    }
    front.ask(path, **forged)
    assert front.seen == {}


@pytest.mark.parametrize(
    "path", [GRID, "/v3/auth/tokens", "/v3/OS-FEDERATION/identity_providers/other/protocols/m/auth"]
)
def test_variables_that_a_careless_server_lets_in_are_removed(path: str, front: Front) -> None:
    front.ask(path, OSG_SITE_USER="/CN=admin", OSG_SITE_GROUPS="cms-member", OSG_SITE_ANYTHING="x")
    assert front.seen == {}


def test_only_a_login_carries_an_identity(front: Front) -> None:
    front.ask("/v3/users", member(front))
    assert front.seen == {}


def test_a_certificate_that_tls_did_not_verify_is_none(front: Front) -> None:
    for word in ("FAILED:expired", "GENEROUS", "NONE", ""):
        assert front.ask(GRID, member(front), SSL_CLIENT_VERIFY=word)[0] == 401


@pytest.mark.parametrize(
    "make,words",
    [
        (lambda f: pki.proxy(f.world.jane), "names no VO"),
        (lambda f: f.world.jane, "names no VO"),
        (lambda f: pki.proxy(f.world.jane, end=-pki.HOUR), "expired"),
        (lambda f: pki.proxy(member(f), policy=pki.LIMITED), "limited"),
    ],
)
def test_refusals_say_what_to_do_in_one_line(make: Any, words: str, front: Front) -> None:
    status, message = front.ask(GRID, make(front))
    assert (status, words in message, "\n" in message) == (401, True, False)
    assert front.seen == {}


def body(provider: str = "grid", methods: Any = ("mapped",), **more: Any) -> dict[str, Any]:
    """The general login, as a WSGI request has it."""
    text = json.dumps(
        {"auth": {"identity": {"methods": methods, "mapped": {"identity_provider": provider}, **more}}}
    )
    data = text.encode()
    return {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(data), "CONTENT_LENGTH": str(len(data))}


def test_the_general_login_gives_a_project_in_one_step(front: Front) -> None:
    asked = body()
    sent = asked["wsgi.input"].getvalue()
    assert front.ask("/v3/auth/tokens", member(front), **asked) == (201, "")
    assert front.seen["OSG_SITE_USER"] == JANE
    assert front.environ["wsgi.input"].read() == sent
    token = front.issuer.sign(aud="https://cloud.example.org")
    assert front.ask("/v3/auth/tokens", HTTP_AUTHORIZATION=f"Bearer {token}", **body("igwn"))[0] == 201
    assert front.seen["OSG_SITE_IDP"] == front.issuer.url


@pytest.mark.parametrize(
    "asked",
    [
        body(methods=["password", "mapped"], password={}),
        body(methods=["password"]),
        body(methods="mapped"),
        body(provider="other"),
        {**body(), "CONTENT_LENGTH": "x"},
        {**body(), "CONTENT_LENGTH": str(1 << 20)},
        {**body(), "REQUEST_METHOD": "GET"},
        {"REQUEST_METHOD": "POST", "wsgi.input": io.BytesIO(b"[[["), "CONTENT_LENGTH": "3"},
    ],
)
def test_any_other_body_gets_no_identity(asked: dict[str, Any], front: Front) -> None:
    front.ask("/v3/auth/tokens", member(front), **asked)
    assert front.seen == {}


def test_the_general_login_refuses_in_the_same_words(front: Front) -> None:
    status, message = front.ask("/v3/auth/tokens", pki.proxy(front.world.jane), **body())
    assert (status, "names no VO" in message) == (401, True)


def test_a_credential_enters_by_its_own_provider_only(front: Front) -> None:
    assert front.ask(TOKEN, member(front))[0] == 401
    token = front.issuer.sign(aud="https://cloud.example.org")
    assert front.ask_with_token(token, GRID)[0] == 401
    assert front.ask(GRID, member(front), HTTP_AUTHORIZATION=f"Bearer {token}")[0] == 201
    assert front.seen["OSG_SITE_USER"] == JANE


def test_site_yml_is_read_again_and_a_broken_one_changes_nothing(front: Front) -> None:
    assert front.ask(GRID, member(front))[0] == 201
    front.declare({"atlas": {"access": [{"fqan": "/atlas/*"}]}})
    assert front.ask(GRID, member(front))[0] == 401
    front.site.write_text("version: [")
    assert front.ask(GRID, member(front))[0] == 401
    front.declare({"cms": {"access": [{"fqan": "/cms/*"}]}})
    assert front.ask(GRID, member(front))[0] == 201


def test_without_settings_nobody_logs_in_and_everything_else_works(front: Front) -> None:
    front.settings.write_text("certificate: /typo")
    assert front.ask(GRID, member(front))[0] == 503
    assert front.ask("/v3")[0] == 201
    front.configure()
    assert front.ask(GRID, member(front))[0] == 201


@pytest.mark.parametrize("ban", [{"dn": JANE}, {"fqan": "/cms/Role=pilot*"}, {"vo": "cms"}])
def test_a_ban_works_at_the_next_login_and_ends_when_it_is_lifted(ban: dict[str, str], front: Front) -> None:
    holder = member(front, PLAIN, "/cms/Role=pilot/Capability=NULL")
    assert front.ask(GRID, holder)[0] == 201
    bans = front.folder / "bans.yml"
    bans.write_text(yaml.safe_dump([ban]))
    status, message = front.ask(GRID, holder)
    assert (status, "banned" in message) == (401, True)
    bans.unlink()
    assert front.ask(GRID, holder)[0] == 201


def test_a_subject_of_an_issuer_can_be_banned_alone(front: Front) -> None:
    bans = front.folder / "bans.yml"
    bans.write_text(yaml.safe_dump([{"issuer": front.issuer.url, "subject": "bad"}]))
    aud = "https://cloud.example.org"
    assert front.ask_with_token(front.issuer.sign(aud=aud, sub="bad"))[0] == 401
    assert front.ask_with_token(front.issuer.sign(aud=aud, sub="good"))[0] == 201


def test_bans_that_cannot_be_read_let_nobody_in(front: Front) -> None:
    (front.folder / "bans.yml").write_text("- dn: [")
    assert front.ask(GRID, member(front))[0] == 503


def test_logins_are_recorded_with_their_fqans(front: Front) -> None:
    front.ask(GRID, member(front, PLAIN, "/cms/Role=pilot/Capability=NULL"))
    front.ask(GRID, member(front, PLAIN, "/cms/Role=pilot/Capability=NULL"))
    front.ask_with_token(front.issuer.sign(aud="https://cloud.example.org"))
    found = Logins(front.folder / "logins.sqlite").all()
    assert [login.credential for login in found] == [
        Certificate(JANE, (PLAIN, "/cms/Role=pilot/Capability=NULL")),
        Token(front.issuer.url, "pilot", ("/cms", "/cms/pilots"), ("compute.create", "compute.read")),
    ]


def test_the_log_names_the_subject_and_no_key_material(
    front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    token = front.issuer.sign(aud="https://x.org")
    front.ask_with_token(token)
    front.ask(GRID, member(front))
    front.ask(GRID, pki.proxy(front.world.jane))
    assert JANE in caplog.text
    assert "sub=pilot" in caplog.text
    assert token.split(".")[1][:20] not in caplog.text
    assert "BEGIN" not in caplog.text


def test_both_verifiers_can_be_asked_to_agree(front: Front) -> None:
    from osg_site_iaas.errors import SiteError
    from osg_site_iaas.identity.libvoms import Library

    try:
        Library()
    except SiteError as error:
        pytest.skip(str(error))
    front.configure(voms_library=True)
    assert front.ask(GRID, member(front))[0] == 201
    bad = voms_proxy(front.world.jane, front.world.server, end=-pki.HOUR)
    assert front.ask(GRID, bad)[0] == 401
