"""Use the clouds of OSG's sites with a VOMS proxy or a token, and nothing else.

  osg-iaas login --site cloud.example.org      once; writes files for every tool
  eval "$(osg-iaas env)"                       use them in this shell
  openstack server list; aws ec2 describe-instances; rclone lsd cms-example-cloud:

Proxies are found as grid tools do (X509_USER_PROXY, /tmp/x509up_uUID), tokens as WLCG says (BEARER_TOKEN,
BEARER_TOKEN_FILE, XDG_RUNTIME_DIR, /tmp/bt_uUID). A token that the site takes goes before a proxy.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import shlex
import sys
from pathlib import Path
from typing import Any, Callable, Optional, Sequence

from osg_site_iaas import __version__
from osg_site_iaas.cli.vo import files, member, sites, state
from osg_site_iaas.errors import SiteError


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``osg-iaas``."""
    parser = argparse.ArgumentParser(
        prog="osg-iaas", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    where = argparse.ArgumentParser(add_help=False)
    where.add_argument(
        "--site", metavar="HOST", help="host, host:port or URL; OSG_IAAS_SITE, or the only one known"
    )
    where.add_argument("--ca", metavar="FILE", help="CA file or directory that vouches for the site's TLS")
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--vo", help="which VO, if the credential opens several")
    which.add_argument("--proxy", metavar="FILE", help="this proxy and no other")
    which.add_argument("--token", metavar="FILE", help="the token in this file and no other")
    report = argparse.ArgumentParser(add_help=False)
    report.add_argument("--json", action="store_true", help="answer in JSON")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--dir", metavar="DIR", help="where the files lie (default: ~/.config/osg-iaas/SITE/VO)"
    )

    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    made = argparse.ArgumentParser(add_help=False)
    made.add_argument(
        "--application-credential",
        nargs="?",
        const=30,
        type=_days,
        metavar="DAYS",
        help="also make one, for tools that know no plugin of ours; it ends after DAYS (30) at the latest",
    )
    use = argparse.ArgumentParser(add_help=False)
    use.add_argument(
        "--application-credential", action="store_true", help="use the cloud that needs no proxy or token"
    )

    def add(
        name: str, run: Callable[[argparse.Namespace], int], help_: str, *parents: argparse.ArgumentParser
    ) -> None:
        sub = commands.add_parser(name, help=help_, description=run.__doc__, parents=list(parents))
        sub.set_defaults(run=run)

    add("login", login, "log in and write the files of every tool", where, which, folder, report, made)
    add("env", env, "shell lines that make tools use them", where, which, folder, use)
    add("whoami", whoami, "who you are at a site, and what you may do", where, which, report)
    add("sites", list_sites, "the sites you use, and whether they know you", which, report)
    add("aws-credential-process", credential_process, "keys for boto3 and awscli, renewed", folder)
    return parser


def login(args: argparse.Namespace) -> int:
    """Log in with the proxy or token at hand. Writes, for you alone: clouds.yaml, an AWS profile whose keys renew
    themselves, an rclone remote, HTCondor's key files and a submit file. Running it again renews everything; the
    key pair stays the same as long as the site keeps it.

    With --application-credential, clouds.yaml gets a second entry, NAME-app, that any OpenStack tool can use without
    a proxy or token. Its secret is in the file. It has your roles in this one project, cannot make keys or other
    application credentials, and works as long as your membership is proven: like the EC2 key, it fails
    some days after your last login (the site says how many), and works again after the next."""
    place = sites.find(args.site, args.ca)
    days = args.application_credential
    found, where, proven = state.prove(place, args.vo, args.proxy, args.token, _path(args.dir), days)
    sites.remember(place)
    if args.json:
        print(
            json.dumps(
                {
                    "folder": str(where),
                    **_who(found),
                    "keys_until": proven.keys_until.isoformat(),
                    "application_credential": (proven.app or {}).get("ends"),
                },
                indent=1,
            )
        )
        return 0
    print(f"{found.user}\nVO {found.vo}, project {found.project}, roles {', '.join(found.roles)}")
    ends = f"Your {_kind(found)} ends {_when(found.credential.not_after)}"
    if proven.access is None:
        print(f"{ends}. The site issues no EC2 keys to you: only OpenStack's own tools work.")
    else:
        print(f"{ends}; the key works until {_when(proven.keys_until)}")
        print("  unless you log in again, which tools that use the AWS profile do by themselves.")
    if proven.app:
        name = next(iter(_clouds(where))) + files.APP
        ends = _when(min(proven.keys_until, dt.datetime.fromisoformat(proven.app["ends"])))
        print(f"The application credential (cloud {name}) works until {ends}; a login before that renews it,")
        print(
            f"  but not beyond {_when(dt.datetime.fromisoformat(proven.app['ends']))}: ask for another then."
        )
    print(f'Files: {where}\nUse them: eval "$(osg-iaas env --site {place.name} --vo {found.vo})"')
    return 0


