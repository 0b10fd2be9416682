"""Tokens of the WLCG and SciTokens profiles, from an issuer that really answers."""

from __future__ import annotations

import base64
import datetime as dt
import json
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osg_site_iaas.identity import tokens
from osg_site_iaas.identity.issuer_keys import IssuerDown, KeyCache, check_keys, over_https, seconds
from osg_site_iaas.identity.refused import Refused
from tests import pki
from tests.issuer import Issuer, jwk

HERE = "https://cloud.example.org"


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    with Issuer(tmp_path_factory.mktemp("issuer")) as running:
        yield running


@pytest.fixture(autouse=True)
def _as_new(issuer: Issuer) -> None:
    issuer.key, issuer.kid = pki.rsa_key(), "first"
    issuer.publish()
    issuer.requests.clear()


def cache(issuer: Issuer, **more: Any) -> KeyCache:
    return KeyCache(over_https(str(issuer.ca_file)), more.pop("clock", seconds), **more)


def verify(issuer: Issuer, token: str, keys: KeyCache | None = None) -> tokens.VerifiedToken:
    trusted = {issuer.url: tokens.TrustedIssuer(issuer.url, frozenset({HERE}))}
    return tokens.verify(token, trusted, keys or cache(issuer), now=dt.datetime.now(dt.timezone.utc))


def test_a_wlcg_token_says_who_and_which_groups(issuer: Issuer) -> None:
    found = verify(issuer, issuer.sign())
    assert (found.issuer, found.subject, found.profile) == (issuer.url, "pilot", "wlcg")
    assert (found.groups, found.scopes) == (("/cms", "/cms/pilots"), ("compute.create", "compute.read"))


def test_a_scitoken_says_who_and_which_scopes(issuer: Issuer) -> None:
    found = verify(issuer, issuer.sign(wlcg__ver=None, ver="scitoken:2.0"))
    assert (found.profile, found.groups) == ("scitokens", ())


def test_one_of_several_audiences_is_enough(issuer: Issuer) -> None:
    assert verify(issuer, issuer.sign(aud=["https://other.example.org", HERE])).subject == "pilot"


def test_groups_alone_need_no_scope(issuer: Issuer) -> None:
    assert verify(issuer, issuer.sign(scope=None)).groups == ("/cms", "/cms/pilots")


