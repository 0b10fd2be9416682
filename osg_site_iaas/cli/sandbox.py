"""A real OpenStack on this machine, for rehearsals, demonstrations and tests.

Keystone, Nova, Placement, Glance, Neutron, Cinder and Swift with its S3 face run as plain processes of
yours: no root, no container, no database or message server. Servers are Nova's fake ones: everything about
them is real but the machine. Python 3.11 or later and Linux are needed, and about 1.5 GB of memory.

  osg-site-iaas sandbox up                  start it (the first time installs the services: a few minutes)
  eval "$(osg-site-iaas sandbox env)"       use it from this shell: openstack server list
  osg-site-iaas sandbox status              what runs; a service that died is named with the end of its log
  osg-site-iaas sandbox logs nova -f        follow one service
  osg-site-iaas sandbox reset               as new, with the same ports and passwords
  osg-site-iaas sandbox down                stop it; what was made in it is there again after the next up

An older OpenStack, as some sites run it, instead of the current one: --release zed, which is Debian 12's
packages. It needs root and debootstrap; its first `up` makes a Debian root in the cache.

Several can live side by side: give each a --name, or a folder of its own with --state.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import Any, Callable

from rich.console import Console

from osg_site_iaas.cli import terminal
from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Sandbox, Status, Wishes
from osg_site_iaas.sandbox.releases import NAMES
from osg_site_iaas.sandbox.render import exports, read_overrides


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions."""
    which = argparse.ArgumentParser(add_help=False)
    which.add_argument("--name", help="which sandbox (default: default)")
    which.add_argument("--state", metavar="DIR", help="a sandbox whose files lie in this folder")
    report = argparse.ArgumentParser(add_help=False)
    report.add_argument("--json", action="store_true", help="answer in JSON")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    up = actions.add_parser("up", parents=[which, report], help="start it and wait until everything answers")
    up.add_argument(
        "--base-port", type=int, metavar="PORT", help="ports from here on (default: random free ones)"
    )
    up.add_argument("--release", choices=NAMES, help="which OpenStack (default: current)")
    up.add_argument("--services", metavar="A,B", help="only these, and what they need")
    up.add_argument(
        "--computes", type=terminal.positive, metavar="N", help="how many fake computes (default: 4)"
    )
    up.add_argument(
        "--wrap-keystone",
        metavar="MODULE:FUNCTION",
        help="serve what this function makes of Keystone's application",
    )
    up.add_argument(
        "--set",
        action="append",
        metavar="FILE:SECTION.OPTION=VALUE",
        help="set an option of a service, as keystone/keystone.conf:mapped.remote_id_attribute=X; may be repeated",
    )
    up.set_defaults(action_run=_up)

    down = actions.add_parser("down", parents=[which], help="stop it; its content stays")
    down.add_argument("--all", action="store_true", help="stop every sandbox of yours")
    down.set_defaults(action_run=_down)

    actions.add_parser("status", parents=[which, report], help="what runs and what died").set_defaults(
        action_run=_status
    )
    actions.add_parser("env", parents=[which, report], help="shell lines to use it").set_defaults(
        action_run=_env
    )

    logs = actions.add_parser("logs", parents=[which], help="what the services said")
    logs.add_argument("service", nargs="?", metavar="SERVICE", help="only this one")
    logs.add_argument("-f", "--follow", action="store_true", help="go on as it grows")
    logs.add_argument(
        "-n", "--lines", type=terminal.positive, default=20, help="how many lines of each (default: 20)"
    )
    logs.set_defaults(action_run=_logs)

    actions.add_parser("reset", parents=[which], help="throw its content away").set_defaults(
        action_run=_reset
    )


def run(args: argparse.Namespace) -> int:
    """Do the action; 2 from ``status`` when not everything is up."""
    action: Callable[[argparse.Namespace, Sandbox], int] = args.action_run
    return action(args, Sandbox.open(args.name, args.state))


