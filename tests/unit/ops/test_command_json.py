"""What docs/watching.md says that programs read: the keys of each command's JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.ops.addresses.store import Store
from tests.unit.ops.test_command_places import PLACES, SITE


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command beside a site whose cloud cannot be reached; its exit code and its JSON."""
    for name in ("etc", "state/addresses"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "site.yml").write_text(SITE)
    (tmp_path / "etc/ec2.yml").write_text("listen: x\n")
    with Store(tmp_path / "state/addresses/addresses.sqlite"):
        pass  # a file in which nothing was seen yet
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))

    def ask(*words: str) -> tuple[int, Any]:
        capsys.readouterr()
        code = main([*words, "--json", *PLACES])
        return code, json.loads(capsys.readouterr().out)

    return ask


def test_who_says_why_it_could_not_look(ask: Any) -> None:
    code, said = ask("who", "--ip", "192.0.2.1")
    assert code == 2
    assert set(said) == {"ip", "at", "looked", "not_looked", "answers", "possible"}
    assert "nowhere" in said["not_looked"]
    assert said["answers"] == said["possible"] == []


def test_a_backup_and_a_restore_name_each_file(ask: Any) -> None:
    code, said = ask("backup", "a.tar.gz", "site.yml")
    assert code == 0
    assert {"archive", "host", "made", "version", "files", "missing"} <= set(said)
    assert all({"size", "sha256"} <= set(about) for about in said["files"].values())
    code, back = ask("restore", "a.tar.gz", "--dry-run", "--also", ".")
    assert set(back) == {"host", "made", "version", "files"}
    assert set(back["files"].values()) <= {"new", "replaced", "same"}
    assert code == (0 if set(back["files"].values()) == {"same"} else 2)
    assert set(back["files"]) == set(said["files"])


def test_doctor_names_each_check_with_its_state(ask: Any) -> None:
    _, said = ask("doctor", "--only", "declaration", "disk")
    assert set(said) == {"site", "results"}
    assert [one["check"] for one in said["results"]] == ["declaration", "disk"]
    assert all({"state", "said", "findings"} <= set(one) for one in said["results"])
