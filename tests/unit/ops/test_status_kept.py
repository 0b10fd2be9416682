"""When the next page is due, what the doctor says of a page that is late, and where the history is kept."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import shutil
import stat
from pathlib import Path

import pytest

from osg_site_iaas.cli import status as command
from osg_site_iaas.cli.main import main
from osg_site_iaas.ops import doctor
from osg_site_iaas.ops.finding import FOUND, OK, SKIPPED, Result
from osg_site_iaas.ops.places import Places
from osg_site_iaas.ops.status import history
from osg_site_iaas.ops.status.due import Due, by_calendar, due
from osg_site_iaas.ops.subject import Subject
from tests.status_picture import DAY, HOUR, NOW, picture, samples
from tests.unit.ops.test_doctor_grid import SITE

QUARTER, LATE = 900, 300


class Host:
    """A host's folders, with the timer of the status page enabled."""

    def __init__(self, folder: Path) -> None:
        self.places = Places(
            folder / "etc",
            folder / "state",
            folder / "grid",
            folder / "ProbeConfig",
            folder / "multi-user.target.wants",
        )
        self.data = self.places.state / "status/status.json"
        for path in (self.places.etc, self.data.parent, folder / "timers.target.wants"):
            path.mkdir(parents=True)
        self.timer = folder / "timers.target.wants/osg-site-iaas-status.timer"
        self.timer.touch()
        (self.places.etc / "site.yml").write_text(SITE)

    def look(self, at: int = NOW) -> Result:
        now = dt.datetime.fromtimestamp(at, dt.timezone.utc)
        (result,) = doctor.examine(Subject(self.places.etc / "site.yml", self.places, now), ["page"])
        return result


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize("calendar", ["*:00/15", "*-*-* *:00/15:00"])
def test_the_timers_calendar_says_when_the_next_page_is_due(calendar: str) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing on this machine: install systemd", pytrace=False)
    made = NOW + 200  # 00:30:00, when the timer has just elapsed
    assert by_calendar(calendar, made) == Due(made + QUARTER, made + 2 * QUARTER + LATE)


def test_the_calendar_is_of_the_hosts_time_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "America/Chicago")
    coming = by_calendar("daily", NOW)
    assert coming is not None
    assert dt.datetime.fromtimestamp(coming.next, dt.timezone.utc).hour == 6
    assert coming.stale - coming.next == DAY + LATE


def test_what_is_asked_for_comes_before_the_timer_and_the_past_tells_when_nothing_else_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no systemd
    assert due(NOW, [], every=600) == Due(NOW + 600, NOW + 1200 + LATE)
    assert due(NOW, [NOW - 2 * HOUR, NOW - HOUR, NOW]) is None
    hourly = [NOW - step * HOUR for step in range(6, -1, -1)]
    assert due(NOW, hourly) == Due(NOW + HOUR, NOW + 2 * HOUR + LATE)


def test_the_doctor_finds_a_page_that_its_timer_has_left_behind(host: Host) -> None:
    history.put(host.data, json.dumps(picture().as_data()))
    assert host.look(NOW + 2100).state == OK
    late = host.look(NOW + 5 * HOUR)
    assert late.state == FOUND
    assert "5 h 0 min old" in late.findings[0].what
    assert late.findings[0].where == str(host.data)


def test_the_doctor_knows_pages_of_earlier_versions_too(host: Host) -> None:
    host.data.write_text(json.dumps({"at": NOW}))
    assert host.look(NOW + 30 * 60).state == OK
    assert host.look(NOW + 40 * 60).state == FOUND


def test_the_doctor_finds_that_no_page_was_ever_written_or_that_none_is_wanted(host: Host) -> None:
    assert host.look().state == FOUND
    host.data.write_text("[]")
    assert "cannot be read" in host.look().findings[0].what
    host.timer.unlink()
    assert host.look().state == SKIPPED


def test_the_page_is_looked_for_where_the_units_options_say(host: Host, tmp_path: Path) -> None:
    (host.places.etc / "status.env").write_text(f"OPTIONS=--days 7 --out {tmp_path}/www\n")
    history.put(tmp_path / "www/status.json", json.dumps(picture().as_data()))
    assert host.look().state == OK


def test_the_history_of_before_is_taken_over_once_and_lies_no_more_beside_the_page(tmp_path: Path) -> None:
    out, kept = tmp_path / "www", tmp_path / "state/history/usage.jsonl"
    before = [one for one in samples() if NOW - 30 * DAY < one.at < NOW - DAY]
    history.write(out / "history.jsonl", before)
    after = command._remember(kept, out / "history.jsonl", picture(), 35)
    assert [one.at for one in after] == [*(one.at for one in before), NOW]
    assert history.read(kept) == after
    assert list(out.iterdir()) == []
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    history.write(out / "history.jsonl", before[-2:])  # a backup of before was put back
    later = dataclasses.replace(picture(), at=NOW + QUARTER)
    assert command._remember(kept, out / "history.jsonl", later, 35)[:-1] == after


def test_a_history_never_lies_in_the_folder_that_is_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "site.yml").write_text(SITE)
    words = [
        "status",
        str(tmp_path / "site.yml"),
        "--out",
        str(tmp_path),
        "--history",
        str(tmp_path / "h.jsonl"),
    ]
    assert main(words) == 1
    assert "name another folder with --history" in capsys.readouterr().err


def test_a_page_for_everybody_is_two_files_without_a_word_of_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a cloud that nobody can reach: that is found, and not for everybody."""
    (tmp_path / "site.yml").write_text(SITE)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "none.yaml"))
    words = [
        "status",
        str(tmp_path / "site.yml"),
        "--etc",
        str(tmp_path / "etc"),
        "--state",
        str(tmp_path / "state"),
    ]
    assert main([*words, "--out", str(tmp_path / "all"), "--public", "--every", "15"]) == 0
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["index.html", "status.json"]
    data = json.loads((tmp_path / "all/status.json").read_text())
    assert data["public"] is True
    assert data["next"] is not None
    assert {one["check"] for one in data["results"]} <= {
        "keystone",
        "services",
        "front",
        "ec2",
        "ec2-tls",
        "metadata",
        "caches",
    }
    assert not any(one["said"] or one["findings"] for one in data["results"])
    assert data["findings"] >= 1
    assert "none.yaml" not in (tmp_path / "all/index.html").read_text()
