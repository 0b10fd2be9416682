"""systemd's units as they are shipped: hardened, with users of their own, and starting programs that there are."""

from __future__ import annotations

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "packaging/systemd"
SERVICES = sorted(UNITS.glob("*.service"))
MOST_EXPOSED = 3.0
OTHERS = {"keystone"}  # users that somebody else's package makes


def settings(unit: Path, key: str) -> list[str]:
    return re.findall(rf"^{key}=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)


def name(path: Path) -> str:
    return path.name


@pytest.mark.parametrize("unit", SERVICES, ids=name)
def test_a_service_is_exposed_to_little(unit: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing on this machine: install systemd", pytrace=False)
    words = ["systemd-analyze", "security", "--offline=true", str(unit)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", said.stdout)
    assert found, said.stderr
    assert float(found[1]) <= MOST_EXPOSED, said.stdout


@pytest.mark.parametrize("unit", SERVICES, ids=name)
def test_a_service_runs_as_a_user_that_a_package_makes(unit: Path) -> None:
    (user,) = settings(unit, "User")
    made = {
        tuple(line.split()[:2])
        for file in (UNITS / "sysusers.d").glob("*.conf")
        for line in file.read_text(encoding="utf-8").splitlines()
    }
    assert user != "root"
    assert ("u", user) in made or user in OTHERS
    assert {("g", group) for group in settings(unit, "SupplementaryGroups")} <= made


@pytest.mark.parametrize("unit", SERVICES, ids=name)
def test_a_service_starts_a_program_that_knows_its_options(unit: Path) -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    scripts = dict(
        line.split(" = ") for line in config["options.entry_points"]["console_scripts"].strip().splitlines()
    )
    for command in settings(unit, "ExecStart") + settings(unit, "ExecStartPre"):
        program, *words = shlex.split(command)
        if program.startswith("/"):
            assert program == "/usr/share/gratia/openstack/openstack_meter"
            continue
        module = scripts[program].partition(":")[0]
        group = [word for word in words[:1] if not word.startswith("-")]
        help_ = subprocess.run(
            [sys.executable, "-m", module, *group, "--help"],
            capture_output=True,
            text=True,
            check=True,
            cwd=ROOT,
        ).stdout
        for option in (word for word in words if word.startswith("--")):
            assert option in help_, f"{program} has no {option}"


def test_every_timer_has_its_service() -> None:
    for timer in UNITS.glob("*.timer"):
        assert timer.with_suffix(".service").exists(), timer.name


@pytest.mark.parametrize("unit", SERVICES, ids=name)
def test_no_secret_is_readable_by_a_service_but_its_own(unit: Path) -> None:
    """Secrets come as credentials, which systemd reads as root; the folders that hold them are root's alone."""
    text = unit.read_text(encoding="utf-8")
    assert "OS_CLIENT_CONFIG_FILE=%d/clouds.yaml" in text or "User=keystone" in text
    for _, path in (one.split(":") for one in settings(unit, "LoadCredential")):
        assert path.startswith(
            ("/etc/osg/site-iaas/clouds/", "/etc/osg/site-iaas/secrets/", "/etc/grid-security/")
        )
        assert path not in " ".join(settings(unit, "ExecStart"))


def test_the_folders_of_secrets_are_roots_alone() -> None:
    lines = (UNITS / "tmpfiles.d/osg-site-iaas.conf").read_text(encoding="utf-8").splitlines()
    modes = {line.split()[1]: line.split()[2:5] for line in lines if line.startswith("d ")}
    assert (
        modes["/etc/osg/site-iaas/clouds"] == modes["/etc/osg/site-iaas/secrets"] == ["0700", "root", "root"]
    )
    assert modes["/etc/osg/site-iaas"] == ["0750", "root", "osg-site-iaas"]


def test_systemd_makes_every_user_and_group(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    files = sorted((UNITS / "sysusers.d").glob("*.conf"))
    words = ["systemd-sysusers", f"--root={tmp_path}", *map(str, files)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    made = {line.split(":")[0] for line in (tmp_path / "etc/passwd").read_text(encoding="utf-8").splitlines()}
    asked = {
        line.split()[1]
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("u ")
    }
    assert asked <= made, said.stderr
