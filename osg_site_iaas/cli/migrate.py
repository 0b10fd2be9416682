"""Rewrite an older site.yml in today's format.

  osg-site-iaas migrate site.yml              print the new file
  osg-site-iaas migrate --diff site.yml       print what would change (exit code 2 if anything would)
  osg-site-iaas migrate --in-place site.yml   replace the file, and keep the old one beside it

Comments and layout are kept. Where the layout does not allow that, the file is written anew with the same
meaning, and the loss of its comments is said. Version 0 is the draft before the first release: it spells
`flavors`, and its `vos` are a list whose entries have a `name`.
"""

from __future__ import annotations

import argparse
import difflib
import os
import shutil
import sys
import tempfile
from pathlib import Path

from osg_site_iaas.declaration import load, read, schema
from osg_site_iaas.declaration.migrate import Migrated, migrate
from osg_site_iaas.errors import SiteError


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("file", nargs="?", default="site.yml", help="the declaration (site.yml)")
    how = parser.add_mutually_exclusive_group()
    how.add_argument(
        "--in-place", action="store_true", help="replace the file, keeping the old one beside it"
    )
    how.add_argument("--diff", action="store_true", help="print the difference instead of the new file")


def run(args: argparse.Namespace) -> int:
    """Print, compare or replace; 2 if ``--diff`` has something to show."""
    path = Path(args.file)
    raw = read.read_bytes(path)
    migrated = migrate(args.file, raw)
    new = migrated.text.encode("utf-8")
    if args.diff:
        return _print_diff(read.printable(args.file), raw, migrated)
    if args.in_place:
        _in_place(path, raw, new, migrated)
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(new)
    if not migrated.comments_kept:
        _say("its layout could not be kept: it was written anew, without its comments")
    problems = len(load.report_bytes(args.file, new).problems)
    if problems:
        _say(
            f"it still has {problems} {'problem' if problems == 1 else 'problems'}: see `osg-site-iaas check`"
        )
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def _print_diff(name: str, raw: bytes, migrated: Migrated) -> int:
    before = raw.decode("utf-8-sig").splitlines(keepends=True)
    after = migrated.text.splitlines(keepends=True)
    label = f"{name} (version {schema.VERSION})"
    lines = list(difflib.unified_diff(before, after, f"{name} (version {migrated.version})", label))
    for line in lines:
        print(line.rstrip("\r\n"))
    return 2 if lines else 0


def _in_place(path: Path, raw: bytes, new: bytes, migrated: Migrated) -> None:
    if migrated.version == schema.VERSION:
        _say(f"{read.printable(str(path))}: nothing to do, it has version {schema.VERSION}")
        return
    target = Path(os.path.realpath(path))  # a link stays a link
    if not target.is_file():
        raise SiteError("it is no file that could be replaced", where=str(path), todo="Leave --in-place out.")
    backup = _free(target, migrated.version)
    try:
        shutil.copy2(target, backup)
        _replace(target, raw, new)
    except OSError as error:
        todo = "Nothing is lost: the old file is in its place. Print the new one to standard output instead."
        raise SiteError(f"it cannot be replaced: {error.strerror}", where=str(path), todo=todo) from error
    _say(f"{read.printable(str(path))}: version {schema.VERSION}; the old file is {backup}")


def _free(target: Path, version: int) -> Path:
    """A name beside the file that nothing has yet: a backup never overwrites an older one."""
    name = target.with_name(f"{target.name}.v{version}")
    number = 1
    while name.exists():
        number += 1
        name = target.with_name(f"{target.name}.v{version}.{number}")
    return name


def _replace(target: Path, raw: bytes, new: bytes) -> None:
    """Put the new bytes in the file's place at once, with its mode and owner; never half of them."""
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(new)
            stream.flush()
            os.fsync(stream.fileno())
        shutil.copystat(target, temporary)
        status = target.stat()
        if (status.st_uid, status.st_gid) != (os.geteuid(), os.getegid()):
            os.chown(temporary, status.st_uid, status.st_gid)
        if target.read_bytes() != raw:
            raise SiteError("it was changed meanwhile", where=str(target), todo="Run the command again.")
        Path(temporary).replace(target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
