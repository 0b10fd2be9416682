"""Who had an address: for the question that a security team asks, weeks after the server is gone.

  osg-site-iaas who --ip 192.0.2.17 --at 2026-11-20T14:05Z     the server, its VO, the DN or token subject, its keys
  osg-site-iaas who --ip 192.0.2.17                            now
  osg-site-iaas who --observe                                  look and remember (osg-site-iaas-addresses.timer)

OpenStack forgets the addresses of a server with the server. So they are looked at every five minutes and kept for 180
days (--keep-days) after their end: address, server, project, user, name of its key pair, and names of EC2 keys. Nothing
else about people is kept for this; docs/security.md says what is kept where. A server that lived less than the time
between two looks may have been missed: those that could have had the address are then listed as possible. One that
failed to start is not: it never ran.

What happened after the last look is unknown, so a question about a later time looks first (--no-look: not); where that
cannot be done, the answer says "perhaps".

Exit code 0: somebody is named. 2: nobody is known to have had it. 1: an error.
"""

from __future__ import annotations

import argparse
import dataclasses
import ipaddress
import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Iterator, Optional

from osg_site_iaas import journal
from osg_site_iaas.cli import terminal
from osg_site_iaas.cli.doctor import add_places, subject_of
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import settings as identity
from osg_site_iaas.identity.logins import Login, Logins
from osg_site_iaas.ops.addresses.ask import Answer, Found, ask
from osg_site_iaas.ops.addresses.observe import look
from osg_site_iaas.ops.addresses.store import Store
from osg_site_iaas.ops.finding import NotHere
from osg_site_iaas.ops.subject import Subject

KEEP_DAYS = 180
SKEW = timedelta(minutes=1)  # by which somebody else's clock may be ahead
MOST = 10  # possible servers that are printed


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``who``."""
    parser.add_argument(
        "site",
        nargs="?",
        default=None,
        help="the declaration (default: ./site.yml, else /etc/osg/site-iaas/site.yml)",
    )
    parser.add_argument("--ip", help="the address, of either version")
    parser.add_argument(
        "--at",
        metavar="TIME",
        help="such as 2026-11-20T14:05Z or with +01:00; UTC unless it says otherwise (default: now)",
    )
    parser.add_argument(
        "--observe", action="store_true", help="look at who has which address now, and remember it"
    )
    parser.add_argument(
        "--keep-days",
        type=int,
        default=KEEP_DAYS,
        metavar="N",
        help="with --observe: for how long (default: %(default)s)",
    )
    parser.add_argument(
        "--no-look",
        action="store_true",
        help="do not look, even if the question is about what came after the last one",
    )
    parser.add_argument(
        "--logins",
        type=terminal.place,
        metavar="FILE",
        help="the grid door's record of logins (default: as in identity.yml)",
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """0 if somebody is named."""
    subject = subject_of(args)
    if args.observe:
        return _observe(args, subject)
    if not args.ip:
        raise SiteError("which address?", todo="--ip 192.0.2.17 --at 2026-11-20T14:05Z")
    try:
        ip = address(args.ip)
    except ValueError as error:
        raise SiteError(f"{args.ip!r} is no address", todo="--ip 192.0.2.17, or --ip 2001:db8::17") from error
    at = moment(args.at) if args.at else subject.now
    if at > subject.now + SKEW:
        raise SiteError(
            f"{args.at} is in the future", todo="UTC is meant unless the time says otherwise, as +01:00 does"
        )
    site = subject.declared()
    why_not = None if args.no_look else _look_first(args, subject, at)
    with Store(subject.places.addresses, readonly=True) as store:
        found = ask(store, site, _logins(args.logins, subject), ip, int(at.timestamp()))
    if args.json:
        asked = {"ip": ip, "at": int(at.timestamp()), "not_looked": why_not}
        terminal.dump({**asked, **dataclasses.asdict(found)})
    else:
        for line in words(found, ip, at):
            terminal.show_text(line, "")
        if why_not:
            terminal.show_text(f"      and it could not be looked now: {why_not}", "")
    return 0 if found.answers else 2


def address(text: str) -> str:
    """An address as Neutron writes it, an IPv4 one that came in IPv6's clothes too; ValueError for none."""
    found = ipaddress.ip_address(text.strip())
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def moment(text: str) -> datetime:
    """A time that a person wrote; UTC unless it says otherwise."""
    try:
        read = datetime.fromisoformat(text.strip().replace("Z", "+00:00").replace(" ", "T", 1))
    except ValueError as error:
        raise SiteError(f"{text!r} is no time", todo="write it as 2026-11-20T14:05Z") from error
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def words(found: Found, ip: str, at: datetime) -> Iterator[str]:
    """The answer for a person."""
    when = _time(int(at.timestamp()))
    if not found.answers:
        yield f"nobody is known to have had {ip} at {when}"
    for one in found.answers:
        yield f"{ip} at {when}: {'' if one.sure else 'perhaps '}server {one.server.name} ({one.server.uuid})"
        yield from _about(one)
    if found.possible and not any(one.sure for one in found.answers):
        yield f"possible: {len(found.possible)} servers of which no address was ever seen were there then"
        for one in found.possible[:MOST]:
            yield f"  {one.server.name} ({one.server.uuid}), VO {one.vo or '-'}, user {one.who.user}"
    if found.looked is None or found.looked < at.timestamp():
        last = _time(found.looked) if found.looked else "never"
        yield f"note: addresses were last looked at {last}, before that time: somebody else may have had it then"


