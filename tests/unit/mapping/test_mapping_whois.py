"""``osg-site-iaas whois``: which line decides, what follows, and what a door would find wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jwt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from osg_site_iaas.cli.main import main
from tests import pki
from tests.voms_ac import voms_proxy

ROOT = Path(__file__).resolve().parents[3]
JANE = f"{pki.ORG}/OU=People/CN=Jane Pilot"
ISSUER = "https://issuer.example.org/igwn"
SITE = f"""\
version: 1
site: {{resource: Example-Cloud, fqdn: cloud.example.org}}
cloud: {{name: example}}
identity_providers:
  grid: {{type: x509, authorization_ttl: 720}}
  igwn: {{type: token, remote_ids: [{ISSUER}], audiences: [https://cloud.example.org]}}
vos:
  cms:
    reporting_name: CMS
    access:
      - {{fqan: /cms/Role=production, role: manager, ec2_keys: false}}
      - {{fqan: /cms/*}}
  ligo:
    project: gravity
    access:
      - {{issuer: {ISSUER}, scope: compute.create}}
      - {{issuer: https://stranger.example.org}}
  dune:
    enabled: false
    access:
      - {{fqan: /dune/*}}
"""


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text(SITE)
    return path


def whois(site: Path, *words: str) -> int:
    return main(["whois", str(site), *words])


def asked(capsys, site: Path, *words: str) -> tuple[int, dict]:
    code = whois(site, *words, "--json")
    return code, json.loads(capsys.readouterr().out)


def test_the_line_that_decides_and_all_that_follows(site, capsys):
    assert whois(site, "--dn", JANE, "--fqan", "/cms/Role=production", "--fqan", "/cms") == 0
    assert capsys.readouterr().out.splitlines() == [
        "a manager of VO cms",
        f"  line      {site}:11: fqan /cms/Role=production",
        "  matched   /cms/Role=production/Capability=NULL",
        "  project   cms (domain osg)",
        "  role      manager, through group cms-manager-nokeys",
        "  EC2 keys  no",
        "  accounted as CMS",
        "  login     identity provider grid, protocol mapped",
        f"  user      {JANE}",
        f"  fits too, later: {site}:12: fqan /cms/*, VO cms",
    ]


@pytest.mark.parametrize(
    "words, code, said",
    [
        (["--fqan", "/cmsfake"], 2, "because   no line fits /cmsfake"),
        (["--fqan", "/CMS"], 2, "looks alike: "),
        (["--fqan", "/dune"], 2, "because   VO dune is disabled"),
        (["--fqan", "cms"], 2, "note: 'cms' is no FQAN"),
        (["--dn", "/CN=x"], 2, "no line has the DN /CN=x, and the credential names no VO"),
        (["--table"], 0, ": fqan /dune/* -> VO dune, project dune, role member, refused: the VO is disabled"),
        (["--print", "voms-mapfile"], 0, '"/cms/*" cms\n'),
    ],
)
def test_answers(site, words, code, said, capsys):
    assert whois(site, *words) == code
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        ([], "nobody was named"),
        (["--fqan", "/cms", "--table"], "it is not clear who is meant"),
        (["--dn", "/CN=x", "--token", "x"], "it is not clear who is meant"),
        (["--token", "/nonexistent"], "/nonexistent: it cannot be read: No such file or directory"),
        (["--proxy", "/"], "/: it cannot be read"),
    ],
)
def test_questions_that_cannot_be_answered(site, words, said, capsys):
    assert whois(site, *words) == 1
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_a_ban_comes_before_the_table(site, capsys):
    (site.parent / "bans.yml").write_text(f"- {{dn: '{JANE}', reason: 'crypto mining'}}\n")
    code, answer = asked(capsys, site, "--dn", JANE, "--fqan", "/cms")
    assert (code, answer["allowed"], answer["keystone"]) == (2, False, None)
    assert answer["reason"] == f"banned: dn {JANE} (crypto mining)"
    assert answer["match"]["vo"] == "cms"


def token(path: Path, **claims: object) -> Path:
    whole = {
        "iss": ISSUER,
        "sub": "pilot",
        "aud": "https://cloud.example.org",
        "exp": 4102444800,
        "scope": "compute.create",
    }
    words = {name: value for name, value in {**whole, **claims}.items() if value is not None}
    path.write_text(jwt.encode(words, "nobody knows this secret of thirty-two", "HS256") + "\n")
    return path


def test_a_token_is_read_and_called_unverified(site, tmp_path, capsys):
    file = token(tmp_path / "token")
    code, answer = asked(capsys, site, "--token", str(file))
    assert (code, answer["match"]["vo"], answer["match"]["project"]) == (0, "ligo", "gravity")
    assert answer["notes"] == ["not verified: this is what it says of itself, and a door would check it"]
    assert answer["keystone"]["OSG_SITE_USER"] == f"{ISSUER}#pilot"
    assert file.read_text().split(".")[2].strip() not in json.dumps(answer)


@pytest.mark.parametrize(
    "claims, code, note",
    [
        ({"exp": 1}, 0, "it expired at 1970-01-01 00:00:01 UTC: no door takes it"),
        ({"exp": None}, 0, "it says no end (exp)"),
        ({"exp": 1e300}, 0, "not verified"),
        ({"nbf": 1e300}, 0, "it is good from a time that is none only"),
        (
            {"aud": "https://other.example.org"},
            0,
            "it is meant for https://other.example.org, and igwn accepts",
        ),
        ({"aud": ["x", "ANY"]}, 0, "not verified"),
        ({"scope": None}, 2, "not verified"),
        ({"iss": "https://stranger.example.org"}, 2, "no identity provider of site.yml names the issuer"),
        ({"iss": "https://\x1b[31mevil.example.org"}, 2, "no identity provider of site.yml names the issuer"),
    ],
)
def test_what_a_door_would_say_of_a_token(site, tmp_path, claims, code, note, capsys):
    assert whois(site, "--token", str(token(tmp_path / "t", **claims))) == code
    shown = capsys.readouterr().out
    assert note in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("claims", [{"iss": None}, {"sub": None}, {"sub": 7}])
def test_a_token_of_nobody_is_refused(site, tmp_path, claims, capsys):
    assert whois(site, "--token", str(token(tmp_path / "t", **claims))) == 1
    assert "the token" in capsys.readouterr().err


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=20)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text("abAB0=.-_", max_size=60).map(lambda words: f"eyJhbGciOiJub25lIn0.{words}".encode()),
    )
)
def test_no_file_brings_a_traceback(site, data):
    file = site.parent / "junk"
    file.write_bytes(data)
    assert whois(site, "--token", str(file)) in (1, 2)
    assert whois(site, "--proxy", str(file)) in (1, 2)


@pytest.fixture(scope="module")
def grid():
    authority = pki.ca()
    jane = pki.end_entity(JANE, authority)
    return jane, pki.end_entity(f"{pki.ORG}/CN=voms.example.org", authority, hosts=["voms.example.org"])


def test_a_proxy_is_read_with_its_fqans(site, grid, tmp_path, capsys):
    jane, server = grid
    file = voms_proxy(
        jane, server, ["/cms/Role=production/Capability=NULL", "/cms/Role=NULL/Capability=NULL"]
    )
    code, answer = asked(capsys, site, "--proxy", str(file.write(tmp_path / "proxy")))
    assert (code, answer["match"]["role"], answer["credential"]["dn"]) == (0, "manager", JANE)
    assert len(answer["later"]) == 1
    assert len(answer["notes"]) == 1


@pytest.mark.parametrize(
    "make, code, note",
    [
        (lambda jane, server: jane, 2, "it has no VOMS attributes"),
        (lambda jane, server: pki.proxy(jane), 2, "it has no VOMS attributes"),
        (
            lambda jane, server: pki.proxy(jane, voms=b"\x30\x03\x02\x01\x01"),
            2,
            "its VOMS attributes cannot be read",
        ),
        (lambda jane, server: pki.proxy(voms_proxy(jane, server)), 0, "not verified"),
        (
            lambda jane, server: pki.proxy(voms_proxy(jane, server), policy=pki.LIMITED),
            0,
            "it is a limited proxy",
        ),
        (
            lambda jane, server: voms_proxy(jane, server, start=-9 * pki.HOUR, end=-pki.HOUR),
            0,
            "its VOMS attributes expired",
        ),
        (
            lambda jane, server: voms_proxy(jane, server, ["/cms", "/atlas"]),
            0,
            "/atlas is not its VOMS server's to give",
        ),
    ],
)
def test_what_a_door_would_say_of_a_proxy(site, grid, tmp_path, make, code, note, capsys):
    assert whois(site, "--proxy", str(make(*grid).write(tmp_path / "proxy"))) == code
    assert note in capsys.readouterr().out


def test_a_proxy_without_its_owner_is_refused(site, grid, tmp_path, capsys):
    alone = tmp_path / "alone"
    alone.write_bytes(pki.cert_pem(pki.proxy(grid[0]).certificate))
    assert whois(site, "--proxy", str(alone)) == 1
    assert "not their owner's certificate" in capsys.readouterr().err
