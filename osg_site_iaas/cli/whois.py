"""Explain who a credential would be here: the line of site.yml that decides, and what follows from it.

  osg-site-iaas whois --fqan /cms/Role=production --fqan /cms     FQANs, the primary one first
  osg-site-iaas whois --dn "/DC=org/DC=example/CN=Jane Pilot"     a person
  osg-site-iaas whois --proxy "$X509_USER_PROXY"                  a proxy, with the FQANs in it
  osg-site-iaas whois --token token.jwt                           a token; - reads standard input
  osg-site-iaas whois --table                                     every line, in the order in which they decide
  osg-site-iaas whois --print voms-mapfile                        the table as a file for other services

A DN's own line decides before any FQAN; then each FQAN in the credential's order, against the lines of site.yml from
top to bottom; a token by the first line that it satisfies. Bans (bans.yml beside site.yml) come before all.

Nothing is verified and nobody is asked: a stolen or forged credential gets the same answer here, and no further than
the site's doors. The exit code is 0 for somebody, 2 for nobody, and 1 if the question cannot be read.
"""

from __future__ import annotations

import argparse
import datetime as dt
from pathlib import Path
from typing import Any, Iterator, Optional

from osg_site_iaas.cli import credential_file, terminal
from osg_site_iaas.cli.credential_file import Shown
from osg_site_iaas.declaration import fqan
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import bans, keystone
from osg_site_iaas.mapping.credential import Certificate, Credential, Token
from osg_site_iaas.mapping.files import FILES
from osg_site_iaas.mapping.table import Line, Match, Table

_UNVERIFIED = "not verified: this is what it says of itself, and a door would check it"
_MOST_NEAR = 5


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    who = parser.add_argument_group("whose credential")
    who.add_argument("--fqan", action="append", default=[], help="a VOMS attribute; may be given again")
    who.add_argument("--dn", help="a certificate's subject, in slash form")
    who.add_argument("--token", metavar="FILE", help="a SciToken or WLCG token")
    who.add_argument("--proxy", metavar="FILE", help="a proxy or a certificate")
    what = parser.add_argument_group("instead of a credential")
    what.add_argument("--table", action="store_true", help="print every line in its order")
    what.add_argument("--print", choices=sorted(FILES), dest="form", help="print the table as this file")
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """Answer; 0 for somebody, 2 for nobody."""
    given = [args.dn is not None or bool(args.fqan), args.token is not None, args.proxy is not None]
    if sum(given) + bool(args.table) + bool(args.form) != 1:
        todo = "give --fqan and --dn, or --token, or --proxy, or --table, or --print"
        raise SiteError("it is not clear who is meant" if any(given) else "nobody was named", todo=todo)
    site = load(args.site)
    table = Table.of(site)
    shut_out = bans.load(bans.file_beside(Path(args.site)))
    if args.form:
        terminal.out.file.write(FILES[args.form](table, shut_out))
        return 0
    if args.table:
        _print_table(site, table, args.json)
        return 0
    answer = _answer(site, table, shut_out, _shown(args))
    if args.json:
        terminal.dump(answer)
    else:
        for line in _words(answer):
            terminal.show_text(line, "")
    return 0 if answer["allowed"] else 2


def _shown(args: argparse.Namespace) -> Shown:
    now = dt.datetime.now(dt.timezone.utc)
    if args.token is not None:
        shown = credential_file.token(args.token, now)
        return Shown(shown.credential, (_UNVERIFIED, *shown.notes), shown.audiences)
    if args.proxy is not None:
        shown = credential_file.certificate(Path(args.proxy), now)
        return Shown(shown.credential, (_UNVERIFIED, *shown.notes))
    strange = [name for name in args.fqan if fqan.long_form(name) is None]
    notes = [f"{name!r} is no FQAN: it is /VO/group/Role=role/Capability=capability" for name in strange]
    if args.dn is None:
        notes.append("a line with the person's own DN would come first; say --dn to look for one")
    return Shown(Certificate(args.dn or "", tuple(args.fqan)), tuple(notes))


def _answer(site: Site, table: Table, shut_out: bans.Bans, shown: Shown) -> dict[str, Any]:
    """Everything there is to say, JSON-able."""
    credential = shown.credential
    decision = table.decide(credential)
    match = decision.match
    provider = keystone.provider_of(site, credential)
    ban = shut_out.hit(credential, match.vo if match else None)
    reason = decision.reason
    if ban is not None:
        reason = f"banned: {ban.says}{f' ({ban.reason})' if ban.reason else ''}"
    elif decision.allowed and provider is None:
        reason = "no identity provider of site.yml vouches for it"
    allowed = decision.allowed and ban is None and provider is not None
    # Without a DN there is nobody whom Keystone could have as a user.
    named = isinstance(credential, Token) or credential.dn != ""
    said = (
        keystone.environment(provider, credential, match)
        if allowed and provider and match and named
        else None
    )
    later = [other for other in table.fitting(credential) if match is None or other.line is not match.line]
    return {
        "allowed": allowed,
        "credential": _credential(credential),
        "match": _match(site, match) if match is not None else None,
        "reason": reason,
        "keystone": said,
        "provider": {"id": provider.id, "protocol": provider.protocol} if provider is not None else None,
        "later": [_line(site, other.line, other.by) for other in later],
        "near": [_line(site, line, "") for line in _near(table, credential)] if match is None else [],
        "notes": [*shown.notes, *_door_notes(site, provider, shown)],
    }


