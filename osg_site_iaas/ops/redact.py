"""Takes out of a text what must not leave the site: secrets that are known, what looks like one, and people.

Every pattern is bounded or stays within a line, lines have a greatest length, and nothing is repeated inside what is
repeated: the work is linear in the text, whoever wrote it.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Iterable, Iterator

from osg_site_iaas.ops.encodings import SHORTEST, Forms
from osg_site_iaas.ops.people import People

GONE = "[removed]"
MARKS = re.compile(r"\[removed\]|person-[0-9a-f]{12}")
LONGEST = 16384  # characters of a line; what is beyond is cut off

# words that make a name the name of a secret, wherever in it they stand
WORDS = (
    r"passw(?:or)?d|passphrase|passcode|secret(?!s\b|s_cloud\b)|token|credential|signature|cookie|user[_-]?data"
    r"|(?:api|private|auth|shared|encryption|hmac|fernet|temp[_-]url)[_-]?key|access[_-]?key(?![_-]?id)"
    r"|saml(?:response|art)|assertion|(?<!by)(?<!com)(?<!tres)(?<!sur)pass(?![a-z])|pwd(?![a-z])"
    r"|(?<![a-z])(?:pw|sig|otp|totp)(?![a-z])"
)
NAME = rf"[\w.-]{{0,40}}?(?:{WORDS})[\w.-]{{0,40}}"
_REST = r"[\w.-]{0,40}"  # of a name
_HEADERS = (
    r"(?:proxy[_-])?authorization|x[_-](?:auth|subject|service|storage)[_-]token|x-amz-security-token"
    r"|(?:set[_-])?cookie2?"
)

_QUOTE = r"\\{0,8}[\"']"  # also of JSON within a string
_IS = rf"(?:{_QUOTE})?[ \t]{{0,8}}(?:=>|[=:]{{1,2}}|%3[dD])[ \t]{{0,8}}"  # between a name and its value
_NEXT = rf"{_QUOTE}[ \t]?,[ \t]?(?=[bu]?{_QUOTE}(?!value\b))"  # as words of a list
# secrets_cloud names an entry, file: and env: a place; these values are no secret
_HARMLESS = r"(?!\\{0,8}[\"']?(?:file:|env:|generated(?![\w-])|(?:None|null|nil|true|false)(?![\w.-]))|[{])"
_QUOTED = (
    rf"[bu]?(?P<q>{_QUOTE})(?:(?P=q)(?P=q)|(?!(?<!\\)(?P=q))[^\n]){{0,{LONGEST}}}(?:(?P=q)|$)"
    r"(?:(?:\"'\"|\\')'[^'\n]{0,256}'){0,16}"  # a shell's quote in quotes
)
_LIST = r"\[[^\]\n]{0,4096}\]"
_BARE = (
    r"(?:[^\s,;}&<\"'\\)\]]|\\(?![\"'rn])|[)\]](?=\w)|[,;](?!\s|[\w.-]{1,40}[=:]|$)"
    r"|&(?![\w.%-]{1,40}=|\s|lt;|$)|['\"](?=\w)){1,4096}"
)
_VALUE = rf"(?P<gone>{_QUOTED}|{_LIST}|{_BARE})"


def _rule(pattern: str, flags: int = re.IGNORECASE) -> re.Pattern[str]:
    return re.compile(pattern, flags | re.MULTILINE)


_CLOSED = r"\\{0,8}[\"'](?:[\s,})\]]|$)"  # the end of a quotation in which all stands
_UNTIL_CLOSED = rf"(?:(?!{_CLOSED})[^\n]){{1,{LONGEST}}}"
_SLASHES = r"(?::|%3a)(?:\\{0,4}/|%2f){2}"
_NOT_QUOTED = r"(?![ \t\"'\[|>])"
_IN_TAG = rf"(?:\s{{0,80}}<!\[CDATA\[[^\]]{{0,4096}}(?:\]\]>)?|(?:[^<&]|&(?!lt;)){{1,{LONGEST}}})"
_OPTION = rf"(?:{_NEXT}|[ \t=]{{0,4}})(?:{_QUOTE})?"

# each removes what it calls ``gone``
_NAMED = (
    _rule(  # a line of settings: all of it
        rf"^[ \t]{{0,80}}(?:- )?(?:export )?{NAME}[ \t]{{0,40}}(?::[ \t]|=)[ \t]{{0,40}}"
        rf"{_HARMLESS}{_NOT_QUOTED}(?P<gone>[^\n]+)$"
    ),
    _rule(  # name="password" value="..."
        rf"(?:name|key|id){_IS}(?:{_QUOTE})?{NAME}(?:{_QUOTE})?[\s,;]{{0,4}}(?:(?:{_QUOTE})?value{_IS}|/?>){_VALUE}"
    ),
    _rule(rf"(?:{WORDS}){_REST}(?:{_IS}|{_NEXT}){_HARMLESS}{_VALUE}"),
    _rule(rf"(?:<|&lt;)(?:[\w.-]{{1,40}}:)?{NAME}(?:\s[^<>]{{0,200}})?(?:>|&gt;)(?P<gone>{_IN_TAG})"),
    _rule(rf"(?<![\w-])--?(?=\w){NAME}[ \t]{{1,8}}(?!-){_VALUE}"),
    _rule(rf"(?<![\w-])(?:-u|--user|--proxy-user){_OPTION}[^\s:\"']{{1,100}}:(?P<gone>[^\s\"']{{1,300}})"),
    _rule(
        rf"\b(?:mysql|mariadb|sshpass|redis-cli|ldap)[^\n]{{0,200}}?[\s\"']-[paw](?:{_NEXT}|[ \t]?){_VALUE}",
        0,
    ),
    _rule(r"\blogin[ \t]+\S{1,100}[ \t]+password[ \t]+(?P<gone>\S+)"),
    _rule(rf"{_SLASHES}[^\s:/@\"'<>]{{0,100}}:(?P<gone>[^\s\"<>]{{1,300}})@"),
)
_LOOKS = (
    _rule(rf"(?:{_HEADERS})(?:{_IS}|{_NEXT})(?P<gone>{_QUOTED}|digest [^\n]*|{_UNTIL_CLOSED})"),
    _rule(r"\bAWS4-HMAC-SHA256[ ,](?P<gone>[^\n\"']+)"),
    _rule(r"\bbearer(?:[ \t]+|%20)(?P<gone>[\w.~+/=%-]{8,})"),
    _rule(
        r"\b(?P<gone>eyJ[\w-]{12,}(?:\.[\w-]*){0,4}|gAAAA[\w-]{20,}(?:=|%3[dD]){0,2}|AUTH_tk[0-9a-f]{16,})", 0
    ),
    _rule(r"\b(?P<gone>(?:AKIA|ASIA)[A-Z0-9]{12,})\b", 0),
    _rule(rf"{_SLASHES}(?P<gone>[^\s:/@\"'<>]{{16,200}})@"),  # a token alone
)
_BLOCK = _rule(rf"([ \t]*)(?:- )?[\"']?{NAME}[\"']?[ \t]*:[ \t]+(?:![\w!]+[ \t]+)?[|>][+-]?\d?[ \t]*$")
_BASIC = _rule(r"\bbasic[ \t]+([A-Za-z0-9+/_-]{4,}={0,2})")
_BLOB = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{16,}={0,2}")
_WRAPPED = re.compile(r"\0\n([^\n]{0,200}?)([A-Za-z0-9+/]{1,76}={0,2})$", re.MULTILINE)
_PRINTED = frozenset([9, 10, 13, *range(32, 127)])


class Redactor:
    """What is known to be secret, and who is known, with one pseudonym a person that nobody can work out."""

    def __init__(self, secrets: Iterable[str] = (), people: Iterable[str] = ()) -> None:
        self.secrets = tuple({one.strip() for one in secrets if len(one.strip()) >= SHORTEST})
        self.people = People(people)
        self._known = Forms(self.secrets, lambda _: GONE)

    def text(self, words: str) -> str:
        """The words without secrets, and with a pseudonym for each person, the same one throughout an archive."""
        words = self._known.replace(words.replace("\0", ""))
        words = "\n".join(_without_blocks(map(_short, words.split("\n"))))
        for pattern in (*_LOOKS, *_NAMED):
            words = pattern.sub(_gone, words)
        words = _BASIC.sub(
            lambda found: found[0].replace(found[1], GONE) if _is_login(found[1]) else found[0], words
        )
        words = _BLOB.sub(_blob, words)
        while "\0" in words:  # base64 in lines: also the last, shorter one
            words = (
                _WRAPPED.sub(rf"\n\1{GONE}", words, 1) if _WRAPPED.search(words) else words.replace("\0", "")
            )
        return self.people.replace(words)


def learn(words: str, *, settings: bool = True) -> Iterator[str]:
    """The values that a text names as secret, so that they are found where nothing names them.

    What is no settings file may well name something else so: an ordinary word is not taken from there.
    """
    for pattern in _NAMED:
        for found in pattern.finditer(words):
            value = (
                found["gone"]
                .lstrip("bu\\" if '"' in found["gone"] or "'" in found["gone"] else "")
                .strip("\\\"' \t")
            )
            if len(value) >= (SHORTEST if settings else 8) and (settings or not value.isalpha()):
                yield value


def _short(line: str) -> str:
    if len(line) <= LONGEST:
        return line
    kept = line[:LONGEST]  # a word that is cut could not be recognised
    return f"{kept[: max(kept.rfind(' '), LONGEST // 2)]} [{len(line)} characters, cut]"


def _without_blocks(lines: Iterable[str]) -> Iterator[str]:
    """Lines without private keys and certificates, and without YAML's blocks of text that are named as a secret."""
    key, indent = False, -1
    for line in lines:
        if key:
            key = "-----END" not in line
            continue
        if indent >= 0 and (not line.strip() or len(line) - len(line.lstrip()) > indent):
            continue
        begin, end = line.find("-----BEGIN"), line.rfind("-----END")
        if begin >= 0:
            key = end < begin
            yield line[:begin] + GONE + ("" if key else line[end + 8 :].partition("-----")[2])
            continue
        block = _BLOCK.match(line)
        indent = len(block[1]) if block else -1
        yield f"{line} {GONE}" if block else line


