"""What looks like a secret or a person is taken out of texts, wherever they write it."""

from __future__ import annotations

import base64
import re
from re import _parser as sre  # type: ignore[attr-defined]
from typing import Any, Iterator

import pytest

from osg_site_iaas.ops import people, redact

LOGIN = base64.b64encode(b"jane:hunter2x").decode()
FERNET = "gAAAAABk" + "Q" * 60
SCRIPT = base64.b64encode(b"#!/bin/sh\necho hunter2x | join-cluster\n").decode()
# each holds hunter2x, or its base64; the second must be left
SECRETS = [
    ("{'password': 'hunter2x', 'user': 'u1'}", "'user': 'u1'"),
    ("{u'password': u'hunter2x', u'user': u'u1'}", "u'user': u'u1'"),
    ('{"a": "{\\"password\\": \\"hunter2x\\", \\"n\\": 1}"} end', '\\"n\\": 1}"} end'),
    ('{\\\\\\"password\\\\\\": \\\\\\"hunter2x\\\\\\"} end', "} end"),
    ("password: hunter2x and hunter2x\nnext: 1", "next: 1"),
    ("  - db_password: hunter2x\nnext: 1", "next: 1"),
    ("password: |\n  hunter2x\n  hunter2x\nnext: 1", "next: 1"),
    ("password: 'it''s hunter2x'", "password: "),
    ('password = "a\\" hunter2x", end', ", end"),
    ("<adminPass>hunter2x</adminPass> end", "</adminPass> end"),
    ('<n:adminPass xmlns:n="u">hunter2x</n:adminPass> end', "</n:adminPass> end"),
    ("&lt;adminPass&gt;hunter2x&lt;/adminPass&gt; end", "/adminPass&gt; end"),
    ("<password><![CDATA[hunter2x]]></password> end", "</password> end"),
    ('<property name="password" value="hunter2x"/>', '<property name="password"'),
    ('{"name": "password", "value": "hunter2x"}', '"name": "password"'),
    ("GET /v1/o?temp_url_sig=hunter2x&temp_url_expires=1", "&temp_url_expires=1"),
    ("GET /b?X-Amz-Algorithm=A&X-Amz-Signature=hunter2x&z=1", "&z=1"),
    ("GET /?AWSAccessKeyId=0011&Signature=hunter2x%3D&Expires=1", "AWSAccessKeyId=0011"),
    ("GET /?u=%2Fx%3FSignature%3Dhunter2x HTTP/1.1", "HTTP/1.1"),
    ("x adminPass=hunter2x end", " end"),
    ("DB_PASS=hunter2x,y;z", "DB_PASS="),
    ("x PGPASSWORD=hunter2x psql", " psql"),
    ("openstack --password hunter2x user list", " user list"),
    ("openstack --os-password=hunter2x user list", " user list"),
    ("openstack --os-password 'hunter2x y' user list", " user list"),
    ("['openstack', '--password', 'hunter2x', 'user']", "'user'"),
    ("curl -u a:hunter2x https://host.example.org/", " https://host.example.org/"),
    ("['curl', '--user', 'a:hunter2x', 'host']", "'host'"),
    ("mysql -u nova -phunter2x nova", "mysql -u nova"),
    ("sshpass -p hunter2x ssh host", " ssh host"),
    ("machine m login u password hunter2x", "machine m login u"),
    ("amqp://u:a/hunter2x@host:5672/v end", "@host:5672/v end"),
    ("mysql+pymysql://nova:hunt@hunter2x@db/nova end", "@db/nova end"),
    ("rabbit://u:hunter2x@h1:5672,v:hunter2x@h2:5672/ end", "@h2:5672/ end"),
    ("redis://:hunter2x@host end", "@host end"),
    ("amqp:\\/\\/u:hunter2x@host end", "@host end"),
    ("https://hunter2xhunter2xhunter2x@host/x end", "@host/x end"),
    (f'{{"Authorization": "Basic {LOGIN}", "n": 1}}', '"n": 1}'),
    (f"{{'Authorization': b'Basic {LOGIN}', 'n': 1}}", "'n': 1}"),
    (f"('Authorization', 'Basic {LOGIN}'), 1", ", 1"),
    (f"Authorization: Basic {LOGIN}\nnext", "\nnext"),
    (f"got basic {LOGIN} end", " end"),
    ('Authorization: Digest username="u", response="hunter2x"\nnext', "\nnext"),
    ("Authorization: AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=hunter2x\nnext", "\nnext"),
    ("GET / AWS4-HMAC-SHA256 Credential=A/b, Signature=hunter2x\nnext", "\nnext"),
    ("send: b'GET / HTTP/1.1\\r\\nX-Auth-Token: hunter2x\\r\\nCookie: a=hunter2x\\r\\n'", "GET / HTTP/1.1"),
    ('curl -H "X-Auth-Token: hunter2x" -H "Accept: json"', '-H "Accept: json"'),
    ('{"m": "curl -H \\"X-Auth-Token: hunter2x\\" -v", "n": 5}', '"n": 5}'),
    ("'X-Subject-Token': 'hunter2x', 'n': 1", "'n': 1"),
    ("X-Service-Token: hunter2x\nnext", "\nnext"),
    ("Set-Cookie: session=hunter2x; Path=/\nnext", "\nnext"),
    ("{'Cookie': 'session=hunter2x', 'n': 1}", "'n': 1"),
    (f"x user_data={SCRIPT} end", " end"),
    (f"made a server from {SCRIPT} end", "made a server from "),
    ("-----BEGIN PRIVATE KEY-----\nhunter2x\n-----END PRIVATE KEY-----\nnext", "\nnext"),
    ('"-----BEGIN RSA PRIVATE KEY-----\\nhunter2x\\n-----END RSA PRIVATE KEY-----" end', '" end'),
    ("x -----BEGIN PRIVATE KEY-----\nhunter2x", "x "),
    (f"token {FERNET} hunter".replace("hunter", "end"), " end"),
]  # fmt: skip
LEFT = re.compile(f"hunter2x|{LOGIN[:8]}|{SCRIPT[-12:]}|gAAAAABk")


