"""Takes out of a text what must not leave the site: secrets that are known, what looks like one, and people."""

from __future__ import annotations

import hashlib
import re
from typing import Any, Iterable, Iterator, Mapping

GONE = "[removed]"
SHORTEST = (
    6  # a shorter known secret would take half the text with it; what is named so is removed all the same
)
_WORDS = "passw(?:or)?d|passphrase|secret|token|credential|api_?key|private_?key|auth_key|access_key|signature|cookie"
NAMED = rf"[\w.-]*(?:{_WORDS})[\w.-]*"
_HEADERS = "authorization|x-auth-token|x-subject-token|x-service-token|set-cookie|cookie"

_IN_URL = re.compile(r"(\w+://[^\s/:@]*:)([^\s@/]+)(?=@)")  # a password
# secrets and secrets_cloud name a folder and an entry, and file: and env: a place
_NAMED_VALUE = re.compile(
    rf"(?i)(\"?\b(?!secrets(?:_cloud)?\b){NAMED}\"?\s*[=:]\s*)(?!file:|env:|generated\b)(\"[^\"]*\"|'[^']*'|[^\s,;}}&<]+)"
)
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z0-9 ]+-----.*?-----END [A-Z0-9 ]+-----", re.S), GONE),
    (re.compile(r"\b(?:eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|gAAAA[\w-]{20,}=*)"), GONE),  # JWT; Keystone's Fernet
    (re.compile(rf"(?i)\b((?:{_HEADERS})\W{{1,3}})[^\r\n\"']+"), rf"\1{GONE}"),
    (_IN_URL, rf"\1{GONE}"),
    (_NAMED_VALUE, rf"\1{GONE}"),
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{12,}\b"), GONE),
    (re.compile(r"(?i)\b(bearer\s+)\S+"), rf"\1{GONE}"),
)  # fmt: skip
_PEOPLE = (
    re.compile(r"(?:/[A-Za-z0-9.]{1,20}=[^/\n\"'<>,;|={}\[\]]+){2,}"),  # a DN in slash form
    re.compile(r"\b(?:[A-Z]{1,12}=[^,\n\"'<>;|=]+, ?){1,12}CN=[^,\n\"'<>;|]+", re.I),
    re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b"),
    re.compile(r"https?://[^\s\"'#]+#[^\s\"',;]+"),  # issuer#subject, as Keystone's users are called
)  # fmt: skip


def text(words: str, secrets: Iterable[str] = ()) -> str:
    """The words without secrets, and with one pseudonym for each person, the same one throughout an archive."""
    for secret in sorted({one for one in secrets if len(one) >= SHORTEST}, key=len, reverse=True):
        words = words.replace(secret, GONE)
    for pattern, instead in _RULES:
        words = pattern.sub(instead, words)
    for pattern in _PEOPLE:
        words = pattern.sub(lambda found: pseudonym(found[0]), words)
    return words


def learn(words: str) -> Iterator[str]:
    """The values that a text names as secret, so that they are found where nothing names them."""
    for found in _NAMED_VALUE.finditer(words):
        yield found[2].strip("\"'")
    for found in _IN_URL.finditer(words):
        yield found[2]


def pseudonym(person: str) -> str:
    """The same for the same person; who they are can be told only by who knows their name."""
    return f"person-{hashlib.sha256(person.strip().encode()).hexdigest()[:8]}"


def secrets_in(data: Any, name: str = "") -> Iterator[str]:
    """The strings in parsed settings whose keys say that they are secret."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from secrets_in(value, str(key))
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from secrets_in(value, name)
    elif isinstance(data, str) and re.fullmatch(NAMED, name, re.I):
        yield data
