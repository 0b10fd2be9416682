"""Each RPM's modules on Python 3.9, with the libraries that docs/packages.md names, as EL9 has them or the least."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.interop.packages_kit import EC2, LIBRARY, SITE_PACKAGES, Python39, python39

pytestmark = pytest.mark.timeout(1800)
DOOR = re.compile(
    r"osg_site_iaas\.ec2\."
)  # in the library's package, and imported with what the door requires
SANDBOX = re.compile(
    r"osg_site_iaas\.(sandbox\b.*|cli\.(sandbox|demo))$"
)  # wants 3.11, and is no part of a site
# Each module on its own, as a command would import it: nothing that another has imported helps.
EACH = """
import json, subprocess, sys
failed = {}
for name in json.load(sys.stdin):
    done = subprocess.run([sys.executable, "-c", "import " + name], capture_output=True, text=True)
    if done.returncode:
        failed[name] = done.stderr.strip().splitlines()[-1]
print(json.dumps(failed))
"""
ALL = """
import importlib, json, sys
failed = {}
for name in json.load(sys.stdin):
    try:
        importlib.import_module(name)
    except Exception as error:
        failed[name] = repr(error)
print(json.dumps(failed))
"""
SETS = [
    pytest.param((owner, least), id=f"{owner}, {what}", marks=marks)
    for least, what, marks in ((False, "as EL9 has it", ()), (True, "the least", pytest.mark.long))
    for owner in (LIBRARY, EC2)
]


@pytest.fixture(scope="module", params=SETS)
def python(debian11: Path, request: pytest.FixtureRequest) -> Python39:
    owner, least = request.param
    return python39(debian11, owner, least=least)


@pytest.fixture
def names(installed: Path, request: pytest.FixtureRequest) -> list[str]:
    """The modules that are to be imported with these libraries."""
    (owner, _) = request.node.callspec.params["python"]
    site = installed / SITE_PACKAGES
    all_ = {
        ".".join(path.relative_to(site).with_suffix("").parts).removesuffix(".__init__")
        for path in site.rglob("*.py")
    }
    # what only the door's package has, and its part of the library
    door = {name for name in all_ if DOOR.match(name) or name.startswith("osg_site_iaas.cli.ec2_")}
    found = door if owner == EC2 else all_ - door
    return sorted(name for name in found if not SANDBOX.match(name) and not name.endswith("__main__"))


def failures(python: Python39, site: Path, how: str, names: list[str]) -> dict[str, str]:
    """What could not be imported, and why."""
    done = subprocess.run(
        python.command("-c", how),
        input=json.dumps(names), capture_output=True, text=True, check=True, env=python.environment(site),
    )  # fmt: skip
    return dict(json.loads(done.stdout))


def test_every_module_of_a_package_can_be_imported(
    python: Python39, installed: Path, names: list[str]
) -> None:
    assert len(names) > 20
    assert failures(python, installed, ALL, names) == {}


@pytest.mark.long
def test_each_of_them_can_be_imported_first(python: Python39, installed: Path, names: list[str]) -> None:
    assert failures(python, installed, EACH, names) == {}


def test_the_libraries_are_those_of_the_page_and_what_these_require(python: Python39) -> None:
    """Nothing of ours is imported by the grace of a library that no package of ours asks for."""
    there = python.versions()
    asked = dict(one.lower().split("==") for one in python.requirements if "==" in one)
    assert {name: there[name] for name in asked} == asked
    assert "osg-site-iaas" not in there
    script = (
        "import importlib.metadata as m, json, re, sys; sys.path.insert(0, sys.argv[1]);"
        "print(json.dumps({d.metadata['Name'].lower(): [re.match(r'[\\w.-]+', r)[0].lower() for r in d.requires or ()]"
        " for d in m.distributions(path=[sys.argv[1]])}))"
    )
    done = subprocess.run(
        python.command("-c", script, python.libraries), capture_output=True, text=True, check=True
    )
    requires = {plain(name): set(map(plain, of)) for name, of in json.loads(done.stdout).items()}
    reached, ways = set(), [plain(name) for name in (*asked, "setuptools")]
    while ways:
        name = ways.pop()
        if name in requires and name not in reached:
            reached.add(name)
            ways.extend(requires[name])
    assert set(requires) == reached


def plain(name: str) -> str:
    """As PyPI compares names."""
    return re.sub(r"[-_.]+", "-", name).lower()
