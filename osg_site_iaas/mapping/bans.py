"""Who is shut out, whatever the table says: ``bans.yml``, kept beside site.yml and read by every door."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

import yaml

from osg_site_iaas.declaration import fqan as fqans
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping.credential import Credential, Token, usual_dn

NAME = "bans.yml"
_KEYS = ("dn", "fqan", "issuer", "subject", "vo")


@dataclass(frozen=True)
class Ban:
    """One line: exactly one of ``dn``, ``fqan`` (a pattern, as in site.yml), ``issuer`` and ``vo`` is given.

    ``subject`` narrows an issuer to one of its subjects.
    """

    dn: Optional[str] = None
    fqan: Optional[str] = None
    issuer: Optional[str] = None
    subject: Optional[str] = None
    vo: Optional[str] = None
    reason: str = ""
    since: str = ""  # date and time, UTC, ISO 8601; for people

    @property
    def who(self) -> tuple[Optional[str], ...]:
        """What identifies the ban: two with the same are the same ban."""
        return (usual_dn(self.dn) if self.dn else None, self.fqan, self.issuer, self.subject, self.vo)

    @property
    def says(self) -> str:
        """Whom it shuts out, in words: ``fqan /cms/*``."""
        return ", ".join(f"{key} {getattr(self, key)}" for key in _KEYS if getattr(self, key) is not None)

    def fits(self, credential: Credential, vo: Optional[str] = None) -> bool:
        """Whether it shuts out somebody with this credential, who would become a member of ``vo``."""
        if self.vo is not None:
            return vo == self.vo
        if isinstance(credential, Token):
            return self.issuer == credential.issuer and self.subject in (None, credential.subject)
        if self.dn is not None:
            return usual_dn(self.dn) == usual_dn(credential.dn)
        return self.fqan is not None and self.fits_fqan(credential.fqans)

    def fits_fqan(self, names: Iterable[str]) -> bool:
        """Whether the ban is by FQAN and fits one of these, in whatever place it stands."""
        if self.fqan is None:
            return False
        pattern = fqans.Pattern.of(self.fqan)
        return any(long is not None and pattern.matches(long) for long in map(fqans.long_form, names))


@dataclass(frozen=True)
class Bans:
    """All bans of a site, in the order in which they were made."""

    all: tuple[Ban, ...] = ()

    def hit(self, credential: Credential, vo: Optional[str] = None) -> Optional[Ban]:
        """The first ban that fits, or None."""
        return next((ban for ban in self.all if ban.fits(credential, vo)), None)

    def with_(self, ban: Ban) -> Bans:
        """These and one more; the same, if it is among them."""
        known = any(ban.who == other.who for other in self.all)
        return self if known else Bans((*self.all, ban))

    def without(self, ban: Ban) -> Bans:
        """All but those that shut out whom this one does."""
        return Bans(tuple(other for other in self.all if other.who != ban.who))


def file_beside(site: Path) -> Path:
    """Where the bans of a site.yml are kept."""
    return site.with_name(NAME)


def make(values: Mapping[str, Any], where: str = "") -> Ban:
    """A ban from its keys and values; SiteError if it would shut out nobody, or it is not clear whom."""
    unknown = sorted(set(values) - {*_KEYS, "reason", "since"})
    given = [key for key in ("dn", "fqan", "issuer", "vo") if values.get(key) is not None]
    wrong = ""
    if unknown:
        wrong = f"unknown key {unknown[0]!r}"
    elif len(given) != 1:
        wrong = "exactly one of dn, fqan, issuer and vo must be given"
    elif values.get("subject") is not None and given != ["issuer"]:
        wrong = "subject goes with issuer only"
    elif given == ["fqan"]:
        wrong = fqans.problem(str(values["fqan"]))
    elif given == ["dn"] and not str(values["dn"]).startswith("/"):
        wrong = "a dn is written with slashes: /DC=org/DC=example/CN=Jane Pilot"
    if wrong:
        raise SiteError(wrong, where=where or None, todo="see `osg-site-iaas ban --help`")
    texts = {key: str(values[key]) for key in values if values[key] is not None}
    return Ban(**texts)


def load(file: Path) -> Bans:
    """The bans in a file; none if there is no file; SiteError if it cannot be understood."""
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return Bans()
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(f"the bans cannot be read: {error}", where=str(file)) from error
    try:
        listed = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise SiteError(
            f"not YAML: {error}", where=str(file), todo="mend it: until then nobody is let in"
        ) from error
    if listed is None:
        return Bans()
    if not isinstance(listed, list) or not all(isinstance(entry, dict) for entry in listed):
        raise SiteError(
            "not a list of bans", where=str(file), todo="each line is `- dn: ...`, `- fqan: ...` or the like"
        )
    return Bans(tuple(make(entry, f"{file}: entry {number}") for number, entry in enumerate(listed, 1)))


def text(bans: Bans) -> str:
    """The file for these bans."""
    head = "# Who is shut out of this site. Written by `osg-site-iaas ban`; may be edited.\n"
    listed = [
        {key: getattr(ban, key) for key in (*_KEYS, "reason", "since") if getattr(ban, key)}
        for ban in bans.all
    ]
    return head + (yaml.safe_dump(listed, sort_keys=False, allow_unicode=True, width=1000) if listed else "")


def today(now: dt.datetime) -> str:
    """A ban's ``since``."""
    return now.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
