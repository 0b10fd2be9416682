"""The roles: what they take, what they say that they take, and how they are tested, agree."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WITHOUT = ("program",)  # the others' scenarios change it
ROLES = sorted(folder.name for folder in (ROOT / "roles").iterdir())


def read(path):
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8")) or {}


def options(role):
    return read(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_what_the_argument_specs_say(role):
    said = {name: option["default"] for name, option in options(role).items() if "default" in option}
    assert read(f"roles/{role}/defaults/main.yml") == said


@pytest.mark.parametrize("role", ROLES)
def test_what_has_no_default_is_shown_in_the_defaults_all_the_same(role):
    text = (ROOT / f"roles/{role}/defaults/main.yml").read_text(encoding="utf-8")
    shown = set(re.findall(r"(?m)^# (\w+):", text))
    assert shown == {name for name, option in options(role).items() if "default" not in option}


@pytest.mark.parametrize("role", ROLES)
def test_names_tell_whose_they_are(role):
    assert [name for name in options(role) if not name.startswith(f"{role}_")] == []
    for file in (ROOT / "roles" / role / "vars").glob("*.yml"):
        assert [name for name in read(file) if not name.startswith(f"__{role}_")] == [], file


@pytest.mark.parametrize("role", [role for role in ROLES if role not in WITHOUT])
def test_the_changed_scenario_sets_every_variable(role):
    text = (ROOT / f"molecule/{role}-changed/converge.yml").read_text(encoding="utf-8")
    assert [name for name in options(role) if f"{name}:" not in text] == []


@pytest.mark.parametrize("role", ROLES)
def test_every_variable_is_used(role):
    files = [
        f
        for part in ("tasks", "templates", "handlers", "vars")
        for f in (ROOT / "roles" / role / part).glob("*")
    ]
    text = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert [name for name in options(role) if not re.search(rf"\b{name}\b", text)] == []


def test_units_that_roles_install_are_there():
    for role in ROLES:
        for file in (ROOT / "roles" / role / "vars").glob("*.yml"):
            for name, units in read(file).items():
                if name.endswith("_units") and isinstance(units, list):
                    missing = [unit for unit in units if not (ROOT / "packaging/systemd" / unit).is_file()]
                    assert missing == [], file


def test_the_site_playbook_gives_roles_what_they_require_and_nothing_they_do_not_know():
    given = read("playbooks/vars/hosts.yml")
    known = {name: option for role in ROLES for name, option in options(role).items()}
    of_roles = {name for name in given if name.partition("_")[0] in ROLES}
    assert of_roles - set(known) == set()
    assert {name for name, option in known.items() if option.get("required")} - set(given) == set()


def test_no_name_of_a_variables_key_is_a_template_since_ansible_leaves_it_as_it_is():
    def keys(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                yield key
                yield from keys(inner)

    assert [key for key in keys(read("playbooks/vars/hosts.yml")) if "{{" in str(key)] == []


def test_pages_that_the_collection_and_its_units_name_come_with_it():
    files = [
        file
        for part in (
            "roles",
            "plugins",
            "playbooks",
            "packaging/systemd",
            "probes",
            "examples",
            "osg_site_iaas",
        )
        for file in (ROOT / part).rglob("*")
        if file.suffix in (".yml", ".yaml", ".md", ".py", ".j2", ".service", ".timer")
    ]
    missing, seen = [], set()
    for file in files:
        for page in re.findall(r"\bdocs/[\w/-]+\.md\b", file.read_text(encoding="utf-8")):
            seen.add(page)
            if not (ROOT / page).is_file():
                missing.append((str(file.relative_to(ROOT)), page))
    assert missing == []
    assert {"docs/ec2.md", "docs/roles.md", "docs/operations.md"} <= seen
    ignored = read("galaxy.yml")["build_ignore"]
    assert [
        page for page in seen for rule in ignored if fnmatch(page, rule) or page.startswith(f"{rule}/")
    ] == []


def test_each_unit_names_a_page_where_packages_and_roles_put_it():
    place = read("roles/program/vars/main.yml")["__program_pages"]
    for unit in (ROOT / "packaging/systemd").glob("osg-*.*"):
        (page,) = re.findall(r"(?m)^Documentation=(.+)$", unit.read_text(encoding="utf-8"))
        assert page.startswith(f"file://{place}/"), unit.name
        assert (ROOT / "docs" / page.rpartition("/")[2]).is_file(), unit.name
