"""A real Keystone inside Apache, as it runs at sites: every login and every attack at both doors that are supported.

``wrapped``: mod_gridsite's TLS, our middleware, Keystone. ``beside``: our own front with a relay, and an unmodified
Keystone behind mod_auth_openidc.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any, Iterator

import jwt
import pytest
import requests
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from keystoneauth1 import session

from osg_site_iaas.identity import front, relay
from osg_site_iaas.identity.assertion import JWKS_PATH, Signer, load_key
from tests import pki
from tests.interop.test_identity_fronts import ROOT, free_port, wait_for
from tests.sandbox.apache_keystone import OIDC, Apache, Front, at, missing
from tests.sandbox.identity_fixtures import CMS, PILOT, GridSite, grid_site  # noqa: F401
from tests.sandbox.test_identity_login import (
    ATTACKS,
    BAD_TOKENS,
    UNVERIFIED,
    forged_headers,
)


def token_of(found: session.Session, site: Front) -> dict[str, Any]:
    """What this Keystone says of the session's token: the catalogue names the one that it is a copy of."""
    headers = {"X-Subject-Token": found.get_token()}
    return dict(found.get("/auth/tokens", headers=headers, endpoint_override=site.url).json()["token"])


class Doors:
    """Both, and what a test needs to attack the unmodified Keystone itself."""

    def __init__(self, wrapped: Front, beside: Front, plain: str, key: Path) -> None:
        self.wrapped, self.beside = wrapped, beside
        self.plain, self.key = plain, key

    def named(self, name: str) -> Front:
        return self.wrapped if name == "wrapped" else self.beside


@pytest.fixture(scope="module")
def doors(grid_site: GridSite) -> Iterator[Doors]:  # noqa: F811
    if missing():
        pytest.fail(f"not installed: {missing()} (scripts/distribution-packages development)", pytrace=False)
    folder = Path(tempfile.mkdtemp(prefix="keystone-apache-"))
    folder.chmod(0o755)
    port = free_port()
    door = f"https://localhost:{port}"
    cloud = grid_site.cloud
    apache = Apache(cloud, grid_site, folder / "apache", door)
    apache.folder.mkdir()
    told = yaml.safe_load((cloud.sandbox.folder / "identity.yml").read_text())
    told.update(
        keystone=apache.address("plain"), keystone_ca=str(cloud.pki / "ca.pem"),
        signing_key=str(folder / "signing.pem"), logins=None, keys=None,
    )  # fmt: skip
    (folder / "identity.yml").write_text(yaml.safe_dump(told))
    files = front.Files(cloud.pki / "host.pem", cloud.pki / "host.key", grid_site.grid.certificates)
    server = front.server(relay.application(folder / "identity.yml"), "127.0.0.1", port, files, threads=4)
    thread = threading.Thread(target=server.start, daemon=True)
    thread.start()
    try:
        wait_for(port)
        with apache.running():
            yield Doors(
                at(grid_site, apache.address("wrapped")), at(grid_site, f"{door}/v3"),
                apache.address("plain"), folder / "signing.pem",
            )  # fmt: skip
    finally:
        server.stop()
        thread.join(20)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["wrapped", "beside"])
def site(request: pytest.FixtureRequest, doors: Doors) -> Front:
    return doors.named(request.param)


def test_a_proxy_and_a_token_end_in_their_vos_project(site: Front, tmp_path: Path) -> None:
    user = site.user("Apache")
    token = token_of(site.proxy_session(site.proxy(user, CMS)), site)
    assert (token["project"]["name"], token["user"]["name"]) == ("cms", user.dn)
    pilot = token_of(site.proxy_session(site.proxy(user, PILOT)), site)
    assert "manager" in {role["name"] for role in pilot["roles"]}
    file = tmp_path / "token"
    file.write_text(site.issuer.sign(sub="someone"))
    found = site.session(
        "v3gridtoken", identity_provider=site.token_provider, protocol="mapped", token_file=str(file)
    )
    assert (token_of(found, site)["project"]["name"], token_of(found, site)["user"]["name"]) == (
        "cms",
        f"{site.issuer.url}#someone",
    )
    scitoken = site.issuer.sign(sub="ligo-pilot", wlcg__ver=None, ver="scitoken:2.0", wlcg__groups=None)
    found = site.session(
        "v3oidcaccesstoken",
        "ligo",
        identity_provider=site.token_provider,
        protocol="mapped",
        access_token=scitoken,
    )
    assert token_of(found, site)["project"]["name"] == "ligo"


def test_no_attack_gets_in(site: Front) -> None:
    """One test and not one for each: every attack is a login, and what would be told apart is in the message."""
    got_in = [case for case, make in ATTACKS.items() if site.knock(make(site)).status_code != 401]
    got_in += [
        c
        for c, claims in BAD_TOKENS.items()
        if site.knock_with_token(site.issuer.sign(**claims)).status_code != 401
    ]
    for case, make in UNVERIFIED.items():
        with contextlib.suppress(requests.exceptions.ConnectionError):
            got_in += [case] if site.knock(make(site)).status_code != 401 else []
    assert got_in == []


