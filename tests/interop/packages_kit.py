"""What `make release` builds of the last commit, its RPMs in a root, and EL9's Python with EL9's libraries."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from osg_site_iaas import __version__
from osg_site_iaas.sandbox import debian_root, folders

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/packages.md"
NEEDED = ("rpmbuild", "rpm", "rpmsign", "rpmlint", "rpm2cpio", "cpio", "gpg")
LIBRARY, EC2 = "python3-osg-site-iaas", "osg-site-iaas-ec2"
SITE_PACKAGES = "usr/lib/python3.9/site-packages"
KEY = "release@example.org"


def sh(*words: object, **arguments: Any) -> str:
    """What a command says, errors and all; AssertionError with it unless the command ends well."""
    done = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
        **arguments,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@dataclass(frozen=True)
class Release:
    """The files of a release, and the public key by which they are signed."""

    folder: Path
    key: Path
    home: dict[str, str]  # the environment of the GnuPG that signed

    @property
    def rpms(self) -> dict[str, Path]:
        """The packages by their names."""
        return {path.name.split(f"-{__version__}-")[0]: path for path in self.folder.glob("*.noarch.rpm")}


def build(clone: Path, out: Path, *words: str, **environment: str) -> str:
    """`make release`, of a clone: what this tree has changed is in nobody's way."""
    sh("git", "clone", "--quiet", "--no-hardlinks", ROOT, clone)
    command = (sys.executable, clone / "scripts/release.py", out, *words)
    return sh(*command, cwd=clone, env={**os.environ, **environment})


@pytest.fixture(scope="session")
def release(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Release]:
    """A release of the last commit, signed by a key that nobody else has."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.fail(f"missing on this machine: {', '.join(missing)}", pytrace=False)
    home = tempfile.mkdtemp(prefix="gpg-")  # short: an agent listens in it
    environment = {"GNUPGHOME": home}
    gpg = ("gpg", "--quiet", "--batch", "--homedir", home)
    try:
        sh(*gpg, "--passphrase", "", "--quick-generate-key", f"Release <{KEY}>", "rsa2048", "sign", "never")
        out = tmp_path_factory.mktemp("release")
        build(tmp_path_factory.mktemp("clone") / "tree", out, "--sign", KEY, **environment)
        key = tmp_path_factory.mktemp("key") / "key.asc"
        key.write_text(sh(*gpg, "--armor", "--export", KEY))
        yield Release(out, key, environment)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home, ignore_errors=True)


def install(rpms: dict[str, Path], root: Path) -> Path:
    """All packages into a root by rpm; what they require of others is not there, nor is EL."""
    if os.geteuid() != 0:
        pytest.fail("rpm installs into a root of its own only as root", pytrace=False)
    (root / "etc").mkdir(parents=True, exist_ok=True)
    # gratia-probe-common, which is OSG's, makes the probe's group
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ngratia:x:990:\n")
    sh("rpm", "--root", root, "--initdb")
    told = sh("rpm", "--root", root, "-i", "--nosignature", "--nodeps", "--noscripts", *rpms.values())
    # Debian's rpm warns each time that Debian has other packages
    assert [line for line in told.splitlines() if not line.startswith("rpm: ")] == []
    return root


@pytest.fixture(scope="session")
def installed(release: Release, debian11: Path) -> Iterator[Path]:
    """The packages in a root, which lies in Debian 11's: its Python 3.9 can run what is in it."""
    root = Path(tempfile.mkdtemp(prefix="rpms-", dir=debian11 / "srv"))
    root.chmod(0o755)
    yield install(release.rpms, root)
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture(scope="session")
def debian11() -> Path:
    """Debian 11 with its Python, made once and kept."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.fail("this needs root and debootstrap", pytrace=False)
    target = folders.cache() / "python39"
    with folders.only_one(target.with_suffix(".lock"), lambda: None):
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            mirror, _ = debian_root._mirrors()
            words = ["debootstrap", "--variant=minbase", "--include=python3", "bullseye"]
            command = ["unshare", "--mount", "--propagation", "private", *words, str(target / "root"), mirror]
            subprocess.run(command, check=True)
            (target / "complete").touch()
    return target / "root"


def rows() -> list[list[str]]:
    """The page's table: what is required, of, least version, repository, EL9, EL10, PyPI."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    found = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return [row for row in found if len(row) == 7]


def wanted(least: bool, *kinds: str) -> list[str]:
    """What the page names for some packages, as EL9 has it or at the least version."""
    chosen = [row for row in rows() if row[1] in kinds and row[6]]
    return [f"{row[6].split('==')[0]}=={row[2]}" if least else row[6] for row in chosen]


@dataclass
class Python39:
    """The Python of Debian 11, with the libraries that the page names for some packages, and no others."""

    root: Path
    folder: Path  # in the root
    requirements: list[str]

    @property
    def libraries(self) -> str:
        return "/" + str(self.folder.relative_to(self.root))

    def inside(self, path: Path) -> str:
        """A path as this Python sees it."""
        return "/" + str(path.relative_to(self.root))

    def command(self, *words: object) -> list[str]:
        return ["chroot", str(self.root), "/usr/bin/python3", *map(str, words)]

    def environment(self, site: Path, **more: str) -> dict[str, str]:
        """With the package in the site-packages of an installed root."""
        return {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": "/root",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONPATH": f"{self.inside(site / SITE_PACKAGES)}:{self.libraries}",
            **more,
        }

    def versions(self) -> dict[str, str]:
        """What is installed there, by its name in small letters."""
        script = (
            "import importlib.metadata as m, json, sys; sys.path.insert(0, sys.argv[1]);"
            "print(json.dumps([sys.version, {d.metadata['Name'].lower(): d.version for d in m.distributions()}]))"
        )
        version, found = json.loads(sh(*self.command("-c", script, self.libraries)))
        assert version.startswith("3.9.")
        return dict(found)


_MADE: dict[tuple[str, bool], Python39] = {}


def python39(root: Path, owner: str, *, least: bool = False) -> Python39:
    """What a package requires, as EL9 has it or at the least version, for Python 3.9."""
    if (owner, least) not in _MADE:
        kinds = ("library",) if owner == LIBRARY else ("library", "ec2")
        place = Path(tempfile.mkdtemp(prefix="libraries-", dir=root / "srv"))
        place.chmod(0o755)
        names = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux1_x86_64", "any")
        words = ["install", "--quiet", "--target", str(place), "--python-version=3.9", "--implementation=cp"]
        words += ["--only-binary=:all:", *(f"--platform={name}" for name in names)]
        # pkg_resources, which some of these still import, is a package of its own on EL
        needed = [*wanted(least, *kinds), "setuptools<70"]
        subprocess.run([sys.executable, "-m", "pip", *words, *needed], check=True, capture_output=True)
        _MADE[owner, least] = Python39(root, place, needed)
    return _MADE[owner, least]


@pytest.fixture(scope="session", autouse=True)
def no_libraries_are_left() -> Iterator[None]:
    yield
    for one in _MADE.values():
        shutil.rmtree(one.folder, ignore_errors=True)
