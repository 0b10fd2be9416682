"""The archive for those who help: no secret of a seeded set is in it, and no person."""

from __future__ import annotations

import base64
import html
import json
import re
import tarfile
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator
from urllib.parse import quote

import pytest

from osg_site_iaas.cli import main as cli
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import bundle, encodings, redact
from osg_site_iaas.ops.finding import Result
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.subject import Subject

SEEDS = {
    "clouds.yaml password": "correct-horse-battery",
    "control password": "Zx9+quoted value",
    "application credential": "appcred-1f8a-very-long",
    "EC2 secret": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "generated password": "wK3_generated-PW",
    "metadata secret": "metadata-shared-secret-1234",
    "database password": "dbpass99",
    "environment": "env-token-value-77",
    "secure.yaml": "secure-yaml-5ecret",
    "URL of a login": "p4th/of@login",
    "connection URL in a file": "db-file-passw0rd",
    "signing key": "MHcCAQEEIsigningkeyline0123456789abcd",
    "key of the probe": "MIIEprobekeyline0123456789abcdefghijkl",
    "password file": "named-by-file-77x",
    "a quoted one": "it's &so \"quoted\\ü",
    "person": "Jane O'Pilot",
    "subject": "jane.subject",
    "banned subject": "b4nned-subject",
    "mail": "jane@example.org",
}
PEOPLE = ("person", "mail", "subject", "banned subject")
TOKEN = "gAAAAABk" + "Q" * 60


def _coded(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The members of an archive that was written on a host full of secrets."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        yield _written(tmp_path_factory.mktemp("host"), monkeypatch)


def _written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    etc = tmp_path / "etc"
    for folder in (etc / "clouds", etc / "secrets", tmp_path / "state/control"):
        folder.mkdir(parents=True, mode=0o700)
    (etc / "site.yml").write_text(
        "version: 1\nsite: {resource: Example-Cloud, fqdn: cloud.example.org}\n"
        "cloud: {name: example, secrets: secrets}\n"
        f"vos: {{cms: {{password: file:elsewhere/pw, access: [{{dn: /DC=org/DC=example/CN={SEEDS['person']}}},"
        f" {{issuer: https://issuer.example.org, subject: {SEEDS['subject']}}}]}}}}\n"
    )
    (etc / "bans.yml").write_text(
        f"- dn: /DC=org/DC=example/CN={SEEDS['person']}\n  reason: ask {SEEDS['mail']}\n"
        f"- issuer: https://issuer.example.org\n  subject: {SEEDS['banned subject']}\n"
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
    (tmp_path / "secure.yaml").write_text(
        f"clouds: {{example: {{auth: {{passcode_seed: {SEEDS['secure.yaml']}, project_name: admin-project}}}}}}\n"
    )
    (etc / "clouds/other.json").write_text(
        json.dumps({"clouds": {"o": {"auth": {"auth_url": f"https://u:{SEEDS['URL of a login']}@k/v3"}}}})
    )
    (etc / "elsewhere").mkdir()
    (etc / "elsewhere/pw").write_text(SEEDS["password file"] + "\n")
    (etc / "secrets/quoted").write_text(SEEDS["a quoted one"])
    for place, seed in ((tmp_path / "probe.key", "key of the probe"), (etc / "signing.pem", "signing key")):
        place.write_text(f"-----BEGIN PRIVATE KEY-----\n{SEEDS[seed]}\n-----END PRIVATE KEY-----\n")
    (etc / "identity.yml").write_text("signing_key: signing.pem\n")
    (tmp_path / "cell1").write_text(f"mysql+pymysql://nova:{SEEDS['connection URL in a file']}@db/nova\n")
    (tmp_path / "ProbeConfig").write_text(
        f'<ProbeConfiguration\n  Extra="mysql://nova:{SEEDS["database password"]}@db.example.org/nova"\n'
        f'  Databases="{tmp_path}/cell1" KeyFile="{tmp_path}/probe.key"\n/>\n'
    )
    # What must not be there may have got into any file, in any writing: here into the last plan.
    everything = [value for name, value in SEEDS.items() if name not in PEOPLE]
    ways = [
        str,
        quote,
        html.escape,
        repr,
        *(lambda word, user=user: _coded(user + word) for user in ("", "u:", "us:")),
    ]
    (tmp_path / "state/control/plan.json").write_text(
        json.dumps(
            {
                "summary": {}, "conflicts": [], "changes": [],
                "note": [f"x {way(value)} X-Auth-Token: {TOKEN}" for value in everything for way in ways],
                "people": [f"user {SEEDS[name]}" for name in ("subject", "banned subject")],
            }
        )
    )  # fmt: skip
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
    if seed not in PEOPLE:
        found = {
            name: encodings.holds(redact.MARKS.sub("\n", text), [SEEDS[seed]])
            for name, text in archive.items()
        }
        assert set(found.values()) == {None}, found


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
    names = [
        set(re.findall(r"person-[0-9a-f]{12}", archive[f"files/{name}"])) for name in ("site.yml", "bans.yml")
    ]
    assert len(names[0] & names[1]) == 1  # Jane's
    assert f"dn: {next(iter(names[0] & names[1]))}" in archive["files/bans.yml"]
    assert "issuer: https://issuer.example.org" in archive["files/bans.yml"]


@pytest.fixture
def subject(tmp_path: Path) -> Subject:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets/one").write_text("S3cret+of/this-host")
    return Subject(
        tmp_path / "site.yml",
        Places(tmp_path, tmp_path, tmp_path, tmp_path / "none"),
        datetime.now(timezone.utc),
    )


def test_an_archive_in_which_a_secret_is_found_is_not_left_there(
    subject: Subject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "_clean", lambda text, redactor: text)  # as if nothing were recognised
    coded = _coded("user:S3cret+of/this-host")
    with pytest.raises(SiteError, match=r"not kept: a secret of this host would be in its findings\.json"):
        bundle.write(tmp_path / "a.tar.gz", subject, [Result("units", "ok", f"got {coded}")])
    assert not [path for path in tmp_path.iterdir() if "a.tar" in path.name]


def test_where_a_secret_is_still_seen_the_line_is_left_out(subject: Subject, tmp_path: Path) -> None:
    over_encoded = "".join(f"%{ord(one):02x}" for one in "S3cret+of/this-host")
    bundle.write(
        tmp_path / "a.tar.gz", subject, [Result("units", "ok", f"got {over_encoded}"), Result("disk", "ok")]
    )
    with tarfile.open(tmp_path / "a.tar.gz") as opened:
        text = opened.extractfile("osg-site-iaas-support/findings.json").read().decode()  # type: ignore[union-attr]
    assert "%53" not in text
    assert '"check": "disk"' in text


def test_an_earlier_archive_is_replaced_with_mode_0600_and_nothing_else_is(
    subject: Subject, tmp_path: Path
) -> None:
    file = tmp_path / "a.tar.gz"
    bundle.write(file, subject, [])
    file.chmod(0o644)
    bundle.write(file, subject, [])
    assert file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "site.yml").write_text("version: 1\n")
    (tmp_path / "link").symlink_to(file)
    for other in (tmp_path / "site.yml", tmp_path / "link", tmp_path):
        with pytest.raises(SiteError, match="it exists, and is no earlier archive"):
            bundle.write(other, subject, [])
    assert (tmp_path / "site.yml").read_text() == "version: 1\n"


def test_a_folder_that_is_not_there_is_said(subject: Subject, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="cannot write the archive: No such file or directory"):
        bundle.write(tmp_path / "nowhere/a.tar.gz", subject, [])
