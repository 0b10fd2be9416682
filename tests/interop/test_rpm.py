"""The RPMs: built, looked at by rpmlint, installed into a root by rpm, and run from their files there."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess

import pytest

from tests.interop.packages_kit import PAGE, ROOT, install, rows, sh

SPEC = ROOT / "packaging/rpm/osg-site-iaas.spec"
# the page's names of our packages
OWNERS = {
    "core": "osg-site-iaas",
    "library": "python3-osg-site-iaas",
    "ec2": "osg-site-iaas-ec2",
    "front": "osg-site-iaas-front",
    "client": "osg-site-iaas-client",
    "collection": "ansible-collection-osg-site_iaas",
    "probe": "gratia-probe-openstack",
}
EVERYWHERE = {"/bin/sh", "/usr/bin/python3", "python(abi)"}


@pytest.fixture(scope="module")
def packages(release):
    """The RPMs of the last commit, by name."""
    return release.rpms


def files(package):
    return sh(
        "rpm", "-qp", "--nosignature", "--qf", "[%{FILENAMES} %{FILEMODES:perms}\n]", package
    ).splitlines()


def test_there_is_a_package_for_each_face(packages):
    assert set(packages) == set(OWNERS.values())
    page = PAGE.read_text()
    assert [name for name in packages if f"| `{name}` |" not in page] == []


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


def asked(package, what="requires"):
    """What a built package asks of others than us and rpm, without versions."""
    told = sh("rpm", "-qp", "--nosignature", f"--{what}", package).splitlines()
    names = {re.match(r"\(?(\S+)", line)[1] for line in told if line and not line.startswith("rpm: ")}
    return {
        name
        for name in names - EVERYWHERE
        if "osg-site-iaas" not in name and not name.startswith(("rpmlib(", "config("))
    }


def test_the_table_and_the_packages_say_the_same(packages):
    """Each way: nothing is required that the table lacks, and no row stands there that nothing requires."""
    page = {owner: set() for owner in OWNERS}
    for name, of, *_ in rows():
        name, _, weak = name.partition(" ")
        for owner in of.split(", "):
            if owner != "all":  # python3 itself, which rpm's generator requires of EL's packages
                page[owner].add((name.strip("`"), weak == "(recommended)"))
    spec = {
        owner: {(one, False) for one in asked(packages[name])}
        | {(one, True) for one in asked(packages[name], "recommends")}
        for owner, name in OWNERS.items()
    }
    assert page == spec


def test_the_page_has_the_least_versions_of_the_libraries():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    known = {"pyyaml": "pyyaml", "pyjwt": "jwt"}
    declared = {
        "library": config["options"]["install_requires"],
        "ec2": config["options.extras_require"]["ec2"],
    }
    pairs = [(owner, *line.lower().split(">=")) for owner, text in declared.items() for line in text.split()]
    asked = {(owner, f"`python3-{known.get(name, name)}`", least) for owner, name, least in pairs}
    assert asked == {(row[1], row[0], row[2]) for row in rows() if row[6] and row[1] in declared}
    pypi = {(row[1], row[6].lower().partition("==")[0]) for row in rows() if row[6] and row[1] in declared}
    assert pypi == {(owner, name) for owner, name, _ in pairs}


def test_every_version_on_the_page_is_marked_with_how_it_is_known():
    marks = set(re.findall(r"^\| (\w+) \| [^|]+ \|$", PAGE.read_text(), re.MULTILINE))
    assert {"ubi", "alma", "epel", "rdo", "osg"} <= marks
    for row in rows():
        for cell in row[4:6]:
            for version in re.split(r"[,;] ", cell):
                assert version == "not verified" or re.search(r"\d \(|too old \(", version), row
                assert set(re.findall(r"\((\w+)\)", version)) <= marks, row


def test_each_el_has_what_is_required_in_time():
    for name, _, least, _, *els, pypi in rows():
        for cell in els:
            there = [digits(one) for one in re.findall(r"(?<![\w.])(\d+(?:\.\d+)*)", cell)]
            assert "not verified" in cell or max(there) >= digits(least or "0"), (name, cell)
        assert not pypi or digits(pypi.split("==")[1]) in [
            digits(one) for one in re.findall(r"(\d+(?:\.\d+)*) \(", els[0])
        ], name


def digits(version):
    return [int(part) for part in version.split(".")]


def test_the_collection_asks_for_the_ansible_that_the_page_names():
    (least,) = [row[2] for row in rows() if row[0] == "`ansible-core`"]
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
    assert [name for name in missing - EVERYWHERE if f"`{name}`" not in page] == []
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


def test_what_is_erased_leaves_nothing_but_what_was_written_since(packages, tmp_path):
    root = install(packages, tmp_path / "root")
    (root / "etc/osg/site-iaas/site.yml").write_text("version: 1\n")
    config = root / "etc/gratia/openstack/ProbeConfig"
    config.write_text(config.read_text().replace('EnableProbe="0"', 'EnableProbe="1"'))
    sh("rpm", "--root", root, "-e", "--nodeps", "--noscripts", *packages)
    left = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    ours = {
        name for name in left if "rpm" not in name.split("/")[-2] and name not in ("etc/group", "etc/passwd")
    }
    assert ours == {"etc/osg/site-iaas/site.yml", "etc/gratia/openstack/ProbeConfig.rpmsave"}
