"""The command on a sandbox that is not running: what it reads, prints and answers."""

from __future__ import annotations

import json

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.sandbox import settings
from tests.unit.sandbox.boxes import box


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A sandbox that was started once, with something in its logs."""
    monkeypatch.setenv("OSG_SITE_IAAS_CACHE", str(tmp_path / "cache"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    made = box(tmp_path / "box")
    settings.save(made)
    made.logs.mkdir()
    for service in ("nova", "glance"):
        made.log(service).write_text("".join(f"{service} line {n}\n" for n in range(30)))
    made.access_log("nova").write_text("not a log of what it said\n")
    return made.folder


def test_env_is_for_the_shell_and_json_for_programs(folder, capsys):
    assert main(["sandbox", "env", "--state", str(folder)]) == 0
    assert f"export OS_CLIENT_CONFIG_FILE={folder}/clouds.yaml\n" in capsys.readouterr().out
    assert main(["sandbox", "env", "--state", str(folder), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["env"]["OS_CLOUD"] == "sandbox"
    assert said["endpoints"]["keystone"].endswith("/v3")
    assert said["endpoints"]["keystone-tls"].startswith("https://")


def test_env_shows_no_secret(folder, capsys):
    main(["sandbox", "env", "--state", str(folder), "--json"])
    said = capsys.readouterr().out
    kept = settings.load(folder)
    assert kept is not None
    assert not [name for name, secret in kept.secrets.items() if secret in said]


def test_status_of_one_that_is_down_is_a_finding(folder, capsys):
    assert main(["sandbox", "status", "--state", str(folder), "--json"]) == 2
    said = json.loads(capsys.readouterr().out)
    assert said["state"] == "down"
    assert {service["state"] for service in said["services"]} == {"down"}


def test_logs_are_the_ends_of_all_or_of_one(folder, capsys):
    assert main(["sandbox", "logs", "--state", str(folder), "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "glance: glance line 28",
        "glance: glance line 29",
        "nova: nova line 28",
        "nova: nova line 29",
    ]
    assert main(["sandbox", "logs", "nova", "--state", str(folder), "-n", "1"]) == 0
    assert capsys.readouterr().out == "nova line 29\n"


def test_a_log_that_is_not_there_is_named_with_those_that_are(folder, capsys):
    assert main(["sandbox", "logs", "heat", "--state", str(folder)]) == 1
    said = capsys.readouterr().err
    assert "no log of 'heat'" in said
    assert "glance, nova" in said


@pytest.mark.parametrize("action", ["env", "logs", "reset"])
def test_one_that_was_never_started_says_how_to_start_it(action, tmp_path, capsys):
    assert main(["sandbox", action, "--state", str(tmp_path / "none")]) == 1
    assert "sandbox up" in capsys.readouterr().err


def test_down_of_what_does_not_run_is_no_error(folder, capsys):
    assert main(["sandbox", "down", "--state", str(folder)]) == 0
    assert "was not running" in capsys.readouterr().out
