"""The whole story, end to end, on this machine: a real OpenStack, a declared site, VOs that come with a VOMS proxy
and a token, their servers, a usage record, and the VO's monthly statement.

  osg-site-iaas demo             tell it (the first time the services are installed: some minutes)
  osg-site-iaas demo --down      stop what it left running; its files stay
  osg-site-iaas demo --down --purge   and remove its files, so that the next one starts from nothing

Everything it makes lies in one folder (./demo): site.yml, keys, clouds.yaml, and the sandbox's own state. Run
again, it finds its site applied, and starts another server. Interrupted, it leaves nothing running.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from rich.console import Group
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from osg_site_iaas.cli import init, terminal
from osg_site_iaas.errors import SiteError
from osg_site_iaas.sandbox import Sandbox
from osg_site_iaas.sandbox.story import RESOURCE, TOPOLOGY, Story

MARK = ".osg-site-iaas-demo"  # in a folder that the demo may remove


def configure(parser: argparse.ArgumentParser) -> None:
    """The options of ``demo``."""
    parser.add_argument(
        "--folder", default="demo", metavar="DIR", help="where its files lie (default: ./demo)"
    )
    parser.add_argument("--down", action="store_true", help="stop what the demo left running")
    parser.add_argument("--purge", action="store_true", help="with --down: remove its files too")
    parser.add_argument("--json", action="store_true", help="print the table as JSON")


@dataclass
class Row:
    """A step in the table."""

    title: str
    state: str = "waiting"  # waiting, running, done, failed
    result: str = ""
    seconds: float = 0.0


def run(args: argparse.Namespace) -> int:
    """Exit code 0 when every step went well."""
    folder = Path(args.folder).absolute()
    sandbox = Sandbox.open("demo", folder / "sandbox")
    if args.down:
        return _down(folder, sandbox, args.purge)
    if args.purge:
        raise SiteError("--purge does nothing without --down")
    _claim(folder)
    story = Story(folder, sandbox, _write_site)
    rows = [Row(step.title) for step in story.steps()]
    try:
        with _Display(rows, args.json) as display:
            for row, step in zip(rows, story.steps()):
                display.start(row)
                start = time.monotonic()
                try:
                    row.result = step.run(display.progress)
                    row.state = "done"
                except SiteError as error:
                    row.state, row.result = "failed", str(error)
                    break
                finally:
                    row.seconds = time.monotonic() - start
                    display.end(row)
    except KeyboardInterrupt:
        terminal.say("interrupted: stopping everything")
        sandbox.down()
        return 130
    good = all(row.state == "done" for row in rows)
    if story.record:
        (folder / "record.xml").write_text(story.record + "\n", encoding="utf-8")
    if args.json:
        terminal.dump({"steps": [vars(row) for row in rows], "record": story.record, "ok": good})
    elif good:
        _farewell(story)
    else:
        terminal.say(
            "The demo did not get to its end. `make demo` goes on from here; `make demo-down` stops it."
        )
    return 0 if good else 1


def _write_site(path: Path) -> None:
    """``osg-site-iaas init``, on the demo's own documents."""
    words = [
        "--topology",
        str(TOPOLOGY),
        "--vo-client",
        str(TOPOLOGY),
        "--resource",
        RESOURCE,
        "--all-supported",
    ]
    parser = argparse.ArgumentParser()
    init.configure(parser)
    args = parser.parse_args([*words, "--cloud", "sandbox", "--output", str(path), "--json"])
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        out, sys.stdout = sys.stdout, nowhere
        quiet, terminal.err.quiet = terminal.err.quiet, True
        try:
            init.run(args)
        finally:
            sys.stdout, terminal.err.quiet = out, quiet


def _claim(folder: Path) -> None:
    """Make the folder and mark it as the demo's; SiteError if it holds anything else."""
    if folder.exists() and not _is_ours(folder) and (not folder.is_dir() or any(folder.iterdir())):
        raise SiteError(
            f"{folder} holds other things than a demo",
            todo="name a folder that is empty or not there yet, with --folder",
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARK).touch()


def _is_ours(folder: Path) -> bool:
    return (folder / MARK).exists() or (folder / "sandbox" / "sandbox.json").exists()


