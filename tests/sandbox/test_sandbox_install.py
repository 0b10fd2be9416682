"""The first `up` on a machine: what happens when the services cannot be installed."""

from __future__ import annotations

import subprocess

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import environment

NOWHERE = "no-such-package-of-osg-site-iaas==1.0 \\\n    --hash=sha256:" + "0" * 64 + "\n"


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache of the test's own, a package index that has nothing, and a lock file that asks for something."""
    lock = tmp_path / "requirements.txt"
    lock.write_text(NOWHERE)
    monkeypatch.setattr(environment, "LOCK_FILE", lock)
    monkeypatch.setenv("OSG_SITE_IAAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    return tmp_path / "cache"


def test_an_install_that_fails_says_why_and_leaves_nothing_half_made(empty_cache):
    with pytest.raises(
        SandboxError, match=r"(?s)could not be installed; pip said:.*no-such-package.*package index"
    ):
        environment.ensure(lambda message: None)
    assert [path.name for path in empty_cache.iterdir() if path.is_dir()] == []


def test_what_is_installed_is_what_is_locked():
    python = environment.ensure(lambda message: None)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "freeze"], capture_output=True, text=True, check=True
    ).stdout
    installed = {
        normal(line.split("==")[0]): line.split("==")[1].strip()
        for line in listed.splitlines()
        if "==" in line
    }
    locked = {normal(p.name): p.version for p in environment.read_lock(environment.LOCK_FILE.read_text())}
    wrong = {
        name: installed[name] for name in installed if name != "pip" and locked.get(name) != installed[name]
    }
    assert wrong == {}
    assert installed["nova"] == "34.0.0"


def normal(name: str) -> str:
    """A distribution's name as all tools compare it."""
    return name.lower().replace("_", "-").replace(".", "-")