def env(args: argparse.Namespace) -> int:
    """Print lines for ``eval``. Log in first."""
    where = _path(args.dir) or _only_folder(args)
    kept = state.load(where)
    clouds = _clouds(where)
    name = next(iter(clouds))
    variables = files.exports(where, name)
    if kept.access is None:
        variables = {key: value for key, value in variables.items() if key.startswith("OS_")}
    if args.application_credential:
        if name + files.APP not in clouds:
            raise SiteError(
                "there is no application credential here", todo="osg-iaas login --application-credential"
            )
        variables["OS_CLOUD"] = name + files.APP
    for key, value in variables.items():
        print(f"export {key}={shlex.quote(value)}")
    print(f"# {kept.vo} at {kept.site}", file=sys.stderr)
    return 0


def whoami(args: argparse.Namespace) -> int:
    """Log in without writing anything, and tell what the site makes of you."""
    place = sites.find(args.site, args.ca)
    welcome = sites.ask(place)
    found = member.enter(place, welcome, member.choose(welcome, args.proxy, args.token), args.vo)
    if args.json:
        print(json.dumps(_who(found), indent=1))
        return 0
    for key, value in _who(found).items():
        print(f"{key:12} {', '.join(value) if isinstance(value, list) else value}")
    return 0


def list_sites(args: argparse.Namespace) -> int:
    """Ask every site that you have used, or that this machine knows, whether your credential opens it."""
    rows = []
    for place in sites.known().values():
        row: dict[str, Any] = {"site": place.name, "url": place.url}
        try:
            welcome = sites.ask(place)
            row["resource"] = welcome.resource
            found = member.enter(place, welcome, member.choose(welcome, args.proxy, args.token), args.vo)
            row.update({"vo": found.vo, "opens": True})
        except SiteError as error:
            row.update({"opens": False, "why": error.what})
        rows.append(row)
    if args.json:
        print(json.dumps(rows, indent=1))
    for row in [] if args.json else rows:
        print(f"{row['site']:30} {row.get('vo') or row.get('why')}")
    return 0 if any(row["opens"] for row in rows) else 2


def credential_process(args: argparse.Namespace) -> int:
    """Called by boto3 and awscli. Proves the membership again if the last proof is over an hour old; while that
    fails, gives the key for as long as it surely works."""
    where = _path(args.dir)
    if where is None:
        raise SiteError("no folder", todo="use the AWS profile that `osg-iaas login` writes")
    kept = state.load(where)
    now = dt.datetime.now(dt.timezone.utc)
    if now - dt.datetime.fromisoformat(kept.proven) >= state.RENEW:
        try:
            _, _, kept = state.prove(kept.place, kept.vo, kept.proxy, kept.token, where)
        except SiteError as error:
            if now >= kept.keys_until:
                raise
            print(f"osg-iaas: the key is not renewed: {error}", file=sys.stderr)
    if kept.access is None:
        raise SiteError("the site issues no EC2 keys to you", todo="use OpenStack's own tools: osg-iaas env")
    until = min(kept.keys_until, max(now, dt.datetime.fromisoformat(kept.proven)) + state.RENEW)
    answer = {
        "Version": 1,
        "AccessKeyId": kept.access,
        "SecretAccessKey": kept.secret,
        "Expiration": until.isoformat(timespec="seconds"),
    }
    print(json.dumps(answer))
    return 0


def _days(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 3650:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of days from 1 to 3650")
    return int(text)


def _who(found: member.Member) -> dict[str, Any]:
    return {
        "site": found.place.name,
        "resource": found.site.resource,
        "user": found.user,
        "user_id": found.user_id,
        "vo": found.vo,
        "project": found.project,
        "project_id": found.project_id,
        "roles": list(found.roles),
        "credential": _kind(found),
        "ends": found.credential.not_after.isoformat(timespec="seconds"),
        "services": sorted(found.catalogue),
    }


def _kind(found: member.Member) -> str:
    return "proxy" if found.credential.kind == "x509" else "token"


def _when(time: dt.datetime) -> str:
    return f"{time.astimezone(dt.timezone.utc):%Y-%m-%d %H:%M} UTC"


def _path(text: Optional[str]) -> Optional[Path]:
    return Path(text).expanduser().absolute() if text else None


def _only_folder(args: argparse.Namespace) -> Path:
    """The folder of the membership meant: by site and VO, or the only one there is."""
    if args.site and args.vo:
        return state.folder(sites.find(args.site, args.ca), args.vo)
    found = sorted(path.parent for path in sites.home().glob("*/*/state.json"))
    if args.site:
        found = [
            where for where in found if where.parent == state.folder(sites.find(args.site, None), "x").parent
        ]
    if args.vo:
        found = [where for where in found if where.name == state.folder(sites.Place("", ""), args.vo).name]
    if len(found) != 1:
        raise SiteError(
            f"{len(found)} logins fit",
            todo="say --site and --vo" if found else "log in first: osg-iaas login",
        )
    return found[0]


def _clouds(where: Path) -> dict[str, Any]:
    import yaml

    try:
        return dict(yaml.safe_load((where / "clouds.yaml").read_text(encoding="utf-8"))["clouds"])
    except (OSError, KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise SiteError(
            "its clouds.yaml is gone or broken", where=str(where), todo="osg-iaas login"
        ) from error


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run one command; errors that a user can act on are printed in words, never as a traceback."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.run(args))
    except SiteError as error:
        print(f"osg-iaas {args.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
