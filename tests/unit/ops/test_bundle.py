"""The archive for those who help: no secret of a seeded set is in it, and no person."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from osg_site_iaas.cli import main as cli
from osg_site_iaas.ops import redact

SEEDS = {
    "clouds.yaml password": "correct-horse-battery",
    "control password": "Zx9+quoted value",
    "application credential": "appcred-1f8a-very-long",
    "EC2 secret": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "generated password": "wK3_generated-PW",
    "metadata secret": "metadata-shared-secret-1234",
    "database password": "dbpass99",
    "environment": "env-token-value-77",
    "person": "Jane Pilot",
    "mail": "jane@example.org",
}
TOKEN = "gAAAAABk" + "Q" * 60


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The members of an archive that was written on a host full of secrets."""
    etc = tmp_path / "etc"
    for folder in (etc / "clouds", etc / "secrets", tmp_path / "state/control"):
        folder.mkdir(parents=True, mode=0o700)
    (etc / "site.yml").write_text(
        "version: 1\nsite: {resource: Example-Cloud, fqdn: cloud.example.org}\n"
        "cloud: {name: example, secrets: secrets}\n"
        f"vos: {{cms: {{access: [{{dn: /DC=org/DC=example/CN={SEEDS['person']}}}]}}}}\n"
    )
    (etc / "bans.yml").write_text(
        f"- dn: /DC=org/DC=example/CN={SEEDS['person']}\n  reason: ask {SEEDS['mail']}\n"
    )
    entry = "clouds:\n  {}:\n    auth: {{auth_url: https://keystone.example.org/v3, username: u, password: '{}'}}\n"
    (tmp_path / "clouds.yaml").write_text(
        entry.format("example", SEEDS["clouds.yaml password"])
        + f"    application_credential_secret: {SEEDS['application credential']}\n"
    )
    (etc / "clouds/control.yaml").write_text(entry.format("control", SEEDS["control password"]))
    (etc / "secrets/cms-pilot.ec2").write_text(
        "[cms-pilot]\naws_access_key_id = 00112233445566778899aabbccddeeff\n"
        f"aws_secret_access_key = {SEEDS['EC2 secret']}\n"
    )
    (etc / "secrets/cms-bot.password").write_text(SEEDS["generated password"] + "\n")
    (etc / "secrets/metadata").write_text(SEEDS["metadata secret"])
    (etc / "ec2.yml").write_text("cloud: example\nbind: 127.0.0.1:1\n")
    (etc / "metadata.env").write_text(f"API_TOKEN={SEEDS['environment']}\n")
    (tmp_path / "ProbeConfig").write_text(
        f'<ProbeConfiguration\n  Databases="mysql://nova:{SEEDS["database password"]}@db.example.org/nova"\n/>\n'
    )
    # What must not be there may have got into any file: here into the last plan.
    everything = " ".join(value for name, value in SEEDS.items() if name not in ("person", "mail"))
    (tmp_path / "state/control/plan.json").write_text(
        json.dumps(
            {"summary": {}, "conflicts": [], "changes": [], "note": f"{everything} X-Auth-Token: {TOKEN}"}
        )
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    file = tmp_path / "support.tar.gz"
    words = [
        "doctor",
        str(etc / "site.yml"),
        "--only",
        "declaration",
        "secrets",
        "drift",
        "--bundle",
        str(file),
    ]
    places = [
        "--etc",
        str(etc),
        "--state",
        str(tmp_path / "state"),
        "--probe-config",
        str(tmp_path / "ProbeConfig"),
    ]
    assert cli.main([*words, *places, "--grid", str(tmp_path)]) in (0, 2)
    assert file.stat().st_mode & 0o777 == 0o600
    with tarfile.open(file) as opened:
        return {one.name.partition("/")[2]: opened.extractfile(one).read().decode() for one in opened}  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_seeded_secret_or_person_is_in_it(archive: dict[str, str], seed: str) -> None:
    assert [name for name, text in archive.items() if SEEDS[seed] in text] == []


def test_no_token_is_in_it(archive: dict[str, str]) -> None:
    assert [name for name, text in archive.items() if TOKEN in text] == []


def test_what_helps_is_still_in_it(archive: dict[str, str]) -> None:
    assert {result["check"] for result in json.loads(archive["findings.json"])} == {
        "declaration",
        "secrets",
        "drift",
    }
    assert json.loads(archive["versions.json"])["requests"]
    assert "resource: Example-Cloud" in archive["files/site.yml"]
    assert "bind: 127.0.0.1:1" in archive["files/ec2.yml"]
    assert json.loads(archive["files/clouds-control.json"]) == {
        "control": {"auth_url": "https://keystone.example.org/v3", "username": "u"}
    }


def test_one_person_has_one_pseudonym_everywhere(archive: dict[str, str]) -> None:
    one = redact.pseudonym(f"/DC=org/DC=example/CN={SEEDS['person']}")
    assert one in archive["files/site.yml"]
    assert one in archive["files/bans.yml"]


@pytest.mark.parametrize(
    "line, gone",
    [
        ('{"access_key": "AKIAIOSFODNN7EXAMPLE", "code": "ok"}', "AKIAIOSFODNN7EXAMPLE"),
        ("Authorization: Bearer eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln", "eyJhbGciOiJSUzI1NiJ9"),
        ("X-Auth-Token: abcdef0123456789", "abcdef0123456789"),
        ("connection = mysql+pymysql://nova:s3cr3t!@db/nova", "s3cr3t!"),
        ("rabbit rabbit://u:pw1234@mq:5672/", "pw1234"),
        ("metadata_proxy_shared_secret = wxyz", "wxyz"),
        ("refused subject=/DC=org/DC=example/CN=Jane reason=expired", "CN=Jane"),
        ("user https://issuer.example.org/igwn#jane.doe logged in", "jane.doe"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", "MIIE"),
    ],
)
def test_what_looks_like_a_secret_or_a_person_goes_too(line: str, gone: str) -> None:
    assert gone not in redact.text(line)


def test_words_that_are_no_secret_stay() -> None:
    line = "GET /v2.1/servers 200 project=5f0c; the token is meant for another service"
    assert "GET /v2.1/servers 200 project=5f0c" in redact.text(line)
