"""What the commands share with the person at the terminal: colours, progress, and JSON for programs."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Iterable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from osg_site_iaas.declaration.read import printable
from osg_site_iaas.plan.render import Line

STYLES = {
    "create": "green",
    "adopt": "cyan",
    "update": "yellow",
    "disable": "magenta",
    "remove": "red",
    "held": "magenta",
    "unmanaged": "dim",
    "problem": "bold red",
    "title": "bold",
    "note": "",
}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def show(lines: Iterable[Line]) -> None:
    """Print lines in their colours; a terminal that has none, or a pipe, gets plain text."""
    for line in lines:
        show_text(line.text, line.style)


def show_text(text: str, style: str) -> None:
    """Print a line that others may have written part of: what could steer a terminal is escaped."""
    out.print(Text(printable(text), style=STYLES.get(style, "")))


def positive(word: str) -> int:
    """For argparse: a whole number from 1 on."""
    if not word.isdecimal() or int(word) < 1:
        raise argparse.ArgumentTypeError(f"{word!r} is not a whole number from 1 on")
    return int(word)


def place(word: str) -> Path:
    """For argparse: a file or folder, as it is called from anywhere. Links stay what they are."""
    return Path(os.path.abspath(word))  # noqa: PTH100 - Path.resolve follows links


def dump(data: Any) -> None:
    """JSON for programs, on standard output."""
    json.dump(data, sys.stdout, indent=2, sort_keys=True)
    sys.stdout.write("\n")


def say(text: str) -> None:
    """Lines for the person who waits; never on standard output, which may be read by a program."""
    err.print(Text(printable(text, keep="\n")))


@contextmanager
def progress(title: str, total: int = 0) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on standard error while it is a terminal; the function takes (what, done, of how many)."""
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),  # names are in it
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )
    with bar:
        task = bar.add_task(title, total=total or None)

        def step(what: str, done: int, of: int) -> None:
            bar.update(task, description=f"{title}: {what}", completed=done, total=of)

        yield step
