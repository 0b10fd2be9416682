"""What ``make release`` builds: whole, with sums that fit, and a wheel and a collection that work once installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osg_site_iaas import __version__

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def sh(*words: object, **arguments: object) -> str:
    done = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **arguments,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a clone, so that changes in this tree are in nobody's way."""
    clone = tmp_path_factory.mktemp("clone") / "tree"
    sh("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
    out = tmp_path_factory.mktemp("release")
    sh(sys.executable, clone / "scripts/release.py", out, cwd=clone)
    return out


def test_everything_is_there_and_the_sums_fit(release: Path) -> None:
    names = {path.name for path in release.iterdir()}
    assert {
        f"osg_site_iaas-{__version__}-py3-none-any.whl", f"osg-site_iaas-{__version__}.tar.gz",
        f"osg-site-iaas-{__version__}.tar.gz", "sbom.cdx.json", "SHA256SUMS",
    } <= names  # fmt: skip
    assert sum(name.endswith(".noarch.rpm") for name in names) == 7
    assert "FAILED" not in sh("sha256sum", "--check", "SHA256SUMS", cwd=release)
    assert len((release / "SHA256SUMS").read_text().splitlines()) == len(names) - 1
    bill = json.loads((release / "sbom.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == __version__
    assert "openstacksdk" in {one["name"] for one in bill["components"]}


def test_the_wheel_and_the_collection_work_from_where_they_were_installed(
    release: Path, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path / "lib"),
        "LC_ALL": "C.UTF-8",
    }
    (wheel,) = release.glob("*.whl")
    sh(
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        tmp_path / "lib",
        wheel,
    )
    where = "import osg_site_iaas; print(osg_site_iaas.__file__)"
    assert str(tmp_path / "lib") in sh(sys.executable, "-c", where, env=environment, cwd=tmp_path)
    told = sh(sys.executable, tmp_path / "lib/bin/osg-site-iaas", "--version", env=environment, cwd=tmp_path)
    assert told.strip() == f"osg-site-iaas {__version__}"
    shutil.copy(ROOT / "examples/complete.yml", tmp_path / "site.yml")
    sh(sys.executable, tmp_path / "lib/bin/osg-site-iaas", "check", "site.yml", env=environment, cwd=tmp_path)
    (collection,) = release.glob("osg-site_iaas-*.tar.gz")
    sh(
        BIN / "ansible-galaxy",
        "collection",
        "install",
        "--offline",
        "-p",
        tmp_path / "c",
        collection,
        env=environment,
        cwd=tmp_path,
    )
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(tmp_path / "c")
    assert "site_iaas.site" in sh(BIN / "ansible-doc", "-l", "osg.site_iaas", env=environment, cwd=tmp_path)