def _door_notes(site: Site, provider: Optional[keystone.Provider], shown: Shown) -> Iterator[str]:
    """What a door would find wrong that has nothing to do with the table."""
    if provider is None and isinstance(shown.credential, Token):
        yield f"no identity provider of site.yml names the issuer {shown.credential.issuer}"
    if provider is not None and shown.audiences is not None:
        declared = [one.audiences for one in site.identity_providers if one.name == provider.id]
        accepted = (declared[0] if declared else ()) or (f"https://{site.site.fqdn}",)
        general = ("ANY", "https://wlcg.cern.ch/jwt/v1/any")
        if not set(shown.audiences) & {*accepted, *general}:
            theirs = ", ".join(shown.audiences) or "nobody"
            yield f"it is meant for {theirs}, and {provider.id} accepts {', '.join(accepted)}: no door takes it"


def _near(table: Table, credential: Credential) -> list[Line]:
    """Lines about the same VO or issuer, for somebody who expected to get in."""
    if isinstance(credential, Token):
        host = credential.issuer.rstrip("/")
        return [line for line in table.lines if (line.access.issuer or "").rstrip("/") == host][:_MOST_NEAR]
    roots = {(fqan.vo_of(name) or "").casefold() for name in credential.fqans} - {""}
    lines = [line for line in table.lines if line.access.fqan is not None]
    return [line for line in lines if (fqan.vo_of(line.access.fqan or "") or "").casefold() in roots][
        :_MOST_NEAR
    ]


def _credential(credential: Credential) -> dict[str, Any]:
    if isinstance(credential, Token):
        return {
            "issuer": credential.issuer,
            "subject": credential.subject,
            "groups": list(credential.groups),
            "scopes": list(credential.scopes),
        }
    return {"dn": credential.dn or None, "fqans": list(credential.fqans)}


def _match(site: Site, match: Match) -> dict[str, Any]:
    return {
        **_line(site, match.line, match.by),
        "reporting_name": match.line.vo.reporting_name or match.vo,
        "project": match.project,
        "domain": site.cloud.domain,
        "role": match.role,
        "group": keystone.group_name(match.vo, match.role, match.ec2_keys),
        "ec2_keys": match.ec2_keys,
    }


def _line(site: Site, line: Line, by: str) -> dict[str, Any]:
    return {
        "at": f"{site.file}:{line.access.at.line}",
        "vo": line.vo.name,
        "says": line.says,
        "matched": by or None,
    }


def _words(answer: dict[str, Any]) -> Iterator[str]:
    """The answer for a person."""
    match, notes = answer["match"], answer["notes"]
    if answer["allowed"]:
        yield f"a {match['role']} of VO {match['vo']}"
        yield f"  line      {match['at']}: {match['says']}"
        yield f"  matched   {match['matched']}"
        yield f"  project   {match['project']} (domain {match['domain']})"
        yield f"  role      {match['role']}, through group {match['group']}"
        yield f"  EC2 keys  {'yes' if match['ec2_keys'] else 'no'}"
        yield f"  accounted as {match['reporting_name']}"
        yield f"  login     identity provider {answer['provider']['id']}, protocol {answer['provider']['protocol']}"
        if answer["keystone"] is not None:
            yield f"  user      {answer['keystone'][keystone.USER]}"
    else:
        yield "nobody"
        yield f"  because   {answer['reason']}"
        if match is not None:
            yield f"  line      {match['at']}: {match['says']}"
    for title, lines in (("fits too, later", answer["later"]), ("looks alike", answer["near"])):
        for line in lines:
            yield f"  {title}: {line['at']}: {line['says']}, VO {line['vo']}"
    for note in notes:
        yield f"  note: {note}"


def _print_table(site: Site, table: Table, as_json: bool) -> None:
    rows = [
        {
            **_line(site, line, ""),
            "project": line.vo.project,
            "role": line.access.role,
            "ec2_keys": line.access.ec2_keys,
            "enabled": line.vo.enabled,
        }
        for line in table.lines
    ]
    if as_json:
        terminal.dump(rows)
        return
    for row in rows:
        more = "" if row["ec2_keys"] else ", no EC2 keys"
        more += "" if row["enabled"] else ", refused: the VO is disabled"
        words = f"{row['at']}: {row['says']} -> VO {row['vo']}, project {row['project']}, role {row['role']}{more}"
        terminal.show_text(words, "")
