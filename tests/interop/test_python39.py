"""Each RPM's modules on Python 3.9, with the libraries that docs/packages.md names, as EL9 has them or the least."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osg_site_iaas.sandbox import debian_root, folders

pytestmark = pytest.mark.timeout(1800)
ROOT = Path(__file__).parents[2]
DOOR = re.compile(
    r"osg_site_iaas\.ec2\."
)  # in the library's package, and imported with what the door requires
SANDBOX = re.compile(
    r"osg_site_iaas\.(sandbox\b.*|cli\.(sandbox|demo))$"
)  # wants 3.11, and is no part of a site
LIBRARY, EC2 = "python3-osg-site-iaas", "osg-site-iaas-ec2"
# Each module on its own, as a command would import it: nothing that another has imported helps.
EACH = """
import json, subprocess, sys
failed = {}
start = "import sys; sys.path[:0] = ['/srv/%(place)s/own', '/srv/%(place)s/libraries']; import "
for name in json.load(sys.stdin):
    done = subprocess.run([sys.executable, "-c", start + name], capture_output=True, text=True)
    if done.returncode:
        failed[name] = done.stderr.strip().splitlines()[-1]
print(json.dumps([sys.version, failed]))
"""
ALL = """
import importlib, json, sys
sys.path[:0] = ["/srv/%(place)s/own", "/srv/%(place)s/libraries"]
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps([sys.version, failed]))
"""


@pytest.fixture(scope="module")
def root() -> Path:
    """Debian 11 with its Python, made once and kept."""
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.fail("this needs root and debootstrap", pytrace=False)
    target = folders.cache() / "python39"
    with folders.only_one(target.with_suffix(".lock"), lambda: None):
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            mirror, _ = debian_root._mirrors()
            words = [
                "debootstrap",
                "--variant=minbase",
                "--include=python3",
                "bullseye",
                str(target / "root"),
                mirror,
            ]
            subprocess.run(["unshare", "--mount", "--propagation", "private", *words], check=True)
            (target / "complete").touch()
    return target / "root"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of each RPM of the last commit, by the RPM's name."""
    made, out = tmp_path_factory.mktemp("rpms"), {}
    environment = {**os.environ, "PYTHON": sys.executable}
    subprocess.run([ROOT / "packaging/rpm/build", made], env=environment, check=True, capture_output=True)
    for name in (LIBRARY, EC2):
        (path,) = made.glob(f"{name}-[0-9]*.noarch.rpm")
        out[name] = tmp_path_factory.mktemp(name)
        with subprocess.Popen(["rpm2cpio", path], stdout=subprocess.PIPE) as archive:
            subprocess.run(["cpio", "-idm", "--quiet"], stdin=archive.stdout, cwd=out[name], check=True)
    return out


def wanted(least: bool, *kinds: str) -> list[str]:
    """What the page names for some packages, as EL9 has it or at the least version."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (ROOT / "docs/packages.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    chosen = [row for row in rows if len(row) == 7 and row[1] in kinds and row[6]]
    return [f"{row[6].split('==')[0]}=={row[2]}" if least else row[6] for row in chosen]


def modules(files: Path) -> list[str]:
    site = files / "usr/lib/python3.9/site-packages"
    names = (".".join(path.relative_to(site).with_suffix("").parts) for path in site.rglob("*.py"))
    return sorted(
        name.removesuffix(".__init__")
        for name in names
        if not SANDBOX.match(name) and not name.endswith("__main__")
    )


SETS = [
    pytest.param((owner, least), id=f"{owner}, {what}", marks=marks)
    for least, what, marks in ((False, "as EL9 has it", ()), (True, "the least", pytest.mark.long))
    for owner in (LIBRARY, EC2)
]


@pytest.fixture(scope="module", params=SETS)
def installed(root: Path, packages: dict[str, Path], request: pytest.FixtureRequest) -> tuple[str, list[str]]:
    """Where a package's files and libraries, and no others, now lie in the root; and its modules."""
    owner, least = request.param
    owners, kinds = ((LIBRARY,), ("library",)) if owner == LIBRARY else ((LIBRARY, EC2), ("library", "ec2"))
    place = root / "srv" / (f"{owner}-least" if least else owner)
    shutil.rmtree(place, ignore_errors=True)
    for one in owners:
        shutil.copytree(packages[one] / "usr/lib/python3.9/site-packages", place / "own", dirs_exist_ok=True)
    platforms = [
        f"--platform={name}"
        for name in ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux1_x86_64", "any")
    ]
    words = ["install", "--quiet", "--target", str(place / "libraries")]
    words += ["--python-version=3.9", "--implementation=cp", "--only-binary=:all:", *platforms]
    # pkg_resources, which some of these still import, is a package of its own on EL
    words += [*wanted(least, *kinds), "setuptools<70"]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    names = [name for name in modules(packages[LIBRARY]) if bool(DOOR.match(name)) == (owner == EC2)]
    return place.name, names + (modules(packages[EC2]) if owner == EC2 else [])


def imported(root: Path, how: str, place: str, names: list[str]) -> dict[str, str]:
    """What could not be imported, and why."""
    done = subprocess.run(
        ["chroot", root, "/usr/bin/python3", "-c", how % {"place": place}],
        input=json.dumps(names),
        capture_output=True, text=True, check=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    version, failed = json.loads(done.stdout)
    assert version.startswith("3.9.")
    return dict(failed)


def test_every_module_of_a_package_can_be_imported(root: Path, installed: tuple[str, list[str]]) -> None:
    place, names = installed
    assert len(names) > 20
    assert imported(root, ALL, place, names) == {}


@pytest.mark.long
def test_each_of_them_can_be_imported_first(root: Path, installed: tuple[str, list[str]]) -> None:
    assert imported(root, EACH, *installed) == {}
