"""The commands: what they print and their exit codes, without a cloud where they need none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from histories import BASE
from test_run import END, HOUR, steady
from world import World

from osg_site_iaas.accounting.model import DAY, iso
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.cli import openstack_meter
from osg_site_iaas.cli.accounting import as_data
from osg_site_iaas.cli.main import main
from osg_site_iaas.errors import AccountingError

ROOT = Path(__file__).parents[3]
SITE = """\
version: 1
site: {{resource: Example-Cloud, fqdn: cloud.example.org}}
cloud: {{name: nowhere}}
vos:
  cms:
    access:
      - fqan: /cms/*
accounting:
  collector: {collector}
"""


@pytest.fixture
def site(world: World, tmp_path: Path) -> Path:
    file = tmp_path / "site.yml"
    file.write_text(SITE.format(collector=world.collector.address))
    return file


@pytest.fixture
def told(world: World) -> World:
    world.live(steady())
    assert world.run(END + HOUR).ok
    with Store(world.settings.folder) as store:
        # a name that a run would have asked Keystone for
        store.many("INSERT INTO project VALUES (?,?,?)", [("p0", "cms", "osg")])
    return world


def command(world: World, site: Path, *words: str) -> int:
    return main(["accounting", words[0], str(site), "--state", str(world.settings.folder), *words[1:]])


def window(start: int = BASE, end: int = END) -> tuple[str, ...]:
    return ("--from", iso(start), "--to", iso(end))


def test_status_without_a_state_says_so(world: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(world, site, "status") == 1
    assert "there is no accounting state" in capsys.readouterr().err


def test_status(told: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = command(told, site, "status", "--json")
    found = json.loads(capsys.readouterr().out)
    assert found["sent"] == told.collector.store.totals()["documents"]
    assert code == (2 if found["findings"] else 0)
    command(told, site, "status")
    assert f"{found['sent']} records" in capsys.readouterr().out


def test_an_audit_offline(told: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(told, site, "audit", "--offline", *window()) == 0
    assert "every second is covered once" in capsys.readouterr().out


def test_an_audit_with_findings(told: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archived = told.settings.folder / "archive"
    archived.rename(archived.with_name("elsewhere"))
    assert command(told, site, "audit", "--offline", "--json", *window()) == 2
    assert {one["kind"] for one in json.loads(capsys.readouterr().out)["findings"]} == {"unarchived"}


def test_a_replay(told: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    summary = told.collector.store.summary()
    assert command(told, site, "replay", *window()) == 0
    assert "sent again" in capsys.readouterr().out
    assert told.collector.store.summary() == summary


def test_an_empty_window_is_an_error(told: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(told, site, "replay", *window(END, BASE)) == 1
    assert "is empty" in capsys.readouterr().err


@pytest.mark.parametrize(
    "form, begin", [("csv", "vo,project,"), ("json", "["), ("egi", "APEL-cloud-message: v0.4")]
)
def test_an_export(
    told: World, site: Path, capsys: pytest.CaptureFixture[str], form: str, begin: str
) -> None:
    assert command(told, site, "export", "--format", form, *window()) == 0
    assert capsys.readouterr().out.startswith(begin)


def test_an_export_to_a_file(told: World, site: Path, tmp_path: Path) -> None:
    assert command(told, site, "export", "--out", str(tmp_path / "x.csv"), *window()) == 0
    assert (tmp_path / "x.csv").read_text().startswith("vo,project,")


@pytest.mark.parametrize("words", [("export", *window()), ("statement", "--month", "2026-11")])
def test_a_place_that_cannot_be_written_to_is_told(
    told: World, site: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert command(told, site, *words, "--out", "/proc/none/x.csv") == 1
    assert "cannot write /proc/none" in capsys.readouterr().err


def test_an_export_that_fails_leaves_the_file_as_it_was(told: World, site: Path, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("before")
    (told.settings.folder / "accounting.sqlite").write_bytes(b"no database" * 1000)
    for file in told.settings.folder.glob("accounting.sqlite-*"):
        file.unlink()
    assert command(told, site, "export", "--out", str(tmp_path / "x.csv"), *window()) == 1
    assert (tmp_path / "x.csv").read_text() == "before"


@pytest.mark.parametrize(
    "words, told_so",
    [
        (("statement", "--month", "13"), "'13' is not a month: write it as 2026-11"),
        (("run", "--settle", "-5"), "'-5' is not a number of seconds"),
        (("audit", "--from", "monday"), "'monday' is not a time"),
    ],
)
def test_what_cannot_be_meant_is_told_in_words(
    world: World, site: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told_so: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(world, site, *words)
    assert ended.value.code == 2
    assert told_so in capsys.readouterr().err


def test_an_export_as_json_by_either_word(
    told: World, site: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(told, site, "export", "--json", *window()) == 0
    shorter = capsys.readouterr().out
    assert command(told, site, "export", "--format", "json", *window()) == 0
    assert json.loads(shorter) == json.loads(capsys.readouterr().out)


def test_statements(told: World, site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(told, site, "statement", "--month", "2026-11", "--out", str(tmp_path / "s")) == 0
    assert {file.name for file in (tmp_path / "s").iterdir()} == {
        f"{vo}-2026-11.{form}" for vo in ("cms", "icecube", "ligo") for form in ("html", "csv")
    }
    assert command(told, site, "statement", "--month", "2026-11", "--vo", "atlas") == 1
    assert "there are cms, icecube, ligo" in capsys.readouterr().err


def test_a_run_is_told_as_json(world: World) -> None:
    world.live(steady())
    world.vos = ("cms", "icecube")
    report = world.run(END + HOUR)
    data = json.loads(json.dumps(as_data(report)))
    assert data["closed"] == dict(report.closed)
    assert data["closed"]["new"] == data["delivered"]["sent"] > 0
    assert (data["waiting"], data["errors"]) == ({"held": data["closed"]["held"]}, [])


def test_a_run_without_a_cloud_says_so(world: World, site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(world, site, "run") == 1
    assert "clouds.yaml has no usable entry 'nowhere'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_used_is_told(world: World) -> None:
    world.settings.folder.parent.mkdir(parents=True, exist_ok=True)
    world.settings.folder.write_text("in the way")
    with pytest.raises(AccountingError, match="cannot be kept there"):
        world.run(END)


def test_the_meter_says_what_is_wrong_with_its_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert openstack_meter.main(["-c", str(tmp_path / "none")]) == 1
    config = tmp_path / "ProbeConfig"
    config.write_text(f'<ProbeConfiguration SiteFile="{tmp_path}/none.yml"/>')
    assert openstack_meter.main(["-c", str(config)]) == 1
    errors = capsys.readouterr().err
    assert "cannot read the ProbeConfig" in errors
    assert "none.yml" in errors
    assert "Traceback" not in errors


def test_the_shipped_script_runs() -> None:
    script = ROOT / "probes/openstack/openstack_meter"
    done = subprocess.run(
        [sys.executable, str(script), "--help"], capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert "one run, told by a ProbeConfig" in done.stdout


def test_a_day_is_a_time() -> None:
    assert iso(BASE) == "2026-11-22T00:00:00Z"
    assert BASE % DAY == 0
