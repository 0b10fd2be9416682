"""What playbooks/site.yml refuses before it begins, and that what an inventory says wins over its own variables."""

from __future__ import annotations

import json
import sys

import pytest
import yaml

from tests.collection import ROOT
from tests.unit.plugins.test_faces import SITE

SECRET = "0123456789abcdef0123456789abcdef"
GIVEN = {"site_file": "site.yml", "site_secret": SECRET, "wheel": "some.whl"}


@pytest.fixture
def site(ansible, tmp_path):
    """Runs a playbook on an inventory whose groups are given; the exit code and all that was said."""
    (tmp_path / "site.yml").write_text(SITE)

    def site(playbook, groups, *words):
        local = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        hosts = {group: {"hosts": dict.fromkeys(names, local)} for group, names in groups.items()}
        (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"children": hosts}}))
        done = ansible("ansible-playbook", "-i", "hosts.yml", playbook, *words)
        return done.returncode, " ".join(done.stdout.split())

    return site


def given(tmp_path, where, name, values):
    (tmp_path / where).mkdir(exist_ok=True)
    (tmp_path / where / f"{name}.yml").write_text(yaml.safe_dump(values))


def test_what_is_not_given_is_named_all_at_once(site):
    code, said = site("osg.site_iaas.site", {"osg_controller": ["cloud"]}, "--diff", "--check")
    assert code != 0
    for name in ("site_file, the site.yml", "site_secret, 32 characters", "wheel, the program's wheel"):
        assert name in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    "groups, told", [({}, "holds none"), ({"osg_controller": ["one", "two"]}, "holds one, two")]
)
def test_an_inventory_without_its_one_controller_is_refused(site, groups, told):
    code, said = site("osg.site_iaas.site", groups)
    assert code != 0
    assert told in said


@pytest.fixture
def values(site, tmp_path):
    """What the plays would give the roles on the host `cloud`: variables by name, with more words for Ansible."""

    def values(names, *words):
        write = {"content": "{{ seen | to_json }}", "dest": str(tmp_path / "seen.json"), "mode": "0600"}
        seen = {name: "{{ " + name + " }}" for name in names}
        play = {
            "hosts": "osg_controller",
            "gather_facts": False,
            "vars_files": [str(ROOT / "playbooks/vars/hosts.yml")],
            "tasks": [{"ansible.builtin.copy": write, "vars": {"seen": seen}}],
        }
        (tmp_path / "see.yml").write_text(yaml.safe_dump([play]))
        code, said = site(
            "see.yml", {"osg_controller": ["cloud"], "osg_computes": ["cloud", "other"]}, *words
        )
        assert code == 0, said
        return json.loads((tmp_path / "seen.json").read_text())

    return values


def test_the_playbooks_own_values_hold_where_nothing_else_is_said(values, tmp_path):
    given(tmp_path, "group_vars", "all", GIVEN)
    seen = values(
        [
            "ec2_reaper",
            "ec2_metadata_bind",
            "openstack_services",
            "program_wheel",
            "control_site",
            "control_clouds",
        ]
    )
    assert seen["ec2_reaper"] is True
    assert seen["ec2_metadata_bind"] == "127.0.0.1:8785"
    assert seen["openstack_services"] == ["controller", "network", "compute"]
    assert seen["program_wheel"] == str(tmp_path / "some.whl")
    assert seen["control_site"] == str(
        tmp_path / "site.yml"
    )  # from where it is called, not beside the playbook
    (cloud,) = seen["control_clouds"]["clouds"].values()
    assert cloud["auth"]["username"] == "site-iaas"
    assert cloud["auth"]["auth_url"] == "https://cloud.example.org:5000/v3"


def test_no_two_logins_share_a_password_and_none_is_the_administrators(values, tmp_path):
    given(tmp_path, "group_vars", "all", GIVEN)
    logins = values(["service_logins"])["service_logins"]
    assert len({one["password"] for one in logins}) == len(logins) == 5
    assert all(len(one["password"]) == 40 for one in logins)


@pytest.mark.parametrize(
    "where, name", [("group_vars", "all"), ("group_vars", "osg_controller"), ("host_vars", "cloud")]
)
def test_what_the_inventory_says_wins_at_whatever_level(values, tmp_path, where, name):
    own = {"clouds": {"mine": {"auth": {"username": "me"}}}}
    given(tmp_path, "group_vars", "all", GIVEN)
    said = {
        "ec2_reaper": False,
        "ec2_metadata_bind": "192.0.2.1:8775",
        "control_clouds": own,
        "openstack_region": "North",
    }
    given(tmp_path, where, name, {**(GIVEN if (where, name) == ("group_vars", "all") else {}), **said})
    assert values(said) == said


def test_packages_need_no_wheel(values, tmp_path):
    given(
        tmp_path,
        "group_vars",
        "all",
        {k: v for k, v in GIVEN.items() if k != "wheel"} | {"program_from": "package"},
    )
    names = ["openstack_region", "program_wheel"]
    assert values(names, "-e", "openstack_region=East") == {"openstack_region": "East", "program_wheel": ""}
