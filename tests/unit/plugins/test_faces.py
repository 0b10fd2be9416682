"""The plugins without a cloud: what they read, and what they say when something is wrong."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError, AnsibleFilterError

from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.public import public

EXAMPLES = Path(__file__).parents[3] / "examples"
SITE = """
version: 1
site: {resource: X, fqdn: cloud.example.org}
cloud: {name: nowhere}
vos:
  cms: {access: [{fqan: /cms/*}], description: "{{ 6 * 7 }}"}
  old: {enabled: false}
caches:
  squid1: {type: squid, host: cache.example.org, vos: [cms], options: {cache_mem_mb: 4096}}
  stash: {type: xcache, host: cache.example.org, port: 1094}
  far: {type: squid, host: far.example.org}
"""


@pytest.fixture(scope="module")
def data():
    return public(load(EXAMPLES / "complete.yml"))


@pytest.fixture(scope="module")
def filters(plugin):
    return plugin("filter.site").FilterModule().filters()


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site.yml"
    path.write_text(SITE)
    return path


def play(tmp_path, *tasks, **variables):
    """A playbook of these tasks on this host, under this Python unless said otherwise."""
    path = tmp_path / "play.yml"
    variables = {"ansible_python_interpreter": sys.executable, **variables}
    path.write_text(
        yaml.safe_dump(
            [
                {
                    "hosts": "localhost",
                    "connection": "local",
                    "gather_facts": False,
                    "vars": variables,
                    "tasks": list(tasks),
                }
            ]
        )
    )
    return path


def test_vos_in_use_are_named(filters):
    site = {"vos": {"b": {"enabled": True}, "a": {"enabled": False}}}
    assert filters["vo_names"](site) == ["b"]
    assert filters["vo_names"](site, enabled=False) == ["b", "a"]


def test_fqans_are_in_order_and_once_each(filters, data):
    assert filters["fqans_of"](data, "cms") == ["/cms/Role=production/Capability=NULL", "/cms/*"]
    assert filters["fqans_of"](data, "ligo") == []


def test_a_quota_has_the_defaults_in_it(filters, data):
    assert filters["quota_of"](data, "cms")["compute"]["cores"] == 200
    assert filters["quota_of"](data, "cms")["volume"] == {"volumes": 10, "gigabytes": 100}


def test_caches_are_those_for_all_and_those_for_the_vo(filters, site):
    data = public(load(site))
    assert list(filters["caches_of"](data, "cms")) == ["squid1", "stash", "far"]
    assert list(filters["caches_of"](data, "old", "squid")) == ["far"]


@pytest.mark.parametrize(
    "value, unit, number",
    [("40 GiB", "MiB", 40960), ("1 TB", "B", 10**12), (7, "GiB", 7), ("unlimited", "B", -1)],
)
def test_sizes_are_numbers_of_a_unit(filters, value, unit, number):
    assert filters["size_in"](value, unit) == number


@pytest.mark.parametrize(
    "name, arguments, said",
    [
        ("quota_of", ("atlas",), "known there: cms, icecube, ligo"),
        ("fqans_of", ("atlas",), "known there: cms, icecube, ligo"),
        ("caches_of", ("atlas",), "known there: cms, icecube, ligo"),
    ],
)
def test_an_unknown_vo_is_an_error_that_names_the_known(filters, data, name, arguments, said):
    with pytest.raises(AnsibleFilterError, match=said):
        filters[name](data, *arguments)


@pytest.mark.parametrize("value, unit", [("40 GX", "MiB"), (None, "B"), ("1 B", "GiB"), ("1 GiB", "parsec")])
def test_what_is_no_size_is_an_error(filters, value, unit):
    with pytest.raises(AnsibleFilterError, match="\n  -> "):
        filters["size_in"](value, unit)


def test_something_else_than_a_declaration_is_an_error(filters):
    for wrong in ("text", None, [], {"vo": {}}):
        with pytest.raises(AnsibleFilterError, match="no 'vos'"):
            filters["vo_names"](wrong)


def test_the_inventory_has_the_hosts_of_the_file(ansible, site, tmp_path):
    (tmp_path / "a.site.inventory.yml").write_text(
        "plugin: osg.site_iaas.site\nsite: site.yml\n"
        "keyed_groups: [{key: osg_caches | map(attribute='vos') | flatten, prefix: osg_vo}]\n"
    )
    result = ansible("ansible-inventory", "-i", "a.site.inventory.yml", "--list")
    told = json.loads(result.stdout)
    assert told["osg_cloud"]["hosts"] == ["cloud.example.org"]
    assert sorted(told["osg_caches"]["hosts"]) == ["cache.example.org", "far.example.org"]
    assert told["osg_caches_xcache"]["hosts"] == ["cache.example.org"]
    assert told["osg_vo_cms"]["hosts"] == ["cache.example.org"]
    result = ansible("ansible-inventory", "-i", "a.site.inventory.yml", "--host", "cache.example.org")
    # before 2.19, Ansible marks texts so that are no templates
    said = json.loads(result.stdout, object_hook=lambda said: said.get("__ansible_unsafe", said))
    assert [cache["name"] for cache in said["osg_caches"]] == ["squid1", "stash"]
    assert said["osg_caches"][0]["options"] == {"cache_mem_mb": 4096}
    assert said["osg_site"]["vos"]["cms"]["project"] == "cms"


def test_a_text_of_the_file_is_never_a_template(ansible, site, tmp_path):
    (tmp_path / "a.site.inventory.yml").write_text("plugin: osg.site_iaas.site\nsite: site.yml\n")
    words = ("-m", "ansible.builtin.debug", "-a", "var=osg_site.vos.cms.description", "-c", "local")
    result = ansible("ansible", "-i", "a.site.inventory.yml", "cloud.example.org", *words)
    assert "{{ 6 * 7 }}" in result.stdout
    assert "42" not in result.stdout


def test_an_inventory_of_a_wrong_file_says_where_and_what(ansible, tmp_path):
    (tmp_path / "site.yml").write_text(SITE.replace("fqdn:", "fqnd:"))
    (tmp_path / "a.site.inventory.yml").write_text("plugin: osg.site_iaas.site\nsite: site.yml\n")
    result = ansible(
        "ansible-inventory",
        "-i",
        "a.site.inventory.yml",
        "--list",
        ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true",
    )
    assert result.returncode != 0
    assert "site.yml:3:21:site.fqnd" in "".join(result.stdout.split())  # old Ansible breaks lines anywhere
    assert "Traceback" not in result.stdout


def test_a_lookup_reads_the_file_beside_the_playbook(ansible, site, tmp_path):
    ask = "lookup('osg.site_iaas.site', 'vos.cms.access.0.fqan')"
    names = "(lookup('osg.site_iaas.site') | osg.site_iaas.vo_names)"
    path = play(tmp_path, {"ansible.builtin.assert": {"that": [f"{ask} == '/cms/*'", f"{names} == ['cms']"]}})
    result = ansible("ansible-playbook", path)
    assert result.returncode == 0, result.stdout


def test_a_module_tells_every_problem_of_the_file(ansible, tmp_path):
    (tmp_path / "site.yml").write_text(SITE.replace("fqdn:", "fqnd:").replace("options:", "optoins:"))
    path = play(tmp_path, {"osg.site_iaas.site": {"site": str(tmp_path / "site.yml")}})
    result = ansible("ansible-playbook", path, "--check")
    assert result.returncode == 2
    for said in ("site.yml:3:21: site.fqnd", "caches.squid1.optoins", '"problems": [{'):
        assert said in result.stdout
    assert "Traceback" not in result.stdout


def test_a_module_without_a_login_says_what_to_do(ansible, site, tmp_path):
    path = play(tmp_path, {"osg.site_iaas.site": {"site": str(site)}})
    result = ansible("ansible-playbook", path)
    assert "clouds.yaml has no usable entry 'nowhere'" in result.stdout
    assert "openstack --os-cloud NAME token issue" in result.stdout
    assert "Traceback" not in result.stdout


def test_parameters_are_checked_like_a_file(ansible, tmp_path):
    task = {"cloud": "x", "secrets": str(tmp_path), "name": "cms", "access": [{"fqan": "cms"}]}
    result = ansible("ansible-playbook", play(tmp_path, {"osg.site_iaas.tenant": task}))
    assert "the parameters: vos.cms.access[0].fqan" in result.stdout
    assert "/vo/group" in result.stdout


def test_a_password_that_was_given_by_mistake_is_not_shown(ansible, tmp_path):
    users = [{"name": "pilot", "password": "correct-horse-battery"}]
    task = {"cloud": "x", "secrets": str(tmp_path), "name": "cms", "service_users": users}
    result = ansible("ansible-playbook", "-vvv", play(tmp_path, {"osg.site_iaas.tenant": task}))
    assert "never stands in this file" in result.stdout
    assert "correct-horse" not in result.stdout


@pytest.mark.parametrize(
    "module, parameters, said",
    [
        ("tenant", {"name": "cms"}, "site, cloud"),
        ("tenant", {"name": "cms", "cloud": "x"}, "secrets"),
        ("tenant", {"name": "cms", "site": "s", "access": []}, "mutually exclusive"),
        ("tenant", {"name": "atlas", "site": "SITE"}, "declares no VO 'atlas'"),
        ("tenant", {"name": "cms", "site": "SITE", "state": "absent"}, "still declares cms"),
        ("image", {"name": "el9", "site": "SITE"}, "declares no image 'el9'"),
        ("site", {"site": "SITE", "destroy": ["cms"]}, "destroy does nothing without prune"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(ansible, site, tmp_path, module, parameters, said):
    given = {key: str(site) if value == "SITE" else value for key, value in parameters.items()}
    result = ansible("ansible-playbook", play(tmp_path, {f"osg.site_iaas.{module}": given}))
    assert said in result.stdout
    assert result.returncode == 2


def bare_python(tmp_path):
    """A Python that has nothing but its standard library."""
    path = tmp_path / "bare-python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    path.chmod(0o755)
    return path


def test_a_python_without_the_package_is_one_sentence_that_says_what_to_set(ansible, site, tmp_path):
    task = {"osg.site_iaas.site": {"site": str(site)}}
    path = play(tmp_path, task, ansible_python_interpreter=str(bare_python(tmp_path)))
    result = ansible("ansible-playbook", path)
    assert "required Python library (osg_site_iaas)" in result.stdout
    assert "set ansible_python_interpreter to a Python that has osg-site-iaas" in result.stdout


def ask_lookup(module):
    module.LookupModule().run([])


def ask_filter(module):
    module.FilterModule().filters()["size_in"]("1 GiB", "B")


def ask_inventory(module):
    module.InventoryModule().parse(None, None, "x.site.inventory.yml")


@pytest.mark.parametrize("ask", [ask_lookup, ask_filter, ask_inventory])
def test_a_controller_without_the_package_is_told_its_own_python(plugin, monkeypatch, ask):
    module = plugin(f"{ask.__name__[4:]}.site")
    monkeypatch.setattr(module, "MISSING", ImportError("No module named 'osg_site_iaas'"))
    with pytest.raises(AnsibleError, match="for the Python that runs Ansible") as caught:
        ask(module)
    assert sys.executable in str(caught.value)
