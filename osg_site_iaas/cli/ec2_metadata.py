"""Serves instances their metadata with the ids that the EC2 door gives, in place of Nova's metadata service.

Behind Neutron's metadata agent: the agent is pointed here (nova_metadata_host and nova_metadata_port), and its
metadata_proxy_shared_secret tells whose a request is. Instances may speak IMDSv2, but it protects nothing, as the
agent drops their session tokens.

    osg-site-iaas-metadata --bind 192.0.2.10:8775 --secret-file /etc/osg/site-iaas/secrets/metadata

In the place of that agent, on a host of networks or routers: tokens arrive, and can be required. The file is then any
secret that all such hosts share.

    osg-site-iaas-metadata --socket /var/lib/neutron/metadata_proxy --require-token --secret-file FILE
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Optional, Sequence

from osg_site_iaas import journal
from osg_site_iaas.errors import SiteError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="osg-site-iaas-metadata",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cloud", default="osg-site-iaas-metadata", help="its entry in clouds.yaml (default: %(default)s)"
    )
    parser.add_argument("--secret-file", type=Path, required=True, help="file with the shared secret")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--bind", default="127.0.0.1:8775", help="where it listens for the agent (default: %(default)s)"
    )
    place.add_argument(
        "--socket", type=Path, metavar="PATH", help="the agent's socket: serve Neutron's proxies in its place"
    )
    parser.add_argument("--region", default="RegionOne", help="OpenStack's region (default: %(default)s)")
    parser.add_argument(
        "--interface", default="public", help="which endpoints are used (default: %(default)s)"
    )
    parser.add_argument("--require-token", action="store_true", help="answer IMDSv2 only (with --socket)")
    parser.add_argument("--tags", action="store_true", help="show an instance its tags")
    parser.add_argument(
        "--state", type=Path, metavar="FOLDER", help="for its counters: GET /metrics is answered with them"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _secret(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SiteError(
            "the shared secret cannot be read", where=str(path), todo="check its path and mode"
        ) from error
    if len(text) < 16:
        raise SiteError(
            "the shared secret has fewer than 16 characters",
            where=str(path),
            todo="an empty or short one lets every host on the network ask for every instance: make a longer one",
        )
    return text


def _check_state(folder: Optional[Path]) -> None:
    if folder is None:
        return
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "store.sqlite").touch(mode=0o600)
    except OSError as error:
        raise SiteError(
            f"the counters cannot be kept: {error.strerror}",
            where=str(folder),
            todo="name a folder that this user may write to with --state, or leave it out",
        ) from error


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until told to stop; errors that an administrator can act on are printed in words."""
    args = build_parser().parse_args(argv)
    try:
        from osg_site_iaas.ec2.metadata_door import MetadataDoor, MetadataSettings
        from osg_site_iaas.ec2.server import own_session, run_server
        from osg_site_iaas.ec2.store import Store

        if args.require_token and not args.socket:
            raise SiteError(
                "no session token gets through Neutron's agent, so none can be required behind it",
                todo="serve its socket in its place (--socket), or leave --require-token out",
            )
        settings = MetadataSettings(
            _secret(args.secret_file),
            behind_agent=args.socket is None,
            region=args.region,
            interface=args.interface,
            require_token=args.require_token,
            with_tags=args.tags,
        )
        journal.set_up()
        journal.events("osg_site_iaas.ec2.metadata.access")
        own_session(args.cloud)
        _check_state(args.state)

        def load() -> Any:
            store = Store(args.state / "store.sqlite") if args.state else None
            return MetadataDoor(settings, own_session(args.cloud), store=store)

        run_server(
            {
                "bind": f"unix:{args.socket}" if args.socket else args.bind,
                "workers": args.workers,
                "threads": 8,
                "proc_name": "osg-site-iaas-metadata",
            },
            load,
        )
    except SiteError as error:
        print(f"osg-site-iaas-metadata: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