@pytest.mark.parametrize(("line", "stays"), SECRETS, ids=[line[:40] for line, _ in SECRETS])
def test_what_is_written_as_a_secret_goes_and_the_rest_stays(line: str, stays: str) -> None:
    left = redact.Redactor().text(line)
    assert not LEFT.search(left)
    assert stays in left
    assert redact.Redactor().text(left) == left


PEOPLE = [
    ("refused subject=/DC=org/CN=Jane O'Hara/CN=UID:jane reason=expired", "reason=expired"),
    ("user '/DC=org/CN=Jane O'Hara/CN=UID:jane' in", "' in"),
    ("/DC=org/CN=Jane Doe is shut out", " is shut out"),
    ("{'sub': 'jane.doe', 'iss': 'https://issuer'}", "'iss': 'https://issuer'"),
    ('{"sub": "jane.doe", "n": 1}', '"n": 1'),
    ('"{\\"sub\\": \\"jane.doe\\", \\"n\\": 1}"', '\\"n\\": 1'),
    ("  subject: jane.doe\nnext: 1", "  subject: "),
    ("- {issuer: https://issuer, subject: jane.doe}", "{issuer: https://issuer, subject: "),
    ("login subject=jane.doe vo=cms", "vo=cms"),
    ("CN=Jane Doe,OU=People,DC=example,DC=org is refused", " is refused"),
    ("CN=Doe\\, Jane,OU=People,DC=example,DC=org", ""),
    ('"CN=Doe\\\\, Jane,OU=People" end', '" end'),
    ("subject=CN=Jane Doe,OU=People,DC=org", "subject="),
    ("subject=DC = org, DC = example, CN = Jane Doe", "subject="),
    ("bound /O=Grid/CN=Doe, Jane/CN=UID:jane, vo=x", "vo=x"),
    ("ask jane@example.org or jane%40example.org of getty@tty1.service", "getty@tty1.service"),
    ("user https://issuer.example.org/igwn#jane.doe logged in", "https://issuer.example.org/igwn#person-"),
    ("GET /v3/users?name=%2FDC%3Dorg%2FCN%3DJane%20Doe&n=1", "&n=1"),
    ("GET /v3/users?name=/DC%3Dorg/CN%3DJane%20Doe&n=1", "&n=1"),
    ("GET /v3/users?name=https%3A%2F%2Fissuer%2Figwn%23jane.doe&n=1", "&n=1"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "stays"), PEOPLE, ids=[line[:40] for line, _ in PEOPLE])
def test_people_get_pseudonyms_and_the_rest_stays(line: str, stays: str) -> None:
    left = redact.Redactor().text(line)
    assert not re.search(r"(?i)jane|doe\b|hara", left)
    assert "person-" in left
    assert stays in left


def test_one_person_has_one_pseudonym_however_the_name_is_written() -> None:
    hide = redact.Redactor().text
    ways = ["/DC=org/OU=People/CN=Jane Doe", "CN=Jane Doe,OU=People,DC=org", "DC=org, OU=People, CN=Jane Doe",
            "%2FDC%3Dorg%2FOU%3DPeople%2FCN%3DJane%20Doe"]  # fmt: skip
    assert len({hide(way) for way in ways}) == 1
    assert hide("sub=jane.doe") == "sub=" + hide("https://issuer#jane.doe").partition("#")[2]
    assert hide(ways[0]) != hide(ways[0].replace("Jane", "John"))


def test_no_pseudonym_can_be_worked_out_or_found_again_in_another_archive() -> None:
    dn = "/DC=org/DC=example/CN=Jane Doe"
    assert redact.Redactor().text(dn) != redact.Redactor().text(dn)


def test_who_is_known_is_found_without_any_mark_and_by_the_id_in_keystone() -> None:
    dn = "/DC=org/DC=example/CN=Jane Doe"
    redactor = redact.Redactor(people=[dn, "jdoe"])
    identity = people.names.user_id(people.Certificate(dn))
    left = redactor.text(f"{dn} said it\nuser {identity} too\nuser jdoe, not jdoes")
    name = redactor.people.pseudonym(dn)
    assert left == f"{name} said it\nuser {name} too\nuser {redactor.people.pseudonym('jdoe')}, not jdoes"


