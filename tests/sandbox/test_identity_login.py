"""A proxy or a token becomes a Keystone token in the right project, and nothing else does, with a real Keystone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests
from keystoneauth1 import exceptions, session

from tests import pki, voms_ac
from tests.sandbox.identity_fixtures import CMS, ORG, PILOT, SERVER, GridSite, grid_site  # noqa: F401

IDENTITY = {"endpoint_filter": {"service_type": "identity", "interface": "public"}}


def token_of(found: session.Session) -> dict[str, Any]:
    """What Keystone says of the session's own token."""
    answer = found.get("/auth/tokens", headers={"X-Subject-Token": found.get_token()}, **IDENTITY)
    return dict(answer.json()["token"])


def roles_of(found: session.Session) -> set[str]:
    return {role["name"] for role in token_of(found)["roles"]}


def test_a_voms_proxy_ends_in_its_vos_project(grid_site: GridSite) -> None:  # noqa: F811
    jane = grid_site.user("Jane")
    token = token_of(grid_site.proxy_session(grid_site.proxy(jane, CMS)))
    assert (token["project"]["name"], token["user"]["name"]) == ("cms", jane.dn)
    assert "member" in {role["name"] for role in token["roles"]}


def test_the_first_fqan_decides_the_role(grid_site: GridSite) -> None:  # noqa: F811
    joe = grid_site.user("Joe")
    assert "manager" in roles_of(grid_site.proxy_session(grid_site.proxy(joe, PILOT, CMS)))
    ann = grid_site.user("Ann")
    assert "manager" not in roles_of(grid_site.proxy_session(grid_site.proxy(ann, CMS, PILOT)))


def test_a_proxy_renewed_on_disk_is_taken_at_the_next_login(grid_site: GridSite) -> None:  # noqa: F811
    user = grid_site.user("Renewer")
    file = Path(grid_site.file(pki.proxy(user)))
    found = grid_site.session(
        "v3gridproxy", identity_provider=grid_site.x509_provider, protocol="mapped", proxy=str(file)
    )
    with pytest.raises(exceptions.Unauthorized, match="names no VO"):
        found.get_token()
    grid_site.proxy(user, CMS).write(file)
    assert token_of(found)["project"]["name"] == "cms"


def test_a_wlcg_token_ends_in_its_groups_project(grid_site: GridSite, tmp_path: Path) -> None:  # noqa: F811
    file = tmp_path / "token"
    file.write_text(grid_site.issuer.sign(sub="someone"))
    found = grid_site.session(
        "v3gridtoken", identity_provider=grid_site.token_provider, protocol="mapped", token_file=str(file)
    )
    token = token_of(found)
    assert (token["project"]["name"], token["user"]["name"]) == ("cms", f"{grid_site.issuer.url}#someone")


def test_a_scitoken_enters_with_keystoneauths_own_bearer_plugin(grid_site: GridSite) -> None:  # noqa: F811
    scitoken = grid_site.issuer.sign(sub="ligo-pilot", wlcg__ver=None, ver="scitoken:2.0", wlcg__groups=None)
    found = grid_site.session(
        "v3oidcaccesstoken",
        "ligo",
        identity_provider=grid_site.token_provider,
        protocol="mapped",
        access_token=scitoken,
    )
    assert token_of(found)["project"]["name"] == "ligo"


def test_nobody_enters_another_vos_project(grid_site: GridSite) -> None:  # noqa: F811
    found = grid_site.proxy_session(grid_site.proxy(grid_site.user("Stranger"), CMS), vo="ligo")
    with pytest.raises(exceptions.Unauthorized):
        found.get_token()