def _gone(found: re.Match[str]) -> str:
    start, end = found.span("gone")
    quote = re.match(rf"[bu]?({_QUOTE})", found["gone"])
    instead = f"{quote[1]}{GONE}{quote[1]}" if quote and found["gone"].endswith(quote[1]) else GONE
    return found[0][: start - found.start()] + instead + found[0][end - found.start() :]


def _decoded(word: str) -> bytes:
    plain = word.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4))
    except binascii.Error:
        return b""


def _is_login(word: str) -> bool:
    return b":" in _decoded(word) or word.endswith("=")


def _blob(found: re.Match[str]) -> str:
    """Base64 of a text, or of what may be a key; not what only looks so: digests, ids, paths, long names."""
    word = found[0]
    if not word.strip("0123456789abcdefABCDEF-"):
        return word
    data, plain = _decoded(word), word.rstrip("=")
    mixed = re.search("[a-z]", plain) and re.search("[A-Z]", plain) and re.search("[0-9]", plain)
    text = len(data) >= 10 and _PRINTED.issuperset(data)
    key = len(plain) >= 40 and mixed and sum(map(plain.count, "+/-_")) <= len(plain) / 10
    if not (text or key or word.startswith("H4sI")):  # gzip
        return word
    wrapped = len(plain) >= 60 and found.string[found.end() : found.end() + 1] == "\n"
    return GONE + "\0" * wrapped
