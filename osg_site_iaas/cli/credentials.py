"""Key pairs for a VO's factory: one service user's EC2 key, rotated without a gap.

The key belongs to a service user that site.yml declares (`service_users: {pilot: {ec2_key: true}}`) and lies in the
folder cloud.secrets, mode 0600. It is never printed unless you ask with --show.

  osg-site-iaas credentials issue --vo cms                  make it (apply does too), say where it is
  osg-site-iaas credentials list --vo cms
  osg-site-iaas credentials rotate --vo cms                 a new one; the old one works on
  osg-site-iaas credentials revoke --vo cms --old           when the factory uses the new one
  osg-site-iaas credentials issue --vo cms --factory-entry  what a glideinWMS factory needs
"""

from __future__ import annotations

import argparse
import contextlib
import json
from pathlib import Path

from keystoneauth1 import exceptions

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.cloud.lock import held
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import service_keys


def configure(parser: argparse.ArgumentParser) -> None:
    """The actions and their options."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("site", nargs="?", default="site.yml", help="the declaration (default: ./site.yml)")
    common.add_argument("--vo", required=True)
    common.add_argument("--user", help="which service user, if the VO has several")
    common.add_argument("--json", action="store_true", help="answer in JSON")
    show = argparse.ArgumentParser(add_help=False)
    show.add_argument("--show", action="store_true", help="print the secret too")
    show.add_argument(
        "--factory-entry", action="store_true", help="print a glideinWMS factory entry (not tested)"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("issue", parents=[common, show], help="make sure of the key")
    actions.add_parser("list", parents=[common], help="the keys that work, without secrets")
    actions.add_parser("rotate", parents=[common, show], help="a new key beside the old one")
    revoke = actions.add_parser("revoke", parents=[common], help="take keys out of use at once")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("--old", action="store_true", help="all but the current one")
    which.add_argument("--access", metavar="KEY", help="this access key")
    which.add_argument(
        "--all", action="store_true", help="every one; the next apply or issue makes a new one"
    )


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when done."""
    site = load(Path(args.site))
    cloud = connect(site.cloud.name, region=site.site.region, interface=site.cloud.endpoint_type)
    cloud.login()
    with held(site.cloud.secrets, patience=60, say=lambda _text: None):
        user = service_keys.find(cloud, site, args.vo, args.user)
        if args.action in ("issue", "rotate"):
            make = service_keys.issue if args.action == "issue" else service_keys.rotate
            make(cloud, site, user)
        elif args.action == "revoke":
            service_keys.revoke(cloud, site, user, _chosen(args, service_keys.listed(cloud, site, user)))
        keys = service_keys.listed(cloud, site, user)
    _tell(args, site, cloud, user, keys)
    return 0


def _chosen(args: argparse.Namespace, keys: list[service_keys.Key]) -> list[service_keys.Key]:
    if args.all:
        return keys
    if args.old and not any(key.current for key in keys):
        raise SiteError(
            "none of the keys is the one in our file",
            todo="rotate first, or say which with --access or --all",
        )
    chosen = [key for key in keys if (not key.current if args.old else key.access == args.access)]
    if args.access and not chosen:
        raise SiteError(f"no such key: {args.access}", todo=f"osg-site-iaas credentials list --vo {args.vo}")
    return chosen


def _tell(
    args: argparse.Namespace,
    site: Site,
    cloud: Cloud,
    user: service_keys.ServiceUser,
    keys: list[service_keys.Key],
) -> None:
    pair = secrets.kept_ec2_key(site.cloud.secrets, user.name) if getattr(args, "show", False) else None
    if args.json:
        answer = {
            "vo": user.vo,
            "user": user.name,
            "file": str(user.file),
            "keys": [vars(key) for key in keys],
        }
        print(json.dumps({**answer, **({"secret": pair[1]} if pair else {})}, indent=1))
        return
    for key in keys:
        print(f"{key.access}  {'current' if key.current else 'old: works until it is revoked'}")
    if not keys:
        print("no key")
    if any(key.current for key in keys):
        print(f"current key in {user.file}, profile [{user.name}]")
    if pair:
        print(f"secret {pair[1]}")
    if getattr(args, "factory_entry", False):
        print(service_keys.factory_entry(site, user, _ec2_url(cloud)))


def _ec2_url(cloud: Cloud) -> str:
    """The EC2 door's address, or words to fill in where the catalogue has none."""
    url = None
    with contextlib.suppress(exceptions.EndpointNotFound):
        url = cloud.session.get_endpoint(service_type="ec2", interface="public", region_name=cloud.region)
    return str(url or "https://ec2.REGION.SITE:8788/")