ATTACKS: dict[str, Any] = {
    "no VO": lambda s: s.proxy(s.user("A")),
    "another VO": lambda s: s.proxy(s.user("A"), "/atlas/Role=NULL/Capability=NULL", vo="atlas"),
    "FQAN outside its VO": lambda s: s.proxy(s.user("A"), "/cms/Role=NULL", "/atlas/Role=pilot"),
    "expired attributes": lambda s: s.proxy(s.user("A"), CMS, end=-pki.HOUR / 6),
    "attributes for another host": lambda s: s.proxy(s.user("A"), CMS, extensions=[voms_ac.targets("x.org")]),
    "stolen attributes": lambda s: pki.proxy(
        s.user("Thief"), voms=voms_ac.extension_value(voms_ac.attribute_certificate(s.user("B"), s.server))
    ),
    "another signer": lambda s: voms_ac.voms_proxy(s.user("A"), s.user("Not a server"), [CMS]),
    "tampered attributes": lambda s: pki.proxy(
        (a := s.user("A")),
        voms=voms_ac.extension_value(
            voms_ac.attribute_certificate(a, s.server, [PILOT]).replace(b"Role=pilot", b"Role=admin")
        ),
    ),
    "limited proxy": lambda s: pki.proxy(s.proxy(s.user("A"), CMS), policy=pki.LIMITED),
    "outside the signing policy": lambda s: s.proxy(pki.end_entity("/DC=net/CN=A", s.ca), CMS),
    "a host certificate of the site": lambda s: s.server,
}


@pytest.mark.parametrize("case", ATTACKS)
def test_refused_with_words_at_the_tls_door(case: str, grid_site: GridSite) -> None:  # noqa: F811
    answer = grid_site.knock(ATTACKS[case](grid_site))
    assert answer.status_code == 401
    assert "X-Subject-Token" not in answer.headers
    assert "\n" not in answer.json()["error"]["message"]


UNVERIFIED: dict[str, Any] = {
    "another CA": lambda s: pki.proxy(pki.end_entity(f"{ORG}/CN=A", pki.ca(f"{ORG}/CN=Other CA"))),
    "a forged CA": lambda s: pki.proxy(pki.end_entity(f"{ORG}/CN=A", pki.ca(s.ca.dn))),
    "expired proxy": lambda s: pki.proxy(s.user("A"), end=-pki.HOUR / 6),
    "expired certificate": lambda s: pki.proxy(pki.end_entity(f"{ORG}/CN=A", s.ca, end=-pki.HOUR / 6)),
    "deeper than its path length": lambda s: pki.proxy(pki.proxy(s.user("A"), path_length=0)),
    "signed by a user": lambda s: pki.Holder(
        (made := pki.end_entity(f"{ORG}/CN=X", (u := s.user("A")))).certificate, made.key, (u,)
    ),
}


@pytest.mark.parametrize("case", UNVERIFIED)
def test_openssl_ends_the_connection_before_anything_is_asked(case: str, grid_site: GridSite) -> None:  # noqa: F811
    with pytest.raises(requests.exceptions.ConnectionError):
        grid_site.knock(UNVERIFIED[case](grid_site))


def test_a_revoked_user_and_a_revoked_server_are_refused_from_the_next_login_on(
    grid_site: GridSite,  # noqa: F811
) -> None:
    user = grid_site.user("Revoked")
    holder = grid_site.proxy(user, CMS)
    assert grid_site.knock(holder).status_code == 201
    try:
        grid_site.grid.revoke(grid_site.ca, [user.certificate.serial_number])
        assert "revoked" in grid_site.knock(holder).json()["error"]["message"]
        grid_site.grid.revoke(grid_site.ca, [grid_site.server.certificate.serial_number])
        assert "revoked" in grid_site.knock(holder).json()["error"]["message"]
    finally:
        grid_site.grid.revoke(grid_site.ca)
    assert grid_site.knock(holder).status_code == 201


