"""A backup of a host and its restore: all of it, in use or not, or nothing."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tarfile
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Iterator

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops import backup, restore
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.subject import Subject

NOW = datetime(2026, 11, 24, tzinfo=timezone.utc)
SITE = """\
version: 1
site: {resource: X, fqdn: cloud.example.org}
cloud: {name: x, secrets: secrets}
vos: {cms: {access: [{fqan: /cms/*}]}}
"""


@dataclass
class Host:
    root: Path
    archive: Path

    @property
    def places(self) -> Places:
        return Places(
            self.root / "etc", self.root / "state", self.root / "grid", self.root / "gratia/ProbeConfig"
        )

    @property
    def words(self) -> list[str]:
        places = self.places
        return [
            "--etc",
            str(places.etc),
            "--state",
            str(places.state),
            "--probe-config",
            str(places.probe_config),
        ]

    def save(self) -> backup.Saved:
        return backup.write(self.archive, Subject(self.root / "etc/site.yml", self.places, NOW))

    def restore(self, *words: str) -> int:
        return main(["restore", str(self.archive), *self.words, "--also", str(self.root / "data"), *words])

    def lose(self) -> None:
        for name in ("etc", "state", "gratia", "data"):
            shutil.rmtree(self.root / name)

    def contents(self) -> dict[str, tuple[str, int]]:
        """Text and mode of each file; of a database its rows."""
        found = {}
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and not path.name.endswith(("-wal", "-shm")):
                text = rows(path) if path.suffix == ".sqlite" else path.read_text()
                found[str(path)] = (text, path.stat().st_mode & 0o7777)
        return found


def rows(path: Path) -> str:
    with sqlite3.connect(path) as database:
        return str(database.execute("SELECT * FROM it ORDER BY 1").fetchall())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "host", tmp_path / "backup.tar.gz")
    texts = {
        "etc/site.yml": SITE,
        "etc/bans.yml": "bans: []\n",
        "etc/clouds/control.yaml": "password: hidden\n",
        "etc/secrets/VO-cms.ec2": "[VO-cms]\n",
        "state/status/history.jsonl": "{}\n",
        "gratia/ProbeConfig": '<ProbeConfiguration EnableProbe="1" DataFolder="{data}"/>\n'.format(
            data=made.root / "data"
        ),
    }
    for name, text in texts.items():
        path = made.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600 if "clouds" in name or "secrets" in name else 0o640)
    (made.root / "etc/clouds").chmod(0o700)
    (made.root / "data/archive").mkdir(parents=True)
    with sqlite3.connect(made.root / "data/archive/2026-11.sqlite") as database:
        database.execute("CREATE TABLE it (a)")
    folder = made.root / "state/addresses"
    folder.mkdir()
    with sqlite3.connect(folder / "addresses.sqlite") as database:
        database.execute("PRAGMA journal_mode = wal")
        database.execute("CREATE TABLE it (a)")
        database.execute("INSERT INTO it VALUES (1)")
    (folder / "addresses.sqlite").chmod(0o600)
    return made


@pytest.fixture
def writing(host: Host) -> Iterator[sqlite3.Connection]:
    """A service that is in the middle of a change."""
    database = sqlite3.connect(host.root / "state/addresses/addresses.sqlite")
    database.execute("BEGIN IMMEDIATE")
    database.execute("INSERT INTO it VALUES (2)")
    yield database
    database.close()


def test_what_was_saved_comes_back_with_modes_and_folders(host: Host) -> None:
    before = host.contents()
    saved = host.save()
    assert host.archive.stat().st_mode & 0o7777 == 0o600
    assert str(host.root / "data/archive/2026-11.sqlite") in saved.files
    assert saved.missing == ()
    host.lose()
    assert host.restore("--dry-run") == 2
    assert not (host.root / "etc").exists()
    assert host.restore() == 0
    assert host.contents() == before
    assert (host.root / "etc/clouds").stat().st_mode & 0o777 == 0o700
    assert host.restore("--dry-run") == 0  # all as it was


def test_a_copy_that_is_made_while_a_service_writes_is_whole(host: Host, writing: sqlite3.Connection) -> None:
    host.save()
    writing.commit()
    database = host.root / "state/addresses/addresses.sqlite"
    assert rows(database) == "[(1,), (2,)]"
    writing.close()
    assert host.restore("--replace") == 0
    assert rows(database) == "[(1,)]"  # also of what stood in the -wal file, nothing is left


def test_a_database_in_use_is_not_replaced(
    host: Host, writing: sqlite3.Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    host.save()
    writing.commit()
    writing.execute("BEGIN IMMEDIATE")
    assert host.restore("--replace") == 1
    assert "somebody is writing into it" in capsys.readouterr().err


def test_what_is_there_and_differs_is_replaced_only_if_asked(
    host: Host, capsys: pytest.CaptureFixture[str]
) -> None:
    host.save()
    site = host.root / "etc/site.yml"
    site.write_text("# since then\n")
    (host.root / "etc/bans.yml").unlink()
    assert host.restore() == 1
    assert f"files are there and differ, such as {site}" in capsys.readouterr().err
    assert not (host.root / "etc/bans.yml").exists()
    assert host.restore("--replace", "--json") == 0
    states = json.loads(capsys.readouterr().out)["files"]
    assert states[str(site)] == "replaced"
    assert states[str(host.root / "etc/bans.yml")] == "new"
    assert site.read_text() == SITE


def test_a_backup_never_replaces_another_and_leaves_nothing_half_made(host: Host) -> None:
    host.archive.write_text("of yesterday")
    with pytest.raises(SiteError, match="exists already"):
        host.save()
    assert host.archive.read_text() == "of yesterday"
    host.archive.unlink()
    database = host.root / "state/addresses/addresses.sqlite"
    for path in database.parent.iterdir():
        path.unlink()
    database.write_bytes(b"SQLite format 3\x00" + b"x" * 5000)
    with pytest.raises(SiteError, match=r"cannot be copied|is damaged"):
        host.save()
    assert [path.name for path in host.archive.parent.iterdir()] == ["host"]


@pytest.mark.parametrize("keep", [40, 400, -3])
def test_an_archive_that_is_cut_off_or_damaged_changes_nothing(host: Host, keep: int) -> None:
    host.save()
    data = bytearray(host.archive.read_bytes())
    if keep < 0:
        data[len(data) // 2] ^= 0xFF
    host.archive.write_bytes(bytes(data if keep < 0 else data[:keep]))
    host.lose()
    assert host.restore() == 1
    assert [path for path in host.root.rglob("*") if path.is_file()] == []


def test_a_file_whose_sum_is_another_is_refused(host: Host, tmp_path: Path) -> None:
    host.save()
    with tarfile.open(host.archive) as old, tarfile.open(tmp_path / "forged", "w:gz") as new:
        for member in old:
            stream = old.extractfile(member)
            assert stream is not None
            data = tmp_path / "data"
            data.write_bytes(stream.read().replace(b"[VO-cms]", b"[VO-xyz]"))
            info = new.gettarinfo(str(data), member.name)
            with data.open("rb") as content:
                new.addfile(info, content)
    (tmp_path / "forged").replace(host.archive)
    host.lose()
    assert host.restore() == 1
    assert not list(host.root.rglob("*.ec2*"))


@pytest.mark.parametrize("name", ["/etc/passwd", "/host/etc/../../etc/cron.d/x", "relative"])
def test_nothing_is_written_where_nothing_of_ours_lies(host: Host, name: str) -> None:
    saved = backup.Saved("h", "t", "v", {name: {"sha256": ""}}, {}, ())
    with pytest.raises(SiteError, match="is not where things of ours lie"):
        restore.targets(saved, [Path("/host/etc")], Path("/"))


def test_a_symbolic_link_is_not_followed(host: Host, tmp_path: Path) -> None:
    host.save()
    other = tmp_path / "other"
    other.write_text("somebody's")
    (host.root / "etc/bans.yml").unlink()
    (host.root / "etc/bans.yml").symlink_to(other)
    assert host.restore("--replace") == 1
    assert other.read_text() == "somebody's"


@pytest.mark.parametrize(
    "about", [{}, {"sha256": 5}, [], {"sha256": "x", "mode": "rw", "owner": "a", "group": "b"}]
)
def test_a_table_of_contents_that_makes_no_sense_says_so(
    host: Host, tmp_path: Path, about: object, capsys: pytest.CaptureFixture[str]
) -> None:
    table = {"format": 1, "host": "h", "made": "t", "version": "v", "folders": {}, "missing": []}
    (tmp_path / "table").write_text(json.dumps({**table, "files": {str(host.root / "etc/site.yml"): about}}))
    with tarfile.open(host.archive, "w:gz") as archive:
        archive.add(tmp_path / "table", backup.MANIFEST)
    assert host.restore("--replace") == 1
    assert "its table of contents cannot be read" in capsys.readouterr().err


def test_what_is_no_backup_says_so(host: Host, capsys: pytest.CaptureFixture[str]) -> None:
    with tarfile.open(host.archive, "w:gz") as archive:
        archive.add(host.root / "etc/site.yml", "site.yml")
    assert host.restore() == 1
    assert "this is no backup of osg-site-iaas" in capsys.readouterr().err
    host.archive.write_text("text")
    assert host.restore() == 1
    assert "cannot be read" in capsys.readouterr().err
