"""Report every problem of a site.yml at once, each with file, line and column and what to do about it.

Problems keep the file from being used; warnings are what was probably not meant, and do not.
Nothing is contacted and nothing is changed.

  osg-site-iaas check site.yml            every problem and warning
  osg-site-iaas check --json site.yml     the same for a program
  osg-site-iaas check - < site.yml        a file from a pipe
  osg-site-iaas check --schema            where the JSON Schema for editors is

The exit code is 0 if the file can be used, 2 if it has problems, and 1 if it cannot be read.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Sequence

from osg_site_iaas.accounting.settings import from_site
from osg_site_iaas.declaration import load, read, schema
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import DeclarationError, Problem, SiteError
from osg_site_iaas.mapping import keystone, table

_MOST_SHOWN = 1000


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "file", nargs="?", default="site.yml", help="the declaration, - for standard input (site.yml)"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument("--strict", action="store_true", help="let warnings count as problems")
    parser.add_argument("--schema", action="store_true", help="print the path of the JSON Schema, and end")


def run(args: argparse.Namespace) -> int:
    """Print the findings; 0 without problems, 2 with."""
    if args.schema:
        print(schema.PATH)
        return 0
    report = _report(args.file)
    problems, warnings = list(report.problems), list(report.warnings)
    if report.site is not None:
        more, doubts = _mapping(report)
        problems += [*more, *_accounting(report.site)]
        warnings += [*doubts, *_missing_files(report.site)]
    failed = bool(problems or (args.strict and warnings))
    if args.json:
        _print_json(args.file, sorted(problems), sorted(warnings))
    else:
        _print(args.file, sorted(problems), sorted(warnings))
    return 2 if failed else 0


def _report(file: str) -> load.Report:
    if file == "-":
        return load.report_bytes("<stdin>", sys.stdin.buffer.read(read.MAX_BYTES + 1))
    return load.report(file)


def _mapping(report: load.Report) -> tuple[list[Problem], list[Problem]]:
    """What the table of who may be whom finds in a declaration that is in order so far."""
    site = report.site
    if site is None:
        return [], []
    try:
        keystone.groups(site)
        return [], table.unreachable(table.Table.of(site))
    except DeclarationError as error:
        return list(error.problems), []
    except SiteError as error:
        return [Problem(error.where or str(site.file), 0, 0, "", error.what, error.todo or "")], []


def _accounting(site: Site) -> list[Problem]:
    """What the probe would say of its settings."""
    try:
        from_site(site)
        return []
    except DeclarationError as error:
        return list(error.problems)


def _missing_files(site: Site) -> list[Problem]:
    """Image files that are not here: only a doubt, since apply may run on another machine."""
    return [
        Problem(
            str(site.file),
            image.at.line,
            image.at.column,
            f"images.{image.name}",
            f"the file {image.source[len('file:') :]} is not on this machine",
            "Put it there before `apply` uploads it, or correct the path.",
        )
        for image in site.images
        if image.source is not None
        and image.source.startswith("file:")
        and not Path(image.source[len("file:") :]).is_file()
    ]


def _print(file: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    for problem in problems[:_MOST_SHOWN]:
        print(problem)
    for warning in warnings[:_MOST_SHOWN]:
        place, _, rest = str(warning).partition(": ")
        print(f"{place}: warning: {rest}")
    hidden = max(len(problems) - _MOST_SHOWN, 0) + max(len(warnings) - _MOST_SHOWN, 0)
    if hidden:
        print(f"... and {hidden} more")
    name = read.printable(file)
    if problems or warnings:
        print(f"{name}: {_count(len(problems), 'problem')}, {_count(len(warnings), 'warning')}")
    else:
        print(f"{name}: no problems")


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _print_json(file: str, problems: Sequence[Problem], warnings: Sequence[Problem]) -> None:
    findings = {
        "file": read.printable(file),
        "ok": not problems,
        "problems": [_as_json(problem) for problem in problems],
        "warnings": [_as_json(warning) for warning in warnings],
    }
    print(json.dumps(findings, indent=2))


def _as_json(problem: Problem) -> dict[str, Any]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "what": problem.what,
        "todo": problem.todo,
    }