def _down(folder: Path, sandbox: Sandbox, purge: bool) -> int:
    if purge and folder.exists() and not _is_ours(folder):
        raise SiteError(f"{folder} is no demo's folder, so nothing in it is removed")
    stopped = folder.exists() and sandbox.down()
    terminal.out.print("The demo's OpenStack is stopped." if stopped else "Nothing of the demo was running.")
    if purge and folder.exists():
        shutil.rmtree(folder)
        terminal.out.print(f"{folder} is removed.")
    return 0


class _Display:
    """The table, live at a terminal; a line a step where there is none."""

    def __init__(self, rows: list[Row], quiet: bool) -> None:
        self._rows = rows
        self._quiet = quiet
        self._note = ""
        self._live: Optional[Live] = None
        self._spinner = Spinner("dots")

    def __enter__(self) -> _Display:
        if terminal.out.is_terminal and not self._quiet:
            self._live = Live(console=terminal.out, refresh_per_second=8, get_renderable=self._table)
            self._live.__enter__()
        return self

    def __exit__(self, *exc: Any) -> None:
        self._note = ""
        if self._live:
            self._live.__exit__(*exc)
        elif not self._quiet:
            terminal.out.print(self._table())

    def start(self, row: Row) -> None:
        row.state = "running"
        if not self._live and not self._quiet:
            terminal.say(f"{row.title} ...")

    def progress(self, note: str) -> None:
        self._note = note

    def end(self, row: Row) -> None:
        self._note = ""
        if not self._live and not self._quiet:
            terminal.say(f"  {row.state} in {row.seconds:.1f} s: {row.result}")

    def _table(self) -> Group:
        table = Table(box=None, pad_edge=False, header_style="bold")
        table.add_column("")
        table.add_column("step", no_wrap=True)
        table.add_column("result", overflow="fold", ratio=1)
        table.add_column("seconds", justify="right")
        for row in self._rows:
            sign: Any = {"done": Text("✓", "green"), "failed": Text("✗", "bold red")}.get(
                row.state, Text("·", "dim")
            )
            result = Text(row.result, "red" if row.state == "failed" else "")
            if row.state == "running":
                sign, result = self._spinner, Text(self._note, "dim")
            seconds = f"{row.seconds:.1f}" if row.state in ("done", "failed") else ""
            table.add_row(sign, Text(row.title, "dim" if row.state == "waiting" else ""), result, seconds)
        total = sum(row.seconds for row in self._rows)
        table.add_row("", Text("all of it", "bold"), "", f"{total:.1f}")
        return Group(table)


def _farewell(story: Story) -> None:
    """The record, and how to go on."""
    out = terminal.out
    out.print()
    out.print(Text("The usage record, as OSG's accounting takes it (record.xml)", "bold"))
    out.print(Text(story.record.strip(), "dim"))
    out.print()
    out.print(Text("Go on", "bold"))
    folder = Path(_near(story.folder))
    command = _near(Path(sys.executable).parent / "osg-site-iaas")
    client = Path(sys.executable).parent / "openstack"
    openstack = _near(client) if client.exists() else "openstack"  # from PyPI: python-openstackclient
    clouds = folder / "clouds.yaml"
    for what, how in (
        ("the declaration", f"$EDITOR {folder / 'site.yml'}"),
        ("what would change", f"OS_CLIENT_CONFIG_FILE={clouds} {command} plan {folder / 'site.yml'}"),
        ("make it so", f"OS_CLIENT_CONFIG_FILE={clouds} {command} apply {folder / 'site.yml'}"),
        (
            f"as {story.member.vo}",
            f"OS_CLIENT_CONFIG_FILE={clouds} {openstack} --os-cloud {story.member.vo} server list",
        ),
        *((("a VO's statement", f"xdg-open {_near(story.statement)}"),) if story.statement else ()),
        ("core-hours so far", f"curl {story.collector_url}/"),
        ("the services' logs", f"{command} sandbox logs --state {_near(story.sandbox.folder)} nova"),
        ("stop", "make demo-down"),
    ):
        out.print(f"  {what:<20} {how}")
    out.print(Text("\nendpoints", "bold"))
    for name, url in sorted(story.sandbox.endpoints.items()):
        out.print(f"  {name:<20} {url}")


def _near(path: Path) -> str:
    """A path as short as one can type it from here."""
    short = os.path.relpath(path)
    return short if not short.startswith("..") else str(path)