def forged_headers(site: GridSite) -> dict[str, str]:
    """Everything that the door tells Keystone, and what a TLS server tells the door, as a client's headers."""
    names = {
        "OSG_SITE_USER": "/CN=admin",
        "OSG_SITE_USER_ID": "0" * 64,
        "OSG_SITE_GROUPS": "cms-manager",
        "OSG_SITE_IDP": f"osg-site-iaas-{site.x509_provider}",
        "OSG_SITE_VO": "cms",
        "OSG_SITE_PROJECT": "cms",
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL_CLIENT_CERT": pki.cert_pem(site.server.certificate).decode().replace("\n", " "),
        "SSL_CLIENT_S_DN": SERVER,
        "GRST_CRED_AURI_0": "dn:/CN=admin",
        "GRST_VOMS_FQANS": "/cms/Role=pilot",
        "REMOTE_USER": "admin",
        "X_FORWARDED_USER": "admin",
    }
    return {**names, **{name.replace("_", "-"): value for name, value in names.items()}}


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("door", ["keystone-tls", "keystone"])
@pytest.mark.parametrize("kind", ["x509_provider", "token_provider"])
def test_forged_headers_open_no_door(door: str, kind: str, method: str, grid_site: GridSite) -> None:  # noqa: F811
    url = grid_site.login_url(getattr(grid_site, kind), grid_site.cloud.endpoints[door])
    answer = requests.request(
        method, url, headers=forged_headers(grid_site), verify=grid_site.ca_file, timeout=30
    )
    assert answer.status_code == 401
    assert "X-Subject-Token" not in answer.headers


def test_forged_headers_give_a_member_no_more_than_the_table(grid_site: GridSite) -> None:  # noqa: F811
    user = grid_site.user("Pretender")
    answer = grid_site.knock(grid_site.proxy(user, CMS), headers=forged_headers(grid_site))
    assert answer.status_code == 201
    assert answer.json()["token"]["user"]["name"] == user.dn
    assert len(answer.json()["token"]["user"]["OS-FEDERATION"]["groups"]) == 1


@pytest.mark.parametrize("method", ["external", "x509", "token", "openid"])
def test_the_general_login_takes_no_other_identity_from_a_certificate(
    method: str,
    grid_site: GridSite,  # noqa: F811
) -> None:
    file = grid_site.file(grid_site.proxy(grid_site.user("General"), CMS))
    one = {"identity_provider": grid_site.x509_provider, "protocol": "mapped", "id": "x"}
    body = {"auth": {"identity": {"methods": [method], method: one}}}
    answer = requests.post(
        f"{grid_site.url}/auth/tokens", json=body, cert=(file, file), verify=grid_site.ca_file,
        headers=forged_headers(grid_site), timeout=30,
    )  # fmt: skip
    assert answer.status_code in (400, 401, 404)
    assert "X-Subject-Token" not in answer.headers


@pytest.mark.parametrize("door", ["keystone-tls", "keystone"])
def test_the_general_login_takes_no_identity_from_headers(door: str, grid_site: GridSite) -> None:  # noqa: F811
    for provider in (grid_site.x509_provider, grid_site.token_provider):
        body = {
            "auth": {
                "identity": {
                    "methods": ["mapped"],
                    "mapped": {"identity_provider": provider, "protocol": "mapped"},
                }
            }
        }
        url = f"{grid_site.cloud.endpoints[door]}/auth/tokens"
        answer = requests.post(
            url, json=body, verify=grid_site.ca_file, headers=forged_headers(grid_site), timeout=30
        )
        assert answer.status_code == 401
        assert "X-Subject-Token" not in answer.headers


BAD_TOKENS = {
    "storage only": {"scope": "storage.read:/"},
    "another service": {"aud": "https://storage.example.org"},
    "any service": {"aud": "https://wlcg.cern.ch/jwt/v1/any"},
    "another group": {"wlcg__groups": ["/atlas"], "scope": None},
    "expired": {"exp": 1},
    "another issuer": {"iss": "https://evil.example.org"},
}


@pytest.mark.parametrize("case", BAD_TOKENS)
def test_bad_tokens_are_refused_with_words(case: str, grid_site: GridSite) -> None:  # noqa: F811
    answer = grid_site.knock_with_token(grid_site.issuer.sign(**BAD_TOKENS[case]))
    assert answer.status_code == 401
    assert "\n" not in answer.json()["error"]["message"]
    assert "eyJ" not in answer.text


def test_a_proxy_does_not_open_the_tokens_provider(grid_site: GridSite) -> None:  # noqa: F811
    holder = grid_site.proxy(grid_site.user("Mixed"), CMS)
    assert grid_site.knock(holder, grid_site.token_provider).status_code == 401
