"""Shut a person, a role or a whole VO out, and take back what they already hold.

The ban is written to bans.yml beside site.yml first: every door reads it at the next login. Then tokens, EC2 keys
and application credentials that were issued before are revoked, and servers stopped or deleted if you say so.
The same command again finishes what failed. What cannot be found is said.

  osg-site-iaas ban add --dn "/DC=org/DC=example/CN=Jane Pilot" --reason "ticket 42"
  osg-site-iaas ban add --fqan "/cms/Role=pilot*" --servers stop --dry-run
  osg-site-iaas ban add --issuer https://issuer.example.org/igwn --subject robot
  osg-site-iaas ban list
  osg-site-iaas ban remove --vo cms

Exit code 0: done. 2: with --dry-run, something would be cut. 1: an error, or something could not be cut.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import tempfile
from pathlib import Path
from typing import Any, Optional

from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import cut
from osg_site_iaas.identity.logins import Login, Logins
from osg_site_iaas.identity.settings import DEFAULT_FILE, VARIABLE, Settings
from osg_site_iaas.identity.settings import load as load_settings
from osg_site_iaas.mapping import bans


def configure(parser: argparse.ArgumentParser) -> None:
    """The actions and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    common.add_argument("--json", action="store_true", help="answer in JSON")
    whom = argparse.ArgumentParser(add_help=False)
    who = whom.add_mutually_exclusive_group(required=True)
    who.add_argument("--dn", help="a person or service: /DC=org/DC=example/CN=Jane Pilot")
    who.add_argument("--fqan", help="everybody who shows it, in any place; * stands for any characters")
    who.add_argument("--issuer", help="a token issuer, or with --subject one of its subjects")
    who.add_argument("--vo", help="everybody who would become a member of this VO")
    whom.add_argument("--subject", help="with --issuer")
    logins = argparse.ArgumentParser(add_help=False)
    logins.add_argument(
        "--logins", metavar="FILE", help="the door's record of logins (default: as in identity.yml)"
    )

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    add = actions.add_parser("add", parents=[common, whom, logins], help="shut out, and take back")
    add.add_argument("--reason", default="", help="kept in bans.yml, for people")
    add.add_argument(
        "--servers", choices=[cut.KEEP, cut.STOP, cut.DELETE], default=cut.KEEP, help="default: keep"
    )
    add.add_argument("--dry-run", action="store_true", help="only say what would be cut")
    add.set_defaults(action_run=_add)
    actions.add_parser("list", parents=[common], help="who is shut out").set_defaults(action_run=_list)
    remove = actions.add_parser("remove", parents=[common, whom], help="let in again; keys do not come back")
    remove.set_defaults(action_run=_remove)


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when done."""
    return int(args.action_run(args))


def _add(args: argparse.Namespace) -> int:
    site = load(Path(args.site))
    file = bans.file_beside(site.file)
    known = bans.load(file)
    ban = bans.make(
        {**_whom(args), "reason": args.reason, "since": bans.today(dt.datetime.now(dt.timezone.utc))}
    )
    _known_vo(ban, [vo.name for vo in site.vos])
    cloud = connect(site.cloud.name, region=site.site.region, interface=site.cloud.endpoint_type)
    cloud.login()
    if not args.dry_run:
        write(file, bans.text(known.with_(ban)))
    found, unknown = cut.people(cloud, site, ban, _logins(args.logins))
    whole = ban.dn is not None or ban.issuer is not None
    report = cut.cut(cloud, found, whole=whole, servers=args.servers, dry_run=args.dry_run)
    report.remains[:0] = unknown
    _tell(args, f"{ban.says}: {'would be shut out' if args.dry_run else 'shut out'}", report)
    if report.failed:
        return 1
    return 2 if args.dry_run and report.items else 0


def _remove(args: argparse.Namespace) -> int:
    site = load(Path(args.site))
    file = bans.file_beside(site.file)
    known = bans.load(file)
    ban = bans.make(_whom(args))
    left = known.without(ban)
    if left == known:
        raise SiteError(f"no such ban: {ban.says}", where=str(file), todo="osg-site-iaas ban list")
    write(file, bans.text(left))
    report = cut.Report()
    if ban.dn is not None or ban.issuer is not None:
        cloud = connect(site.cloud.name, region=site.site.region, interface=site.cloud.endpoint_type)
        cloud.login()
        report = cut.restore(cloud, site, ban, left)
    report.remains.append("their keys do not come back: they log in and make new ones")
    _tell(args, f"{ban.says}: may come in again", report)
    return 1 if report.failed else 0


def _list(args: argparse.Namespace) -> int:
    found = bans.load(bans.file_beside(Path(args.site)))
    if args.json:
        print(json.dumps([{k: v for k, v in vars(ban).items() if v} for ban in found.all], indent=1))
        return 0
    for ban in found.all:
        print("  ".join(part for part in (ban.says, ban.since, ban.reason) if part))
    if not found.all:
        print("nobody is banned")
    return 0


def _tell(args: argparse.Namespace, title: str, report: cut.Report) -> None:
    if args.json:
        print(cut.to_json(report))
        return
    print(title)
    for item in report.items:
        end = f"FAILED: {item.failed}" if item.failed else ""
        print(f"  {item.todo} {item.kind} {item.id} of {item.user} {end}".rstrip())
    if not report.items:
        print("  nothing was found to cut")
    for line in report.remains:
        print(f"  remains: {line}")


def _whom(args: argparse.Namespace) -> dict[str, Any]:
    if args.subject and not args.issuer:
        raise SiteError("--subject goes with --issuer")
    return {key: getattr(args, key) for key in ("dn", "fqan", "issuer", "subject", "vo")}


def _known_vo(ban: bans.Ban, vos: list[str]) -> None:
    if ban.vo is not None and ban.vo not in vos:
        raise SiteError(f"there is no VO {ban.vo} here", todo=f"one of {', '.join(vos)}")


def _logins(given: Optional[str]) -> tuple[Login, ...]:
    """The door's record; from the file named, or where the door's settings say."""
    if given:
        return Logins(Path(given)).all()
    file = Path(os.environ.get(VARIABLE) or DEFAULT_FILE)
    settings = load_settings(file) if file.exists() else Settings()
    return Logins(settings.logins).all() if settings.logins else ()


def write(file: Path, text: str) -> None:
    """Put bans.yml in place whole or not at all; the doors, which run as other users, can read it."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(stream.fileno())
            Path(name).chmod(0o644)
            Path(name).replace(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise SiteError(
            f"the ban cannot be written: {error.strerror}", where=str(file), todo="nobody was cut"
        ) from error