NOW = int(time.time())
REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "expired": ({"exp": NOW - 1}, "expired"),
    "without an end": ({"exp": None}, "never expires"),
    "of tomorrow": ({"nbf": NOW + 86400}, "not valid before"),
    "issued tomorrow": ({"iat": NOW + 86400}, "not valid before"),
    "for another service": ({"aud": "https://storage.example.org"}, "another service"),
    "for anybody": ({"aud": "https://wlcg.cern.ch/jwt/v1/any"}, "another service"),
    "for ANY": ({"aud": "ANY"}, "another service"),
    "for nobody": ({"aud": None}, "another service"),
    "for a longer name": ({"aud": HERE + ".evil.org"}, "another service"),
    "of another issuer": ({"iss": "https://evil.example.org"}, "not one that this site accepts"),
    "without an issuer": ({"iss": None}, "not one that this site accepts"),
    "without a subject": ({"sub": None}, "no subject"),
    "with a subject of two lines": ({"sub": "a\nb"}, "no subject"),
    "without a profile": ({"wlcg__ver": None}, "profile"),
    "of an old SciTokens profile": ({"wlcg__ver": None, "ver": "scitoken:1.0"}, "profile"),
    "of a coming WLCG profile": ({"wlcg__ver": "2.0"}, "profile"),
    "for storage only": ({"scope": "storage.read:/ storage.create:/x"}, "storage only"),
    "for storage only, of an old kind": ({"scope": "read:/store write:/store openid"}, "storage only"),
    "with a text for a time": ({"exp": "tomorrow"}, "not a time"),
    "with a boolean for a time": ({"exp": True}, "not a time"),
    "with a time past all calendars": ({"exp": 1 << 39}, "not a time"),
    "with groups that are none": ({"wlcg__groups": {"a": 1}}, "not a list"),
    "with a list of scopes": ({"scope": ["compute.create"]}, "not a text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, issuer: Issuer, refusal: Callable[..., str]) -> None:
    changed, words = REFUSED[case]
    assert words in refusal(verify, issuer, issuer.sign(**changed))


def _plain(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def _public_pem(issuer: Issuer) -> bytes:
    return issuer.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _signed_with_the_public_key(issuer: Issuer) -> str:
    """HS256 with the issuer's public key as the secret: the classic confusion of algorithms."""
    import hashlib
    import hmac

    head = f"{_plain({'alg': 'HS256', 'typ': 'JWT', 'kid': issuer.kid})}.{_plain(issuer.claims())}"
    mac = hmac.new(_public_pem(issuer), head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _brings_its_key(issuer: Issuer) -> str:
    mine = pki.ec.generate_private_key(pki.ec.SECP256R1())
    headers = {"kid": issuer.kid, "jwk": jwk(mine, issuer.kid), "jku": "https://evil.example.org/jwks"}
    return jwt.encode(issuer.claims(), mine, algorithm="ES256", headers=headers)


def _changed_after_signing(issuer: Issuer) -> str:
    head, _, signature = issuer.sign().split(".")
    return f"{head}.{_plain(issuer.claims(sub='admin'))}.{signature}"


FORGED: dict[str, Callable[[Issuer], str]] = {
    "no signature": lambda i: f"{_plain({'alg': 'none', 'kid': i.kid})}.{_plain(i.claims())}.",
    "the public key as a secret": _signed_with_the_public_key,
    "another key": lambda i: i.sign(key=pki.rsa.generate_private_key(65537, 2048)),
    "a key of its own": _brings_its_key,
    "changed after signing": _changed_after_signing,
    "an unknown key id": lambda i: i.sign(kid="unknown"),
    "an algorithm that the key is not for": lambda i: i.sign(algorithm="RS512"),
    "critical header": lambda i: jwt.encode(
        i.claims(), i.key, "RS256", {"kid": i.kid, "crit": ["x"], "x": 1}
    ),
    "not a token": lambda i: "abc",
    "empty": lambda i: "",
    "huge": lambda i: "a" * 20000,
}


@pytest.mark.parametrize("case", FORGED)
def test_forged(case: str, issuer: Issuer) -> None:
    with pytest.raises(Refused) as caught:
        verify(issuer, FORGED[case](issuer))
    assert "eyJ" not in str(caught.value) + caught.value.log_line


def test_a_new_key_is_fetched_when_a_token_names_it(issuer: Issuer) -> None:
    clock = [1000.0]
    keys = cache(issuer, clock=lambda: clock[0])
    verify(issuer, issuer.sign(), keys)
    issuer.rotate("second")
    clock[0] += 61
    assert verify(issuer, issuer.sign(), keys).subject == "pilot"


def test_made_up_key_ids_do_not_make_us_ask_without_end(issuer: Issuer) -> None:
    keys = cache(issuer, clock=lambda: 1000.0)
    for number in range(20):
        with pytest.raises(Refused):
            verify(issuer, issuer.sign(kid=f"made-up-{number}"), keys)
    assert issuer.requests.count("/jwks") == 1


def test_a_withdrawn_key_stops_working_after_the_refresh(issuer: Issuer) -> None:
    clock = [1000.0]
    keys = cache(issuer, clock=lambda: clock[0])
    old = issuer.sign()
    verify(issuer, old, keys)
    issuer.rotate("second")
    assert verify(issuer, old, keys).subject == "pilot"
    clock[0] += 3601
    with pytest.raises(Refused, match="does not know the key"):
        verify(issuer, old, keys)


def test_while_an_issuer_is_down_its_last_keys_hold_until_their_end(issuer: Issuer) -> None:
    clock = [1000.0]
    keys = cache(issuer, clock=lambda: clock[0])
    token = issuer.sign()
    verify(issuer, token, keys)
    issuer.go_down()
    clock[0] += 3 * 86400
    assert verify(issuer, token, keys).subject == "pilot"
    clock[0] += 2 * 86400
    with pytest.raises(Refused, match="cannot be reached"):
        verify(issuer, token, keys)


def test_keys_outlive_a_restart(issuer: Issuer, tmp_path: Path) -> None:
    token = issuer.sign()
    verify(issuer, token, cache(issuer, folder=tmp_path / "keys"))
    issuer.go_down()
    assert verify(issuer, token, cache(issuer, folder=tmp_path / "keys")).subject == "pilot"
    for file in (tmp_path / "keys").iterdir():
        file.write_text("{")
    with pytest.raises(Refused, match="cannot be reached"):
        verify(issuer, token, cache(issuer, folder=tmp_path / "keys"))


@pytest.mark.parametrize(
    "path,document",
    [
        (
            "/.well-known/openid-configuration",
            {"issuer": "https://evil.example.org", "jwks_uri": "https://x/"},
        ),
        ("/.well-known/openid-configuration", {"issuer": "ISSUER", "jwks_uri": "http://localhost/jwks"}),
        ("/.well-known/openid-configuration", []),
        ("/jwks", {"keys": "none"}),
        ("/jwks", b"\x00not json"),
        ("/jwks", b" " * (2 << 20)),
    ],
)
def test_odd_documents_give_no_keys(path: str, document: Any, issuer: Issuer) -> None:
    if isinstance(document, dict) and document.get("issuer") == "ISSUER":
        document = {**document, "issuer": issuer.url}
    issuer.documents[path] = document
    with pytest.raises(Refused, match="cannot be reached"):
        verify(issuer, issuer.sign())


@pytest.mark.parametrize("authorities", [True, "/not/there/ca.pem"])
def test_a_wrong_tls_certificate_gives_no_keys(authorities: bool | str, issuer: Issuer) -> None:
    keys = KeyCache(over_https(authorities), seconds)
    with pytest.raises(Refused, match="cannot be reached"):
        verify(issuer, issuer.sign(), keys)


def test_nothing_private_is_kept_of_a_careless_issuer() -> None:
    (key,) = check_keys(
        {"keys": [{"kty": "RSA", "n": "AQ", "e": "AQAB", "d": "secret"}, {"kty": "oct", "k": "s"}]}
    )
    assert "secret" not in json.dumps(key)
    with pytest.raises(IssuerDown):
        check_keys([])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.dictionaries(
        st.sampled_from(
            ["iss", "sub", "aud", "exp", "nbf", "iat", "scope", "wlcg.groups", "wlcg.ver", "ver", "jti"]
        ),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=4
        ),
    )
)
def test_odd_claims_are_refused_or_taken_but_crash_nothing(issuer: Issuer, odd: dict[str, Any]) -> None:
    token = issuer.sign_claims({**issuer.claims(), **odd}, issuer.key, issuer.kid, "RS256")
    try:
        found = verify(issuer, token, KEYS.setdefault("cache", cache(issuer)))
    except Refused:
        return
    assert found.issuer == issuer.url
    assert found.subject


KEYS: dict[str, KeyCache] = {}
