"""Deletes servers that shut themselves down and were started to terminate on that, as EC2 does.

Only servers started through the EC2 door with InstanceInitiatedShutdownBehavior=terminate are touched, and
only where Nova recorded the stop as nobody's: one that a user stopped is kept. Runs until it is told to stop,
or once with --once.

    osg-site-iaas-ec2-reaper --cloud osg-site-iaas-reaper --interval 60

exit codes: 0 done, 1 error, 2 (with --once) something could not be deleted.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
from typing import Any, Optional, Sequence

from osg_site_iaas import journal
from osg_site_iaas.ec2.backend.http import Pool, RefusedError
from osg_site_iaas.errors import SiteError


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="osg-site-iaas-ec2-reaper",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--cloud", default="osg-site-iaas-reaper", help="its entry in clouds.yaml (default: %(default)s)"
    )
    parser.add_argument("--region", default="RegionOne", help="OpenStack's region (default: %(default)s)")
    parser.add_argument(
        "--interface", default="public", help="which endpoint of Nova is used (default: %(default)s)"
    )
    parser.add_argument(
        "--interval", type=int, default=60, metavar="SECONDS", help="between rounds (default: %(default)s)"
    )
    parser.add_argument("--once", action="store_true", help="one round, then end")
    parser.add_argument("--json", action="store_true", help="say what each round did as JSON")
    return parser


def _round(args: argparse.Namespace, session: Any, pool: Pool) -> int:
    from osg_site_iaas.ec2.reaper import cloud_of, projects_of, reap

    how = (session, args.interface, args.region, pool)
    done = reap(cloud_of(*how), projects_of(*how))
    if args.json:
        print(json.dumps({"deleted": list(done.deleted), "failed": dict(done.failed)}), flush=True)
    elif done.deleted or done.failed:
        print(f"deleted {len(done.deleted)}, failed {len(done.failed)}", flush=True)
    return 2 if done.failed else 0


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Reap until interrupted; a round that fails whole is said and tried again."""
    args = build_parser().parse_args(argv)
    journal.set_up()
    try:
        from keystoneauth1.exceptions import ClientException

        from osg_site_iaas.ec2.server import own_session

        session, pool, rest = own_session(args.cloud), Pool(size=2), threading.Event()
        while True:
            try:
                code = _round(args, session, pool)
            except (SiteError, RefusedError, ClientException) as error:
                print(f"osg-site-iaas-ec2-reaper: {error}", file=sys.stderr)
                code = 1
            if args.once:
                return code
            rest.wait(args.interval)
    except SiteError as error:
        print(f"osg-site-iaas-ec2-reaper: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
