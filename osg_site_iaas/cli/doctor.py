"""Examine the site and say what is wrong and what to do about it.

  osg-site-iaas doctor                                    every check; run it as root on the host that is in doubt
  osg-site-iaas doctor --only keystone clock              some checks
  osg-site-iaas doctor --vo cms --image osg-el9           why this VO cannot start this image here, or that it can
  osg-site-iaas doctor --bundle support.tar.gz            an archive for those who help: look before you send it

What a host does not have is skipped, and said: run it on the controller, and on each host with a door. Nothing is
changed anywhere. Exit code 0: all is well. 2: findings. 1: none, but something (`?`) could not be examined.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections import Counter
from datetime import datetime, timezone
from difflib import get_close_matches
from pathlib import Path
from typing import Iterable

from osg_site_iaas.accounting.metrics import write
from osg_site_iaas.cli import terminal
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import bundle, doctor, gauges, why
from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, UNKNOWN, Result
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.subject import Subject

SIGNS = {OK: "ok", FOUND: "LOOK", SKIPPED: "-", UNKNOWN: "?"}
STYLES = {OK: "create", FOUND: "problem", SKIPPED: "unmanaged", UNKNOWN: "problem"}


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``doctor``."""
    parser.add_argument(
        "site",
        nargs="?",
        default=None,
        help="the declaration (default: ./site.yml, else /etc/osg/site-iaas/site.yml)",
    )
    parser.add_argument("--only", nargs="+", metavar="CHECK", help=f"of {', '.join(doctor.TABLE)}")
    asked = parser.add_argument_group("why a VO cannot start an image")
    asked.add_argument("--vo", help="the VO, as in site.yml")
    asked.add_argument("--image", help="the image: its name, its id, or its ami-...")
    asked.add_argument("--flavour", help="the size (default: every one that the VO may use)")
    parser.add_argument(
        "--bundle",
        type=terminal.place,
        metavar="FILE",
        help="write what was found, settings and logs to an archive",
    )
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE", help="write what was found for Prometheus' node_exporter, too"
    )
    add_places(parser)
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def add_places(parser: argparse.ArgumentParser) -> None:
    """The options for hosts, or rehearsals, where things lie elsewhere."""
    group = parser.add_argument_group("where things lie")
    usual = Places()
    group.add_argument(
        "--etc",
        type=terminal.place,
        default=usual.etc,
        metavar="DIR",
        help="settings of doors (default: %(default)s)",
    )
    group.add_argument(
        "--state",
        type=terminal.place,
        default=usual.state,
        metavar="DIR",
        help="what is kept (default: %(default)s)",
    )
    group.add_argument(
        "--grid",
        type=terminal.place,
        default=usual.grid,
        metavar="DIR",
        help="the host's certificate (default: %(default)s)",
    )
    group.add_argument(
        "--probe-config",
        type=terminal.place,
        default=usual.probe_config,
        metavar="FILE",
        help="default: %(default)s",
    )


def subject_of(args: argparse.Namespace) -> Subject:
    """What is to be examined."""
    places = Places(args.etc, args.state, args.grid, args.probe_config)
    site = Path(args.site) if args.site else Path("site.yml")
    if args.site is None and not site.exists():
        site = places.etc / "site.yml"
    return Subject(site, places, datetime.now(timezone.utc))


def run(args: argparse.Namespace) -> int:
    """0 if all is well, 2 with findings, 1 without but where something could not be looked at."""
    _known(args.only or ())
    subject = subject_of(args)
    if args.vo or args.image or args.flavour:
        return _why(args, subject)
    with terminal.progress("Examining") as step:
        results = list(doctor.examine(subject, args.only, step))
    if args.json:
        terminal.dump({"site": str(subject.file), "results": [result.as_data() for result in results]})
    else:
        for result in results:
            _show(result)
        found = sum(len(result.findings) for result in results)
        states = Counter(result.state for result in results)
        print(
            f"{states[OK] + states[FOUND]} checks made, {states[SKIPPED]} skipped, {states[UNKNOWN]} could not be made:"
            f" {found or 'no'} finding{'s' * (found != 1)}"
        )
    if args.metrics:
        write(args.metrics, gauges.text(results, int(subject.now.timestamp()), whole=args.only is None))
    if args.bundle:
        with terminal.progress("Writing the archive"):
            members = bundle.write(args.bundle, subject, results)
        terminal.say(
            f"wrote {args.bundle} ({len(members)} files, mode 0600). Taken out: the secrets known on this host,"
            " and what looks like one. People have pseudonyms. Look before you send it: not all can be recognised."
        )
    came_out = {result.state for result in results}
    return 2 if FOUND in came_out else 1 if UNKNOWN in came_out else 0


def _show(result: Result) -> None:
    terminal.show_text(
        f"{SIGNS[result.state]:4} {result.check:13} {result.said}".rstrip(), STYLES[result.state]
    )
    for one in result.findings:
        place = f"{one.where}: " if one.where else ""
        _show_lines("       ", f"{place}{one.what}", "")
        _show_lines("         -> ", one.todo, "unmanaged")


def _show_lines(before: str, text: str, style: str) -> None:
    """Words that may be several lines: each is one here, under the first."""
    for number, line in enumerate(text.splitlines()):
        terminal.show_text((" " * len(before) if number else before) + line.strip(), style)


def _known(checks: Iterable[str]) -> None:
    """Not by argparse, whose exit code for a wrong word is that of findings."""
    unknown = [name for name in checks if name not in doctor.TABLE]
    if unknown:
        near = get_close_matches(unknown[0], doctor.TABLE, 1)
        raise SiteError(
            f"there is no check {', '.join(map(repr, unknown))}",
            todo=f"{f'{near[0]}? ' if near else ''}The checks are {', '.join(doctor.TABLE)}",
        )


def _why(args: argparse.Namespace, subject: Subject) -> int:
    if not args.vo or not args.image:
        raise SiteError("--vo and --image go together", todo="name both; --flavour may be left out")
    steps = why.explain(subject, args.vo, args.image, args.flavour)
    bad = any(step.prevents for step in steps)
    if args.json:
        terminal.dump({"can": not bad, "steps": [dataclasses.asdict(step) for step in steps]})
    else:
        for step in steps:
            terminal.show_text(
                f"{'NO' if step.prevents else 'ok':3} {step.what}", "problem" if step.prevents else ""
            )
            if step.todo:
                terminal.show_text(f"      -> {step.todo}", "unmanaged")
        size = f" as {args.flavour}" if args.flavour else ""
        print(f"VO {args.vo} {'cannot' if bad else 'can'} start {args.image}{size} here")
    return 2 if bad else 0