def _up(args: argparse.Namespace, sandbox: Sandbox) -> int:
    wishes = Wishes(
        services=tuple(args.services.split(",")) if args.services else None,
        computes=args.computes,
        base_port=args.base_port,
        release=args.release,
        wrapper=args.wrap_keystone,
        overrides=read_overrides(args.set) if args.set else None,
    )
    with _Progress() as progress:
        status = sandbox.up(progress, wishes)
    if args.json:
        print(_as_json(status))
    else:
        print(f"sandbox {status.name} is up: {sandbox.endpoints['keystone']}")
        print(f'use it with: eval "$(osg-site-iaas sandbox env{_which(args)})"')
    return 0


def _down(args: argparse.Namespace, sandbox: Sandbox) -> int:
    for each in Sandbox.all() if args.all else [sandbox]:
        if each.down():
            print(f"sandbox {each.name} stopped")
        elif not args.all:
            print(f"sandbox {each.name} was not running")
    return 0


def _status(args: argparse.Namespace, sandbox: Sandbox) -> int:
    status = sandbox.status()
    if args.json:
        print(_as_json(status))
    else:
        print(f"sandbox {status.name}: {status.state} ({status.folder})")
        for service in status.services:
            print(f"  {service.name:<12} {service.state:<9} {service.pid or '-':>8}  {service.url}")
        for service in status.dead:
            print(f"\n{service.name} died (exit code {service.exit}); the end of its log:")
            print("\n".join(f"    {line}" for line in service.said))
    return 0 if status.state == "up" else 2


def _env(args: argparse.Namespace, sandbox: Sandbox) -> int:
    environment = sandbox.env()
    if args.json:
        print(json.dumps({"env": environment, "endpoints": sandbox.endpoints}, indent=1))
    else:
        print(exports(environment), end="")
    return 0


def _logs(args: argparse.Namespace, sandbox: Sandbox) -> int:
    folder = sandbox.box().logs
    if args.service:
        files = [folder / f"{args.service}.log"]
        if not files[0].exists():
            raise SandboxError(
                f"no log of {args.service!r}",
                todo=f"choose from {', '.join(sorted(p.stem for p in folder.glob('*.log')))}",
            )
    else:
        files = sorted(path for path in folder.glob("*.log") if not path.name.startswith("access-"))
    with contextlib.ExitStack() as stack:
        opened = [(path, stack.enter_context(open(path, errors="replace"))) for path in files]
        for path, file in opened:
            for line in deque(file, maxlen=args.lines):
                _print_line(path, line, len(files))
        while args.follow:
            for path, file in opened:
                for line in file:
                    _print_line(path, line, len(files))
            time.sleep(0.3)
    return 0


def _print_line(path: Path, line: str, files: int) -> None:
    print(f"{path.stem}: {line}" if files > 1 else line, end="", flush=True)


def _reset(args: argparse.Namespace, sandbox: Sandbox) -> int:
    with _Progress() as progress:
        again = sandbox.reset(progress)
    print(f"sandbox {sandbox.name} is as new{' and up' if again else ''}")
    return 0


def _which(args: argparse.Namespace) -> str:
    return (f" --name {args.name}" if args.name else "") + (f" --state {args.state}" if args.state else "")


def _as_json(status: Status) -> str:
    def plain(value: Any) -> Any:
        return str(value)

    return json.dumps(dataclasses.asdict(status), indent=1, default=plain)


class _Progress:
    """What happens, on standard error, and only where somebody looks."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.began = time.monotonic()
        self.spinner = self.console.status("starting") if sys.stderr.isatty() else None

    def __enter__(self) -> Callable[[str], None]:
        if self.spinner:
            self.spinner.start()
        return self._say

    def _say(self, message: str) -> None:
        if self.spinner:
            self.spinner.update(f"{message} [dim]({time.monotonic() - self.began:.0f} s)[/dim]")

    def __exit__(self, *_: object) -> None:
        if self.spinner:
            self.spinner.stop()