def test_headers_make_nobody_at_any_door(doors: Doors) -> None:
    answers: dict[str, Any] = {}
    for name, url in (("wrapped", doors.wrapped.url), ("beside", doors.beside.url), ("plain", doors.plain)):
        site = doors.wrapped
        headers = {
            **forged_headers(site), "OIDC-CLAIM-sub": "x", "OIDC_CLAIM_iss": doors.plain, "X-Forwarded-User": "admin",
        }  # fmt: skip
        for provider in (site.x509_provider, site.token_provider):
            one = {"identity_provider": provider, "protocol": "mapped"}
            body = {"auth": {"identity": {"methods": ["mapped"], "mapped": one}}}
            for method, target, more in (
                ("GET", site.login_url(provider, url), {}), ("POST", f"{url}/auth/tokens", {"json": body}),
            ):  # fmt: skip
                answer = requests.request(
                    method, target, headers=headers, verify=site.ca_file, timeout=60, **more
                )
                answers[f"{name} {method} {provider}"] = (
                    answer.status_code,
                    "X-Subject-Token" in answer.headers,
                )
    assert {case: found for case, found in answers.items() if found != (401, False)} == {}


def test_a_member_is_no_more_for_headers_that_say_so(site: Front) -> None:
    user = site.user("Pretender")
    answer = site.knock(site.proxy(user, CMS), headers=forged_headers(site))
    assert answer.status_code == 201, answer.text
    assert answer.json()["token"]["user"]["name"] == user.dn
    assert len(answer.json()["token"]["user"]["OS-FEDERATION"]["groups"]) == 1


def test_a_revoked_user_is_refused_from_the_next_login_on(site: Front) -> None:
    user = site.user("Revoked")
    holder = site.proxy(user, CMS)
    assert site.knock(holder).status_code == 201
    try:
        site.grid.revoke(site.ca, [user.certificate.serial_number])
        assert "revoked" in site.knock(holder).json()["error"]["message"]
    finally:
        site.grid.revoke(site.ca)


def test_only_what_the_door_signed_a_moment_ago_opens_the_unmodified_keystone(doors: Doors) -> None:
    """Straight at Keystone, without the door: as somebody who can reach it, but has not its key."""
    site = doors.wrapped
    key = load_key(doors.key)
    person = {
        "OSG_SITE_IDP": f"osg-site-iaas-{site.x509_provider}", "OSG_SITE_USER": "/CN=Somebody",
        "OSG_SITE_USER_ID": "0" * 64, "OSG_SITE_GROUPS": "cms-member",
    }  # fmt: skip
    now = pki.now()
    stranger = rsa.generate_private_key(65537, 2048)
    good = Signer(key, doors.plain, doors.plain)
    tokens = {
        "good": good.sign(person, now),
        "another key": Signer(stranger, doors.plain, doors.plain).sign(person, now),
        "another key under the door's id": jwt.encode(
            jwt.decode(good.sign(person, now), options={"verify_signature": False}),
            stranger, "RS256", {"kid": good.kid},
        ),
        "expired": good.sign(person, now - pki.HOUR),
        "another issuer": Signer(key, "https://x.example.org", doors.plain).sign(person, now),
        "another audience": Signer(key, doors.plain, "https://x.example.org").sign(person, now),
        "no signature": jwt.encode({"sub": "x", "iss": doors.plain, "aud": doors.plain}, "", "none"),
        "the members' own": site.issuer.sign(),
        "nothing": "x",
    }  # fmt: skip

    def enter(token: str, **more: Any) -> int:
        return requests.get(
            site.login_url(site.x509_provider, doors.plain), headers={"Authorization": f"Bearer {token}", **more},
            verify=site.ca_file, timeout=60,
        ).status_code  # fmt: skip

    assert {case: enter(token) == 201 for case, token in tokens.items()} == {
        case: case == "good" for case in tokens
    }
    # a group that site.yml does not give this provider is refused by Keystone's own rules, whoever signs it
    assert enter(good.sign({**person, "OSG_SITE_GROUPS": "admins"}, now)) == 401


def test_passwords_and_tokens_go_through_the_door_beside_as_before(doors: Doors) -> None:
    site = doors.beside
    cloud = site.cloud
    user = {"name": "admin", "password": cloud.admin_password, "domain": {"id": "default"}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}}
    answer = requests.post(f"{site.url}/auth/tokens", json={"auth": auth}, verify=site.ca_file, timeout=60)
    assert answer.status_code == 201
    headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    found = requests.get(
        f"{site.url}/auth/projects?name=admin", headers=headers, verify=site.ca_file, timeout=60
    )
    assert [project["name"] for project in found.json()["projects"]] == ["admin"]


def test_the_door_shows_its_key_and_never_its_private_half(doors: Doors) -> None:
    base = doors.beside.url.removesuffix("/v3")
    (key,) = requests.get(base + JWKS_PATH, verify=doors.beside.ca_file, timeout=30).json()["keys"]
    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}
    assert doors.key.stat().st_mode & 0o077 == 0


def test_the_documented_directives_are_those_tested() -> None:
    text = (ROOT / "docs" / "identity.md").read_text(encoding="utf-8")
    assert [directive for directive in OIDC.splitlines() if directive not in text] == []
