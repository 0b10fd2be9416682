"""Files and folders that a person names: relative, missing, the wrong kind, or not to be read. Always a sentence."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
from pathlib import Path
from typing import Iterator

import pytest

from osg_site_iaas.cli.main import main

SITE = """\
version: 1
site: {resource: X, fqdn: cloud.example.org}
cloud: {name: nowhere, secrets: secrets}
vos: {cms: {access: [{fqan: /cms/*}]}}
"""
PLACES = ["--etc", "etc", "--state", "state", "--grid", "grid", "--probe-config", "ProbeConfig"]
NOBODY = 65534
WRONG = {
    "backup into no folder": (["backup", "nowhere/a.tar.gz", *PLACES], "make its folder first"),
    "backup into a file": (["backup", "file/a.tar.gz", *PLACES], "on the way there is a file"),
    "ProbeConfig is a folder": (["backup", "b.tar.gz", *PLACES[:-1], "folder"], "this is a folder"),
    "restore of nothing": (["restore", "nowhere.tar.gz"], "No such file"),
    "restore of a folder": (["restore", "folder"], "this is a folder"),
    "restore of a text": (["restore", "file"], "osg-site-iaas backup"),
    "bundle into no folder": (["doctor", "--only", "declaration", "--bundle", "nowhere/b"], "make its folder first"),
    "page into a file": (["status", "--out", "file", *PLACES], "on the way there is a file"),
    "history is a folder": (["status", "--out", "out", "--history", "folder", *PLACES], "this is a folder"),
    "look without site.yml": (["who", "nowhere.yml", "--observe", *PLACES], "no such file"),
    "no ProbeConfig": (["accounting", "status", "--probe-config", "nowhere"], "No such file"),
    "state is a file": (["accounting", "replay", "--from", "2026-01-01", "--state", "file"], "name another folder"),
}  # fmt: skip


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a site, a database, a file and a folder."""
    for name in ("etc", "state/addresses", "folder"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "site.yml").write_text(SITE)
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "etc/ec2.yml").write_text("listen: x\n")
    with contextlib.closing(sqlite3.connect(tmp_path / "state/addresses/kept.sqlite")) as database:
        database.execute("create table t (a)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("only root can become nobody")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_backup_and_a_restore_take_relative_places(host: Path) -> None:
    assert main(["backup", "a.tar.gz", "site.yml", *PLACES]) == 0
    assert main(["restore", "a.tar.gz", "--root", "not/there/yet", "--also", ".", *PLACES]) == 0
    back = host / "not/there/yet" / str(host).lstrip("/")
    assert (back / "etc/ec2.yml").read_text() == "listen: x\n"
    assert (back / "state/addresses/kept.sqlite").is_file()
    assert (host / "not/there/yet").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("dry", [[], ["--dry-run"]], ids=["", "dry"])
def test_a_root_that_is_a_file_is_named(
    host: Path, capsys: pytest.CaptureFixture[str], dry: list[str]
) -> None:
    assert main(["backup", "a.tar.gz", *PLACES]) == 0
    assert main(["restore", "a.tar.gz", "--root", "file", *PLACES, *dry]) == 1
    assert re.search(r"/file: .*\n  -> a folder is meant", capsys.readouterr().err)


@pytest.mark.parametrize(("words", "said"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_a_place_is_said_in_words(
    host: Path, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    assert main(words) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "  -> " in told
    assert "[Errno" not in told


@pytest.mark.parametrize("command", ["backup", "restore", "who", "status", "accounting"])
def test_whoever_may_not_read_a_place_is_told_which(
    host: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    words = {
        "backup": ["backup", "b.tar.gz", *PLACES],
        "restore": ["restore", "a.tar.gz", *PLACES],
        "who": ["who", "--ip", "192.0.2.1", *PLACES],
        "status": ["status", "--json", *PLACES],
        "accounting": ["accounting", "status", "--state", "state"],
    }[command]
    assert main(["backup", "a.tar.gz", *PLACES]) == 0
    main(words)  # what is imported late is read now
    host.chmod(0o700)
    capsys.readouterr()
    with nobody():
        assert main(words) == 1
    told = capsys.readouterr().err
    assert re.search("Permission denied|may not be read", told)
    assert "  -> " in told
    assert "[Errno" not in told


def test_names_that_mean_something_in_addresses_are_names(
    host: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = host / "st?te #1"
    assert main(["accounting", "replay", "--from", "2026-01-01", "--state", place.name]) == 0
    capsys.readouterr()
    assert main(["accounting", "status", "--json", "--state", place.name]) == 2
    assert json.loads(capsys.readouterr().out)["servers"] == 0
