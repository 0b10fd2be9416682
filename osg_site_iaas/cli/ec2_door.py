"""Serves the EC2 API in front of this site's OpenStack.

The door holds one credential of its own, which clouds.yaml has; users come with their Keystone EC2 keys. Put TLS in
front of it, with the Host header passed through unchanged: it is signed.

    osg-site-iaas-ec2 --config /etc/osg/site-iaas/ec2.yml

SIGHUP starts new workers and lets the old ones finish; SIGTERM lets them finish and ends.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Optional, Sequence

from osg_site_iaas.errors import SiteError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="osg-site-iaas-ec2", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="the door's settings (default: %(default)s)"
    )
    parser.add_argument(
        "--check", action="store_true", help="check the settings and the model, and serve nothing"
    )
    parser.add_argument(
        "--table", action="store_true", help="print what is served, in Markdown, and serve nothing"
    )
    parser.set_defaults(config=Path("/etc/osg/site-iaas/ec2.yml"))
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until told to stop; errors that an administrator can act on are printed in words."""
    args = build_parser().parse_args(argv)
    try:
        from osg_site_iaas.ec2.actions import load_actions
        from osg_site_iaas.ec2.conformance import table
        from osg_site_iaas.ec2.protocol.model import load_model
        from osg_site_iaas.ec2.server import serve, sessions
        from osg_site_iaas.ec2.settings import load_settings

        served = [name for name, action in load_actions().items() if action.service == "ec2"]
        if args.table:
            print(table(load_model(served)))
            return 0
        settings = load_settings(args.config)
        if args.check:
            model = load_model(served)
            sessions(settings)
            absent = sorted(set(served) - set(model.operations))
            if absent:
                print(f"the installed botocore does not know, so they are not served: {', '.join(absent)}")
            print(f"{args.config}: {len(model.operations)} of EC2's {len(model.known)} actions are served")
            return 0
        serve(settings)
    except SiteError as error:
        print(f"osg-site-iaas-ec2: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