def _about(one: Answer) -> Iterator[str]:
    had = one.had
    if had is not None:
        end = f"gone at {_time(had.gone)}" if had.gone else "not seen to be gone"
        network = f"{one.network} ({had.network})" if one.network else had.network
        yield f"  address   {had.kind}, network {network}; seen {_time(had.first)} to {_time(had.last)}, {end}"
        if not one.sure:
            yield f"            it may have had it from {_time(had.earliest)} on: it was not looked at just then"
    ended = f"deleted {_time(one.server.ended)}" if one.server.ended else "not deleted, as far as is known"
    yield f"  server    created {_time(one.server.created)}, {ended}"
    yield f"  VO        {one.vo or 'none of site.yml'} (project {one.project})"
    who = one.who
    yield f"  user      {who.user}" + (
        f", a service user of VO {who.service_of}: it is shared" if who.service_of else ""
    )
    if who.dn:
        yield f"  DN        {who.dn}"
    if who.subject:
        yield f"  token     issuer {who.issuer}, subject {who.subject}"
    if who.fqans:
        yield f"  came with {', '.join(who.fqans)}; last login {who.last_login}"
    yield f"  EC2 keys  {', '.join(one.ec2_keys) or 'none known'}"
    yield f"  key pair  {one.server.key_pair or 'none'}"


def _look_first(args: argparse.Namespace, subject: Subject, at: datetime) -> Optional[str]:
    """Look now if the last look was before the time in question; why it could not be done, or None."""
    try:
        with Store(subject.places.addresses, readonly=True) as store:
            looked = store.note("looked")
        if looked is not None and looked >= int(at.timestamp()):
            return None
        cloud, error = subject.login()
        if error is not None:
            return error.what
        with Store(subject.places.addresses) as store:
            look(cloud, store, subject.now, keep_days=args.keep_days)
    except (SiteError, NotHere) as error:
        return str(error).splitlines()[0]
    return None


def _observe(args: argparse.Namespace, subject: Subject) -> int:
    if args.keep_days < 1:
        raise SiteError("--keep-days must be at least 1")
    journal.set_up()
    subject.declared()
    cloud, error = subject.login()
    if error is not None:
        raise error
    with Store(subject.places.addresses) as store:
        found = look(cloud, store, subject.now, keep_days=args.keep_days)
    said: dict[str, Any] = dataclasses.asdict(found)
    if args.json:
        terminal.dump(said)
    else:
        print(", ".join(f"{number} {name}" for name, number in said.items()))
    return 0


def _logins(given: Any, subject: Subject) -> tuple[Login, ...]:
    if given:
        return Logins(given).all()
    file = Path(os.environ.get(identity.VARIABLE) or subject.places.identity)
    settings = identity.load(file) if file.exists() else identity.Settings()
    return Logins(settings.logins).all() if settings.logins else ()


def _time(at: int) -> str:
    return datetime.fromtimestamp(at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