@pytest.mark.parametrize(
    "line",
    [
        "GET /v2.1/servers 200 project=5f0c; the token is meant for another service",
        "password: file:/etc/osg/site-iaas/secrets/x",
        "  password: generated",
        "secrets: /etc/osg/site-iaas/secrets",
        "secrets_cloud: reader",
        '{"password": null, "n": 1}',
        "{'token': None, 'n': 1}",
        "signing_key: /var/lib/osg-site-iaas/identity/signing.pem",
        "fqan /cms/Role=pilot/Capability=NULL",
        "server 3f2b6c1e-8a55-4f0e-9c0a-5a1f0c7d2b11 checksum d41d8cd98f00b204e9800998ecf8427e",
        "/usr/lib/python3/dist-packages/osg_site_iaas/identity/front.py line 12",
        "osg-site-iaas-front.service: Main process exited, code=exited, status=1/FAILURE",
        "http://127.0.0.1:8774/v2.1/servers?limit=1000&all_tenants=True",
    ],
)
def test_what_helps_stays(line: str) -> None:
    assert redact.Redactor().text(line) == line


def test_what_settings_name_as_secret_is_learnt_and_an_ordinary_word_of_a_log_is_not() -> None:
    text = "password = hunter2x\ntransport_url = rabbit://u:s3cr3t99@mq/\n"
    assert {"hunter2x", "s3cr3t99"} <= set(redact.learn(text))
    assert "hunter2x" in set(redact.learn("{'adminPass': 'hunter2x'}", settings=False))
    assert list(redact.learn("token: expired", settings=False)) == []


def _repeats(tree: Any, within: bool = False) -> Iterator[str]:
    """What a pattern repeats without bound inside something that is repeated, or over lines."""
    for name, value in tree:
        kind = str(name)
        endless = kind in ("MAX_REPEAT", "MIN_REPEAT") and value[1] > redact.LONGEST
        if kind in ("MAX_REPEAT", "MIN_REPEAT"):
            if endless and (within or len(value[2]) != 1):
                yield f"{kind} {value[2]}"
            yield from _repeats(value[2], within or value[1] > 16)
        elif kind == "SUBPATTERN":
            yield from _repeats(value[-1], within)
        elif kind == "BRANCH":
            for way in value[1]:
                yield from _repeats(way, within)
        elif kind in ("ASSERT", "ASSERT_NOT"):
            yield from _repeats(value[1], within)


def test_no_pattern_repeats_without_bound_what_is_repeated() -> None:
    patterns = [one for one in vars(redact).values() if isinstance(one, re.Pattern)]
    patterns += [one for one in vars(people).values() if isinstance(one, re.Pattern)]
    patterns += [*redact._NAMED, *redact._LOOKS]
    assert len(patterns) > 15
    for one in patterns:
        assert list(_repeats(sre.parse(one.pattern, one.flags & ~re.UNICODE))) == [], one.pattern


def test_the_check_of_patterns_does_find_a_bad_one() -> None:
    assert list(_repeats(sre.parse(r"(?:a+)+b"))) != []
    assert list(_repeats(sre.parse(r"(?:ab)*c"))) != []


ADVERSARIAL = ("password", "token=", "a-", "://", "://a:", "<token ", "/CN=", "CN=a,", "a@", "a.", "-----BEGIN ",
               "Aa1", "\\", "\"'", "login a ", "mysql ", "%2F", "sub=", "- ")  # fmt: skip


def _looked_at(monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[int, int]:
    """How many characters patterns were given in all, and the longest line of it."""
    seen: list[str] = []
    real = redact.People.replace
    monkeypatch.setattr(redact.People, "replace", lambda self, words: real(self, seen.append(words) or words))
    redact.Redactor(["known-secret-1"]).text(text)
    return sum(map(len, seen)), max(len(line) for words in seen for line in words.split("\n"))


def test_lines_have_a_greatest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    size = 1 << 17
    total, longest = _looked_at(monkeypatch, "\n".join("x" * size for _ in range(4)))
    assert longest <= redact.LONGEST + 40
    assert total <= 4 * (redact.LONGEST + 40)


@pytest.mark.parametrize("part", ADVERSARIAL)
def test_a_long_line_of_one_thing_is_done(part: str) -> None:
    line = part * (redact.LONGEST // len(part))
    assert len(redact.Redactor(["known-secret-1"]).text(line)) <= 4 * len(line)


@pytest.mark.long
def test_20_mb_of_such_lines_are_done() -> None:
    lines = [part * (redact.LONGEST // len(part)) for part in ADVERSARIAL]
    text = "\n".join(lines * ((20 << 20) // sum(map(len, lines)) + 1))
    assert len(redact.Redactor(["known-secret-1"]).text(text)) <= 4 * len(text)
