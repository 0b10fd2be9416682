"""The probe as gratia-probe sites know it: one run, told by a ProbeConfig.

  openstack_meter [-c /etc/gratia/openstack/ProbeConfig]

The ProbeConfig names site.yml (SiteFile), which says who is whom; its other attributes go over site.yml's. With
EnableProbe="0" usage is read and kept, and nothing is sent. More is in `osg-site-iaas accounting --help`.
"""

from __future__ import annotations

import argparse
import logging
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import Optional, Sequence

from osg_site_iaas import __version__, journal
from osg_site_iaas.accounting.probeconfig import PATH, read_attributes
from osg_site_iaas.accounting.settings import from_probe_config
from osg_site_iaas.cli.accounting import probe
from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import SiteError

SITE = "/etc/osg/site-iaas/site.yml"


def main(argv: Optional[Sequence[str]] = None) -> int:
    """One run; 0 when all was done, 1 when something is left for the next run."""
    parser = argparse.ArgumentParser(
        prog="openstack_meter", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "-c", "--config", type=Path, default=PATH, help="the ProbeConfig (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("-v", "--verbose", action="store_true", help="say more of what is done")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    args = parser.parse_args(argv)
    journal.set_up(logging.INFO if args.verbose else logging.WARNING)
    try:
        site = load(read_attributes(args.config).get("SiteFile") or SITE)
        settings = from_probe_config(site, args.config)
        return probe(site, settings, datetime.now(timezone.utc), settle=None, as_json=args.json)
    except SiteError as error:
        print(f"openstack_meter: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the next run goes on", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
