"""The RPMs: built, looked at by rpmlint, taken apart, and run from their files."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osg_site_iaas import __version__

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "packaging/rpm/osg-site-iaas.spec"
PAGE = ROOT / "docs/packages.md"
NEEDED = ("rpmbuild", "rpm", "rpmlint", "rpm2cpio", "cpio")


def sh(*words, **arguments):
    result = subprocess.run(
        [str(word) for word in words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        **arguments,
    )
    assert result.returncode == 0, result.stdout
    return result.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The RPMs of the last commit, by name."""
    missing = [program for program in NEEDED if shutil.which(program) is None]
    if missing:
        pytest.fail(f"missing on this machine: {', '.join(missing)}", pytrace=False)
    folder = tmp_path_factory.mktemp("rpms")
    sh(ROOT / "packaging/rpm/build", folder, env={**os.environ, "PYTHON": sys.executable})
    return {path.name.split(f"-{__version__}-")[0]: path for path in folder.glob("*.noarch.rpm")}


@pytest.fixture(scope="module")
def unpacked(packages, tmp_path_factory):
    """A root with the files of all packages."""
    root = tmp_path_factory.mktemp("root")
    for path in packages.values():
        with subprocess.Popen(["rpm2cpio", path], stdout=subprocess.PIPE) as archive:
            sh("cpio", "-idm", "--quiet", stdin=archive.stdout, cwd=root)
    return root


def files(package):
    return sh(
        "rpm", "-qp", "--nosignature", "--qf", "[%{FILENAMES} %{FILEMODES:perms}\n]", package
    ).splitlines()


def test_the_spec_has_the_version_of_the_package():
    assert re.search(r"^Version: +(\S+)$", SPEC.read_text(), re.MULTILINE)[1] == __version__


def test_there_is_a_package_for_each_face(packages):
    assert set(packages) == {
        "osg-site-iaas",
        "python3-osg-site-iaas",
        "osg-site-iaas-ec2",
        "osg-site-iaas-front",
        "osg-site-iaas-client",
        "ansible-collection-osg-site_iaas",
        "gratia-probe-openstack",
    }


def test_rpmlint_has_nothing_to_say_that_is_not_meant(packages):
    said = sh("rpmlint", "-c", ROOT / "packaging/rpm/rpmlint.toml", *packages.values())
    assert "0 errors, 0 warnings" in said, said


def test_no_file_is_in_two_packages(packages):
    owners = {}
    for name, path in packages.items():
        for line in files(path):
            file, mode = line.rsplit(" ", 1)
            if not mode.startswith("d"):
                owners.setdefault(file, []).append(name)
    assert {file: names for file, names in owners.items() if len(names) > 1} == {}


def test_secrets_are_for_root_and_settings_of_the_probe_for_its_user(packages):
    modes = dict(line.rsplit(" ", 1) for path in packages.values() for line in files(path))
    assert modes["/etc/osg/site-iaas/secrets"] == "drwx------"
    assert modes["/etc/gratia/openstack/ProbeConfig"] == "-rw-r-----"
    config = sh("rpm", "-qp", "--nosignature", "--configfiles", packages["gratia-probe-openstack"])
    assert config.split() == ["/etc/gratia/openstack/ProbeConfig"]


def test_everything_that_is_required_is_on_the_page():
    asked = re.findall(r"^(?:Requires|Recommends): +\(?([\w%{}.-]+)", SPEC.read_text(), re.MULTILINE)
    page = PAGE.read_text()
    assert [name for name in asked if "%{name}" not in name and f"`{name}`" not in page] == []


def test_the_page_has_the_least_versions_of_the_libraries():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    known = {"pyyaml": "pyyaml", "pyjwt": "jwt"}
    for line in config["options"]["install_requires"].split():
        library, least = line.lower().split(">=")
        assert re.search(
            rf"`python3-{known.get(library, library)}` \| library \| {least} \|", PAGE.read_text()
        ), line


@pytest.mark.parametrize(
    "command, told",
    [
        ("usr/bin/osg-site-iaas --version", f"osg-site-iaas {__version__}"),
        ("usr/bin/osg-site-iaas check usr/share/doc/osg-site-iaas/minimal.yml", ""),
        ("usr/bin/osg-site-iaas plan --help", "Show what would change"),
        ("usr/bin/osg-iaas --help", "usage: osg-iaas"),
        ("usr/bin/osg-site-iaas-ec2 --help", "usage: osg-site-iaas-ec2"),
        ("usr/bin/osg-site-iaas-front --help", "usage: osg-site-iaas-front"),
        ("usr/share/gratia/openstack/openstack_meter --version", __version__),
    ],
)
def test_commands_run_from_the_installed_files(unpacked, tmp_path, command, told):
    program, *words = command.split()
    words = [str(next(unpacked.glob(f"{Path(word).parent}*/{Path(word).name}"), word)) for word in words]
    there = unpacked / "usr/lib/python3.9/site-packages"
    where = "import osg_site_iaas; print(osg_site_iaas.__file__)"
    environment = {"PYTHONPATH": str(there), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert str(there) in sh(sys.executable, "-c", where, env=environment, cwd=tmp_path)
    assert told in sh(sys.executable, unpacked / program, *words, env=environment, cwd=tmp_path)


def test_ansible_finds_the_installed_collection(unpacked, tmp_path):
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(unpacked / "usr/share/ansible/collections"),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    listed = sh(
        Path(sys.executable).parent / "ansible-galaxy", "collection", "list", env=environment, cwd=tmp_path
    )
    assert re.search(rf"osg\.site_iaas +{re.escape(__version__)}", listed), listed
