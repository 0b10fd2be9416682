"""The RPMs: built, looked at by rpmlint, installed into a root by rpm, and run from their files there."""

from __future__ import annotations

import configparser
import json
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


def install(packages, root):
    """All packages into a root by rpm; what they require of others is not there, nor is EL."""
    if os.geteuid() != 0:
        pytest.fail("rpm installs into a root of its own only as root", pytrace=False)
    (root / "etc").mkdir()
    # gratia-probe-common, which is OSG's, makes the probe's group
    (root / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\ngratia:x:990:\n")
    sh("rpm", "--root", root, "--initdb")
    told = sh("rpm", "--root", root, "-i", "--nosignature", "--nodeps", "--noscripts", *packages.values())
    # Debian's rpm warns each time that Debian has other packages
    assert [line for line in told.splitlines() if not line.startswith("rpm: ")] == []
    return root


@pytest.fixture(scope="module")
def installed(packages, tmp_path_factory):
    return install(packages, tmp_path_factory.mktemp("root"))


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


def table():
    """The page's rows: what is required, of, least, repository, EL9, EL10, PyPI."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in PAGE.read_text().splitlines()]
    return [row for row in rows if len(row) == 7 and row[0].startswith("`")]


def test_every_version_on_the_page_is_marked_with_how_it_is_known():
    marks = set(re.findall(r"^\| (\w+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE))
    assert {"ubi", "alma", "epel", "rdo", "osg"} <= marks
    for row in table():
        for cell in row[4:6]:
            for version in re.split(r"[,;] ", cell):
                assert version == "not verified" or re.search(r"\d \(|too old \(", version), row
                assert set(re.findall(r"\((\w+)\)", version)) <= marks, row


def test_each_el_has_what_is_required_in_time():
    for name, _, least, _, *els, pypi in table():
        for cell in els:
            there = [digits(one) for one in re.findall(r"(?<![\w.])(\d+(?:\.\d+)*)", cell)]
            assert "not verified" in cell or max(there) >= digits(least or "0"), (name, cell)
        assert not pypi or digits(pypi.split("==")[1]) in [
            digits(one) for one in re.findall(r"(\d+(?:\.\d+)*) \(", els[0])
        ], name


def digits(version):
    return [int(part) for part in version.split(".")]


def test_the_collection_asks_for_the_ansible_that_the_page_names():
    (least,) = [row[2] for row in table() if row[0] == "`ansible-core`"]
    assert f"(ansible-core >= {least})" in SPEC.read_text()
    assert f'requires_ansible: ">={least}.0"' in (ROOT / "meta/runtime.yml").read_text()
    for role in (ROOT / "roles").glob("*/meta/main.yml"):
        assert f'min_ansible_version: "{least}"' in role.read_text(), role


def test_nothing_but_what_the_page_names_is_missing_for_an_installation(packages, tmp_path):
    sh("rpm", "--root", tmp_path, "--initdb")
    asked = ["rpm", "--root", tmp_path, "-i", "--test", "--nosignature", *packages.values()]
    told = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    missing = set(re.findall(r"^\s\(?(\S+).* is needed by ", told, re.MULTILINE))
    assert {"python3-jsonschema", "gratia-probe-common"} <= missing, told
    page = PAGE.read_text()
    everywhere = {"/bin/sh", "/usr/bin/python3", "python(abi)"}
    assert [name for name in missing - everywhere if f"`{name}`" not in page] == []
    assert [name for name in missing if "osg-site-iaas" in name] == []


def test_what_lies_there_is_what_was_packed_with_its_owners_and_modes(installed):
    assert sh("rpm", "--root", installed, "-Va", "--nodeps", "--noscripts") == ""
    owner = sh("stat", "-c", "%u %g %a", installed / "etc/gratia/openstack/ProbeConfig").split()
    assert owner == ["0", "990", "640"]


def test_systemd_makes_the_users_and_folders_that_the_units_name(installed, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(installed / "usr/lib", root / "usr/lib", ignore=shutil.ignore_patterns("python*"))
    (root / "etc").mkdir()
    sh("systemd-sysusers", "--root", root)
    users = {line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()}
    groups = {line.split(":")[0] for line in (root / "etc/group").read_text().splitlines()}
    for unit in (root / "usr/lib/systemd/system").glob("*.service"):
        user, group = (re.search(rf"^{word}=(.+)$", unit.read_text(), re.M)[1] for word in ("User", "Group"))
        # the front is Keystone's user, whom Keystone's package makes
        assert user in users | {"keystone"}, unit.name
        assert group in groups | {"keystone"}, unit.name
    sh("systemd-tmpfiles", "--root", root, "--create", "--prefix=/etc/osg", "--prefix=/var/lib/osg-site-iaas")
    assert oct((root / "etc/osg/site-iaas/secrets").stat().st_mode)[-3:] == "700"


def test_every_file_that_a_role_puts_on_a_host_is_in_the_collections_package(installed):
    collection = installed / "usr/share/ansible/collections/ansible_collections/osg/site_iaas"
    for kept in ("packaging/systemd", "probes", "roles", "playbooks"):
        there = {path.relative_to(collection) for path in (collection / kept).rglob("*") if path.is_file()}
        asked = {path.relative_to(ROOT) for path in (ROOT / kept).rglob("*") if path.is_file()}
        assert {path for path in asked if path.suffix != ".pyc"} == there


def test_ansible_reads_each_role_from_there(installed, tmp_path):
    collections = installed / "usr/share/ansible/collections"
    environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
    told = sh(
        Path(sys.executable).parent / "ansible-doc", "-t", "role", "--json", "-l", "osg.site_iaas",
        env=environment, cwd=tmp_path,
    )  # fmt: skip
    roles = {path.name for path in (ROOT / "roles").iterdir()}
    assert {f"osg.site_iaas.{role}" for role in roles} <= set(json.loads(told[told.index("{") :])), told


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
def test_commands_run_from_the_installed_files(installed, tmp_path, command, told):
    program, *words = command.split()
    words = [str(next(installed.glob(f"{Path(word).parent}*/{Path(word).name}"), word)) for word in words]
    there = installed / "usr/lib/python3.9/site-packages"
    where = "import osg_site_iaas; print(osg_site_iaas.__file__)"
    environment = {"PYTHONPATH": str(there), "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    assert str(there) in sh(sys.executable, "-c", where, env=environment, cwd=tmp_path)
    assert told in sh(sys.executable, installed / program, *words, env=environment, cwd=tmp_path)


def test_ansible_finds_the_installed_collection(installed, tmp_path):
    environment = {
        "ANSIBLE_COLLECTIONS_PATH": str(installed / "usr/share/ansible/collections"),
        "HOME": str(tmp_path),
        "LC_ALL": "C.UTF-8",
    }
    listed = sh(
        Path(sys.executable).parent / "ansible-galaxy", "collection", "list", env=environment, cwd=tmp_path
    )
    assert re.search(rf"osg\.site_iaas +{re.escape(__version__)}", listed), listed


def test_what_is_erased_leaves_nothing_but_what_was_written_since(packages, tmp_path):
    root = install(packages, tmp_path)
    (root / "etc/osg/site-iaas/site.yml").write_text("version: 1\n")
    config = root / "etc/gratia/openstack/ProbeConfig"
    config.write_text(config.read_text().replace('EnableProbe="0"', 'EnableProbe="1"'))
    sh("rpm", "--root", root, "-e", "--nodeps", "--noscripts", *packages)
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    ours = {
        name for name in left if "rpm" not in name.split("/")[-2] and name not in ("etc/group", "etc/passwd")
    }
    assert ours == {"etc/osg/site-iaas/site.yml", "etc/gratia/openstack/ProbeConfig.rpmsave"}
