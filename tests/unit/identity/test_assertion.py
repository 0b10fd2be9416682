"""What a door beside Keystone signs, and the key it signs with."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import jwt
import pytest

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import settings
from osg_site_iaas.identity.assertion import Signer, kept_key, load_key

KEYSTONE = "https://keystone.example.org:5000"
PERSON = {
    "OSG_SITE_USER": "/CN=Jane",
    "OSG_SITE_USER_ID": "a" * 64,
    "OSG_SITE_GROUPS": "cms-member",
    "HTTP_X": "no",
}


def test_a_signed_token_says_the_variables_to_one_keystone_for_a_minute(tmp_path: Path) -> None:
    signer = Signer(load_key(tmp_path / "key.pem"), KEYSTONE, KEYSTONE)
    now = dt.datetime.now(dt.timezone.utc)
    token = signer.sign(PERSON, now)
    (published,) = signer.jwks()["keys"]
    key = jwt.PyJWK.from_dict(published).key
    claims = jwt.decode(token, key, algorithms=["RS256"], audience=KEYSTONE, issuer=KEYSTONE)
    assert jwt.get_unverified_header(token)["kid"] == published["kid"]
    assert {name: claims[name] for name in ("USER", "USER_ID", "GROUPS", "sub")} == {
        "USER": "/CN=Jane", "USER_ID": "a" * 64, "GROUPS": "cms-member", "sub": "a" * 64,
    }  # fmt: skip
    assert "HTTP_X" not in claims
    assert claims["exp"] - claims["iat"] == 60


def test_the_key_is_made_once_kept_private_and_read_again_when_it_is_another(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "key.pem"
    first = kept_key(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["key.pem"]
    assert kept_key(file).private_numbers() == first.private_numbers()
    file.unlink()
    assert kept_key(file).private_numbers() != first.private_numbers()


def test_a_key_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    load_key(file)
    file.chmod(0o644)
    with pytest.raises(SiteError, match="read by others"):
        load_key(file)
    file.write_text("hello")
    file.chmod(0o600)
    with pytest.raises(SiteError, match="cannot be used"):
        load_key(file)


@pytest.mark.parametrize(
    "address,good",
    [
        (KEYSTONE, True),
        ("https://keystone.example.org/identity/v3", True),
        ("http://127.0.0.1:5000", True),
        ("http://localhost:5000/v3", True),
        ("http://keystone.example.org:5000", False),
        ("http://localhost.example.org", False),
        ("http://127.0.0.1@example.org", False),
        ("keystone.example.org", False),
    ],
)
def test_a_keystone_elsewhere_is_told_over_tls_only(address: str, good: bool, tmp_path: Path) -> None:
    file = tmp_path / "identity.yml"
    file.write_text(f"keystone: {address}\n")
    if good:
        assert settings.load(file).keystone == address
    else:
        with pytest.raises(SiteError, match="keystone"):
            settings.load(file)
