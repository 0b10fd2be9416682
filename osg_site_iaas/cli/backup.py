"""Save what this host alone knows, in one archive: settings, logins, VOs' keys, and what the services keep.

  osg-site-iaas backup /backup/iaas-$(date +%F).tar.gz
  osg-site-iaas restore /backup/iaas-2026-11-24.tar.gz --dry-run

Run it as root, by a timer, on each host that has something of ours; services go on meanwhile. The archive has mode 0600
and holds secrets as they are: encrypt it before it leaves the host. What is not in it: OpenStack's own databases and
keys, the host's certificate, the grid's CAs, and the EC2 door's cache, which may be lost.
"""

from __future__ import annotations

import argparse

from osg_site_iaas.cli import terminal
from osg_site_iaas.cli.doctor import add_places, subject_of
from osg_site_iaas.ops import backup


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``backup``."""
    parser.add_argument(
        "file", type=terminal.place, help="the archive to write; one that exists is not replaced"
    )
    parser.add_argument(
        "site", nargs="?", default=None, help="the declaration (default: as of the other commands)"
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(args: argparse.Namespace) -> int:
    """0 when the archive is there."""
    with terminal.progress("Saving") as step:
        saved = backup.write(args.file, subject_of(args), step)
    if args.json:
        terminal.dump({"archive": str(args.file), **saved.__dict__})
        return 0
    size = sum(about["size"] for about in saved.files.values())
    print(f"{args.file}: {len(saved.files)} files, {size / 1e6:.1f} MB before compression. It holds secrets.")
    for what in saved.missing:
        print(f"  not on this host: {what}")
    return 0
