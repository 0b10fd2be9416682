"""Whom a line of bans.yml shuts out."""

from __future__ import annotations

from pathlib import Path

import pytest

from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import bans
from osg_site_iaas.mapping.credential import Certificate, Token

JANE = "/DC=org/DC=example/CN=Jane Pilot"
ISSUER = "https://issuer.example.org/igwn"
PILOT = Certificate(JANE, ("/cms/Role=NULL/Capability=NULL", "/cms/Role=pilot/Capability=NULL"))


@pytest.mark.parametrize(
    "ban,credential,vo,fits",
    [
        ({"dn": JANE}, Certificate(JANE), None, True),
        ({"dn": JANE}, Certificate(JANE + "/CN=2"), None, False),
        ({"dn": "/C=US/Email=a@b.org"}, Certificate("/C=US/emailAddress=a@b.org"), None, True),
        ({"fqan": "/cms/Role=pilot"}, PILOT, "cms", True),
        ({"fqan": "/cms"}, PILOT, "cms", True),
        ({"fqan": "/cms/Role=production"}, PILOT, "cms", False),
        ({"fqan": "/cms/*"}, Token(ISSUER, "x", ("/cms",)), "cms", False),
        ({"issuer": ISSUER}, Token(ISSUER, "x"), "ligo", True),
        ({"issuer": ISSUER, "subject": "y"}, Token(ISSUER, "x"), "ligo", False),
        ({"issuer": ISSUER}, Certificate(JANE), None, False),
        ({"vo": "cms"}, PILOT, "cms", True),
        ({"vo": "cms"}, PILOT, "atlas", False),
        ({"vo": "cms"}, PILOT, None, False),
    ],
)
def test_whom_a_ban_fits(ban: dict[str, str], credential: bans.Credential, vo: str, fits: bool) -> None:
    assert bans.make(ban).fits(credential, vo) is fits


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    made = bans.Bans(
        (
            bans.make({"dn": JANE, "reason": "été: 'x'", "since": "2026-01-01T00:00:00Z"}),
            bans.make({"vo": "a"}),
        )
    )
    file = tmp_path / bans.NAME
    file.write_text(bans.text(made))
    assert bans.load(file) == made
    assert bans.load(tmp_path / "none.yml") == bans.Bans()


def test_the_same_ban_twice_is_one_whatever_its_reason() -> None:
    once = bans.Bans().with_(bans.make({"dn": JANE}))
    assert once.with_(bans.make({"dn": JANE, "reason": "again"})) == once
    assert once.without(bans.make({"dn": JANE, "reason": "other"})) == bans.Bans()


@pytest.mark.parametrize(
    "text",
    [
        "dn: x",
        "- {}",
        "- {dn: /CN=x, vo: cms}",
        "- {dn: x}",
        "- {fqan: cms}",
        "- {fqan: '/*'}",
        "- {vo: cms, subject: x}",
        "- {vos: cms}",
        "- [",
        "- text",
    ],
)
def test_a_line_that_is_not_clear_is_an_error(text: str, tmp_path: Path) -> None:
    file = tmp_path / bans.NAME
    file.write_text(text)
    with pytest.raises(SiteError):
        bans.load(file)
