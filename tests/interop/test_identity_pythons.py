"""The doors for grid credentials on the oldest and the newest Python that sites have, each with its own Apache.

Debian 11 stands for EL9: its Python is 3.9, and the libraries are those of docs/packages.md at the versions there. Its
libvomsapi, a candidate of 2.1.0, believes FQANs outside their VO, so it is not asked.
Debian 13 is itself: Python 3.13, and its own libraries.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osg_site_iaas.sandbox import debian_root, folders
from osg_site_iaas.sandbox.debian_root import DebianRelease
from tests.interop.packages_kit import wanted

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]
ROOT = Path(__file__).parents[2]
APACHE = ("python3", "apache2", "libapache2-mod-wsgi-py3", "gridsite")
LIBRARIES = (
    "python3-pytest", "python3-hypothesis", "python3-requests", "python3-yaml", "python3-cryptography", "python3-jwt",
    "python3-cheroot", "python3-openstacksdk", "python3-jsonschema", "python3-rich", "libvomsapi1t64",
)  # fmt: skip
PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux1_x86_64", "any")
TESTED = (ROOT / "tests/interop/test_identity_fronts.py", ROOT / "tests/unit/identity")
# What the tests themselves need, and what libraries need on this Python only: pip asks the one that runs it.
TOOLS = (
    "pytest==8.3.5", "hypothesis==6.113.0", "cheroot==10.0.1", "setuptools<70", "exceptiongroup", "tomli",
    "typing_extensions", "importlib-metadata", "zipp",
)  # fmt: skip


def run(release: DebianRelease, path: str = "", without: str = "nothing") -> str:
    """The tests with the release's own Python, in its root; what they said."""
    python = debian_root.ensure(release, lambda _: None)
    (debian_root.path(release) / "root/etc/hosts").write_text("127.0.0.1 localhost\n")
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-rs", "-c", "/dev/null", "--rootdir", str(ROOT), "-p", "no:cacheprovider",
         "-W", "ignore", "-k", f"not {without}", *TESTED],
        cwd=ROOT, capture_output=True, text=True, check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1",
             "PYTHONPATH": f"{ROOT}:{path}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def able() -> None:
    if os.geteuid() != 0 or shutil.which("debootstrap") is None:
        pytest.fail("this needs root and debootstrap", pytrace=False)


def test_python_3_13_takes_proxies_through_both_fronts() -> None:
    said = run(DebianRelease("python313", "trixie", (*APACHE, *LIBRARIES)))
    assert "mod_wsgi" not in said, "Apache's half was left out"


def test_python_3_9_takes_proxies_through_apache_and_says_that_its_own_tls_cannot() -> None:
    release = DebianRelease("python39-apache", "bullseye", APACHE)
    debian_root.ensure(release, lambda _: None)
    libraries = debian_root.path(release) / "root/srv/libraries"
    with folders.only_one(libraries.with_suffix(".lock"), lambda: None):
        platforms = [f"--platform={name}" for name in PLATFORMS]
        words = [
            "--upgrade",
            "--target",
            libraries,
            "--python-version=3.9",
            "--implementation=cp",
            "--only-binary=:all:",
        ]
        subprocess.run(
            [sys.executable, "-m", "pip", "install", "--quiet", *words, *platforms, *wanted("library"), *TOOLS],
            check=True, capture_output=True,
        )  # fmt: skip
    said = run(release, "/srv/libraries", without="by_the_library_too")
    assert "mod_wsgi" not in said, "Apache's half was left out"
    assert "cannot take proxies over TLS" in said
