"""Run the collector stand-in: python -m osg_site_iaas.sandbox.collector --port N --state FOLDER"""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path

from osg_site_iaas.sandbox.collector.faults import KINDS
from osg_site_iaas.sandbox.collector.server import Collector, Tls

log = logging.getLogger(__name__)
EPILOG = """\
doors:
  POST /gratia-servlets/rmi      usage records, as GRACC takes them
  GET  /                         a page with what was counted
  GET  /query/summary            core-hours by UTC day and VO (JSON)
  GET  /query/records?job=&day=&vo=   documents with every field
  GET  /query/duplicates         jobs that are counted more than once
  GET  /query/totals, /stats, /metrics
  POST /faults {"kind": ..., "count": ..., "seconds": ..., "match": ...}; GET lists, DELETE clears
faults:
"""


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m osg_site_iaas.sandbox.collector",
        description=__doc__,
        epilog=EPILOG + "\n".join(f"  {kind:12} {text}" for kind, text in KINDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, help="TCP port; 0 takes a free one")
    parser.add_argument("--state", type=Path, required=True, help="folder for the SQLite file")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--idle", type=float, default=60, help="seconds to keep an unused connection (%(default)s)"
    )
    parser.add_argument("--certificate", type=Path, help="serve TLS with this certificate")
    parser.add_argument("--key", type=Path, help="the certificate's key")
    parser.add_argument("--client-ca", type=Path, help="demand a client certificate of this authority")
    args = parser.parse_args()
    if bool(args.certificate) != bool(args.key) or (args.client_ca and not args.certificate):
        parser.error("--certificate and --key belong together, and --client-ca needs them")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    tls = Tls(args.certificate, args.key, args.client_ca) if args.certificate else None
    try:
        collector = Collector(args.state, port=args.port, host=args.host, idle=args.idle, tls=tls)
    except OSError as error:
        parser.exit(1, f"cannot listen on {args.host}:{args.port}, or write {args.state}: {error}\n")
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: collector.stop())
    log.info("collector stand-in at %s, state in %s", collector.url, args.state)
    collector.serve()
    collector.close()


if __name__ == "__main__":
    main()
