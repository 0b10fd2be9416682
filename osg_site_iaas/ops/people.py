"""One pseudonym for each person in a set of texts: DNs, token subjects, mail addresses, and names in Keystone."""

from __future__ import annotations

import hashlib
import hmac
import html
import re
import secrets
from typing import Iterable
from urllib.parse import unquote

from osg_site_iaas.mapping import names
from osg_site_iaas.mapping.credential import Certificate, usual_dn
from osg_site_iaas.ops.encodings import SHORTEST, Forms

# A value goes on over spaces, commas and quotes, but not into the next `key=`, nor out of quotes, nor into a sentence.
_STOP = r"(?:is|was|were|has|had|may|can|cannot|could|does|did|from|whose|already|until|lacks|reason|vo|by)\b"
_SPACE = rf"[ ](?![\w.-]{{1,40}}[=:]|(?-i:{_STOP}))|(?<=\w)'(?=\w)"
_SLASHED = (
    rf"(?:[^\s/,+\"'<>;|={{}}\[\]\\]|{_SPACE}|,(?![ ]?[\w.-]{{1,40}}[=:]|$)|\+(?![\w.]{{1,20}}=)"
    r"|\\{1,8}(?:[ux][0-9a-f]{2,4}|[,+\"'=;#<> ]))"
)
_PLAIN = rf"(?:[^\s,+\"'<>;|={{}}\[\]\\]|{_SPACE}|\\{{1,8}}(?:[0-9a-f]{{2}}|[^\w\n]))"
_ATTRIBUTE = (
    r"(?:CN|OU|O|DC|C|L|ST|UID|E|emailAddress|mail|SN|GN|serialNumber|title|T|(?:\d{1,9}\.){3,20}\d{1,9})"
)
_RDN = rf"{_ATTRIBUTE}[ ]?=[ ]?{_PLAIN}{{1,160}}"
_SLASH = r"\\{0,4}/(?!role=|capability=)"  # those are of a VO
_PERSON_OF = r"(?:CN|UID|userid|emailAddress|email|E)"
_CODED = r"[/\w.~%+*()@:!$',-]"
_DN = re.compile(
    rf"(?:{_SLASH}[a-z0-9.]{{1,20}}=(?:{_SLASHED}){{1,200}}){{2,30}}|{_SLASH}{_PERSON_OF}=(?:{_SLASHED}){{1,200}}"
    rf"|(?<![\w/-]){_RDN}(?:[ ]?[,+][ ]?{_RDN}){{1,30}}"
    rf"|(?:/|%2f)[a-z0-9.]{{1,20}}%3d{_CODED}{{1,900}}",
    re.IGNORECASE,
)
_OF_ISSUER = re.compile(  # issuer#subject, as Keystone's users are called
    r"(https?(?::|%3a)(?:\\{0,4}/|%2f){2}[^\s\"'#<>]{1,300}?(?:#|%23))"
    r"((?<=#)(?:(?!person-)[^\s\"',;<>&]){1,300}|(?<=%23)[^\s\"',;<>&]{1,300})",
    re.IGNORECASE,
)
_MAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,256}(?:@|%40)(?!\[)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_UNIT = re.compile(r"\.(?:service|timer|socket|slice|target|mount|scope|path)$")
_SUBJECT = re.compile(
    r"(?<![\w.-])((?:token[_-]?)?sub(?:ject)?\\{0,8}[\"']?[ \t]{0,4}[=:][ \t]{0,4}[bu]?)(\\{0,8}[\"'])?"
    r"((?(2)(?:(?!\2)[^\n]){1,300}|[^\s\"',;}\]\[{][^\s\"',;}]{0,300}))",
    re.IGNORECASE,
)
_DIGEST = re.compile(r"(?<![0-9a-fA-F])[0-9a-f]{64}(?![0-9a-fA-F])")  # Keystone's id of a user of ours is one


class People:
    """Pseudonyms that are the same for one person in all texts, and made anew by every instance."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        self._salt = secrets.token_bytes(32)
        found = {one.strip() for one in known if len(one.strip()) >= 3}
        self._known = Forms((one for one in found if len(one) >= SHORTEST), self.pseudonym)
        self._short = sorted(one for one in found if len(one) < SHORTEST)
        self._ids = {names.user_id(Certificate(one)): one for one in found if one.startswith("/")}

    def pseudonym(self, person: str) -> str:
        """The same for the same person; nobody can tell who by trying names, for the salt is kept nowhere."""
        words = _usual(person)
        return f"person-{hmac.new(self._salt, words.encode('utf-8', 'replace'), hashlib.sha256).hexdigest()[:12]}"

    def replace(self, text: str) -> str:
        """The text with pseudonyms for people: those who are known, and what is written as one."""
        text = self._known.replace(text)
        for one in self._short:
            text = re.sub(rf"(?<![\w.-]){re.escape(one)}(?![\w.-])", self.pseudonym(one), text)
        text = _DN.sub(lambda found: self.pseudonym(found[0]) + " " * found[0].endswith(" "), text)
        text = _OF_ISSUER.sub(lambda found: found[1] + self.pseudonym(found[2]), text)
        text = _SUBJECT.sub(self._subject, text)
        text = _MAIL.sub(lambda found: found[0] if _UNIT.search(found[0]) else self.pseudonym(found[0]), text)
        return _DIGEST.sub(lambda found: self.pseudonym(self._ids.get(found[0], found[0])), text)

    def _subject(self, found: re.Match[str]) -> str:
        words = found[3]
        if "person-" in words or "[removed]" in words or words in ("null", "None"):
            return found[0]
        return f"{found[1]}{found[2] or ''}{self.pseudonym(words)}"


def _usual(person: str) -> str:
    """One spelling of a name: unescaped, and a DN in the order and with the slashes of the grid."""
    words = html.unescape(unquote(person.replace("\\/", "/"))).strip().strip("\"'")
    words = re.sub(r"\\+u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), words)
    if not words.startswith("/") and "=" in words:
        parts = re.findall(rf"({_ATTRIBUTE})[ ]?=[ ]?((?:\\.|[^,+\\])*)", words, re.IGNORECASE)
        pairs = ["/{}={}".format(name, re.sub(r"\\+", "", value).strip()) for name, value in parts]
        lower = [name.lower() for name, _ in parts]
        outside = ("dc", "c", "o")  # what a name in the grid's order begins with
        words = "".join(pairs if lower and lower[0] in outside else pairs[::-1])
    return usual_dn(words) if words.startswith("/") else words
