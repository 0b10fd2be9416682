"""What the plugins say of themselves is what they do."""

from __future__ import annotations

import ast
import json
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLUGINS = ROOT / "plugins"
MODULES = ("site", "tenant", "tenant_info", "image", "catalogue", "backends")
OF_A_CLOUD = {"catalogue", "backends"}  # what role openstack needs; the others are of a site.yml
FILTERS = ("vo_names", "fqans_of", "quota_of", "caches_of", "size_in", "kolla_overrides")
DOCUMENTED = [("module", name) for name in MODULES]
DOCUMENTED += [("filter", name) for name in FILTERS] + [("inventory", "site"), ("lookup", "site")]
DATA = ("DOCUMENTATION", "EXAMPLES", "RETURN", "HEADER", "BOUNDS", "CHANGES")
LONGEST = 60
SCHEMA = json.loads((ROOT / "osg_site_iaas/declaration/schema-v1.json").read_text())


def spec_of(module, monkeypatch):
    """The arguments that a module gives AnsibleModule."""
    seen = {}

    class Caught(Exception):
        pass

    def catch(spec, **rules):
        seen.update(spec=spec, rules=rules)
        raise Caught

    monkeypatch.setattr(module, "AnsibleModule", catch)
    with pytest.raises(Caught):
        module.main()
    return seen["spec"], seen["rules"]


@pytest.fixture(scope="module")
def told(ansible_in, tmp_path_factory):
    """What ansible-doc tells of a plugin, by kind and name."""
    found = {}
    for kind in ("module", "filter", "inventory", "lookup"):
        names = [f"osg.site_iaas.{name}" for each, name in DOCUMENTED if each == kind]
        result = ansible_in(tmp_path_factory.mktemp(kind))("ansible-doc", "--json", "--type", kind, *names)
        assert result.returncode == 0, result.stdout
        for name, value in json.loads(result.stdout[result.stdout.index("{") :]).items():
            found[kind, name.rpartition(".")[2]] = value
    return found


def code_lines(path):
    """Lines that hold code: neither blank, nor comments, nor docstrings, nor documentation."""
    tree = ast.parse(path.read_text())
    skipped = set()
    for node in ast.walk(tree):
        data = isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in DATA
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if data or text:
            skipped.update(range(node.lineno, node.end_lineno + 1))
    return [
        line
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if number not in skipped and line.strip() and not line.strip().startswith("#")
    ]


@pytest.mark.parametrize(
    "path", sorted(PLUGINS.rglob("*.py")), ids=lambda path: str(path.relative_to(PLUGINS))
)
def test_a_plugin_is_short(path):
    assert len(code_lines(path)) <= LONGEST


@pytest.mark.parametrize("kind, name", DOCUMENTED)
def test_ansible_doc_shows_every_plugin(told, kind, name):
    shown = told[kind, name]
    assert shown["doc"]["short_description"]
    assert shown["examples"].strip()
    assert kind == "inventory" or shown["return"]


@pytest.mark.parametrize("name", MODULES)
def test_the_options_of_a_module_are_the_documented_ones(told, plugin, monkeypatch, name):
    spec, _ = spec_of(plugin(f"modules.{name}"), monkeypatch)
    assert described(told["module", name]["doc"]["options"]) == described(spec, "options")


def described(options, inside="suboptions"):
    """Options in one form, be they documented or declared."""
    return {name: told_of(option, inside) for name, option in options.items()}


def told_of(option, inside):
    told = {key: option[key] for key in ("type", "choices", "elements", "aliases") if option.get(key)}
    if option.get("required"):
        told["required"] = True
    if option.get("default") is not None:
        told["default"] = option["default"]
    if option.get(inside):
        told["options"] = described(option[inside], inside)
    return told


@pytest.mark.parametrize("name", MODULES)
def test_check_mode_and_diff_mode_are_as_they_are_said_to_be(told, plugin, monkeypatch, name):
    _, rules = spec_of(plugin(f"modules.{name}"), monkeypatch)
    attributes = told["module", name]["doc"]["attributes"]
    assert set(attributes) == {"check_mode", "diff_mode", "idempotent"}
    assert (attributes["check_mode"]["support"] == "full") == rules["supports_check_mode"]


def test_a_password_is_never_logged(plugin, monkeypatch):
    spec, _ = spec_of(plugin("modules.tenant"), monkeypatch)
    assert spec["service_users"]["options"]["password"]["no_log"] is True


def properties(*path):
    part = SCHEMA
    for step in path:
        part = part[step]
    return set(part["properties"])


def test_a_vo_takes_what_site_yml_takes(plugin, monkeypatch):
    spec, _ = spec_of(plugin("modules.tenant"), monkeypatch)
    entry = properties("properties", "vos", "additionalProperties")
    # of these only accounting reads anything
    assert entry - set(spec) == {"parent", "reporting_name"}
    assert set(spec["access"]["options"]) == properties("definitions", "access")
    vo = ("properties", "vos", "additionalProperties", "properties")
    for part in ("service_users", "buckets"):
        assert set(spec[part]["options"]) == {"name"} | properties(*vo, part, "additionalProperties")


def test_an_image_takes_what_site_yml_takes(plugin, monkeypatch):
    spec, _ = spec_of(plugin("modules.image"), monkeypatch)
    assert properties("properties", "images", "additionalProperties") - set(spec) == set()
    header = properties("properties", "cloud") - {"name"}
    assert header - set(spec) == set()


def test_every_module_is_in_the_action_group():
    groups = yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"]
    of_a_site = {path.stem for path in (PLUGINS / "modules").glob("*.py")} - OF_A_CLOUD
    assert sorted(groups["site"]) == sorted(of_a_site)


def test_every_filter_is_documented(plugin):
    assert set(plugin("filter.site").FilterModule().filters()) == set(FILTERS)


def test_the_collection_has_the_version_of_the_package():
    from osg_site_iaas import __version__

    assert yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"] == __version__


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_tasks_of_known_options(told, name):
    shown = told["module", name]
    tasks = [task for task in yaml.safe_load(shown["examples"]) if f"osg.site_iaas.{name}" in task]
    assert tasks
    for task in tasks:
        assert set(task[f"osg.site_iaas.{name}"]) <= set(shown["doc"]["options"])
