"""Serve Keystone over TLS with grid logins, for a small site: `osg-site-iaas-front`.

It imports Keystone's application (Keystone must be configured on this machine, as for any WSGI server), puts the
grid door around it, and asks clients for a certificate. Passwords and everything else work through it as before. A
larger site runs Apache with mod_gridsite instead: see docs/identity.md.

  osg-site-iaas-front --cert /etc/grid-security/hostcert.pem --key /etc/grid-security/hostkey.pem

Where the settings name a `keystone`, there is none to import: it is the door beside that Keystone, and passes on to it.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any, Optional, Sequence

from osg_site_iaas import journal
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import front, middleware, relay, watch
from osg_site_iaas.identity import settings as door_settings
from osg_site_iaas.identity.trust import TrustDirectory


def build_parser() -> argparse.ArgumentParser:
    """The options of ``osg-site-iaas-front``."""
    parser = argparse.ArgumentParser(
        prog="osg-site-iaas-front", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--address", default="0.0.0.0", help="where to listen (default: %(default)s)")  # noqa: S104
    parser.add_argument("--port", type=int, default=5000, help="default: %(default)s")
    parser.add_argument("--cert", type=Path, required=True, help="the host's certificate, PEM")
    parser.add_argument("--key", type=Path, required=True, help="its key, PEM")
    parser.add_argument(
        "--settings", type=Path, help=f"the door's settings (default: {door_settings.DEFAULT_FILE})"
    )
    parser.add_argument(
        "--app", default="keystone.wsgi.api:application", help="WSGI application (default: %(default)s)"
    )
    parser.add_argument("--threads", type=int, default=16, help="requests at once (default: %(default)s)")
    parser.add_argument(
        "--status",
        metavar="HOST:PORT",
        help="where /health and /metrics are served, in plain HTTP: not to clients (default: nowhere)",
    )
    return parser


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Serve until SIGTERM."""
    args = build_parser().parse_args(argv)
    journal.set_up()
    file = args.settings or Path(os.environ.get(door_settings.VARIABLE) or door_settings.DEFAULT_FILE)
    try:
        found = door_settings.load(file)
        files = front.Files(args.cert, args.key, found.certificates)
        sys.argv = sys.argv[:1]  # Keystone parses what it finds there
        beside = found.keystone is not None
        app = relay.application(file) if beside else middleware.GridIdentity(_load(args.app), file)
        counters = watch.Counters()
        watching = watch.Watching(app, counters)
        server = front.server(
            watching, args.address, args.port, files, threads=args.threads, no_tls=counters.no_tls
        )
        _listen(server)
        if args.status:
            watch.serve_status(args.status, counters, lambda: _wrong(server, file))
    except SiteError as error:
        print(f"osg-site-iaas-front: {error}", file=sys.stderr)
        return 1
    over = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    threading.Thread(target=server.serve, daemon=True).start()
    over.wait()
    server.stop()
    return 0


def _wrong(server: Any, settings: Path) -> Optional[str]:
    """Why no grid credential could get in now, or None."""
    if not server.ready:
        return "it does not take connections"
    try:
        found = door_settings.load(settings)
        TrustDirectory(found.certificates).current()
    except SiteError as error:
        return str(error)
    return None


def _listen(server: Any) -> None:
    try:
        server.prepare()
    except OSError as error:
        raise SiteError(
            f"cannot listen on {server.bind_addr}: {error}", todo="is another server there?"
        ) from error


def _load(name: str) -> Any:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SiteError(
            f"{name} cannot be imported: {error}",
            todo="install Keystone for this Python, or say --app MODULE:NAME",
        ) from error


if __name__ == "__main__":
    sys.exit(main())
