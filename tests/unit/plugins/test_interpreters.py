"""Which Python each type of plugin runs under: one runs Ansible, another is the host's; either may lack the package.

The Pythons are real ones. The one without the package sees Ansible and all libraries, and not this checkout: a .pth
file leads to the test environment's packages, where what only another .pth file adds is not followed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig

import pytest
import yaml

from tests.collection import BIN
from tests.unit.plugins.test_faces import SITE

SETTINGS = {"ANSIBLE_LOCALHOST_WARNING": "false", "ANSIBLE_NOCOLOR": "true", "LC_ALL": "C.UTF-8"}
FOR_THE_CONTROLLER = "install osg-site-iaas for the Python that runs Ansible, {python}"
FOR_THE_HOST = "set ansible_python_interpreter to a Python that has osg-site-iaas"
LOOKUP = {"ansible.builtin.debug": {"msg": "{{ lookup('osg.site_iaas.site', 'site.fqdn') }}"}}
FILTER = {"ansible.builtin.debug": {"msg": "{{ '4 GiB' | osg.site_iaas.size_in('MiB') }}"}}
MODULE = {"osg.site_iaas.site": {"site": "site.yml"}}


@pytest.fixture(scope="module")
def without(tmp_path_factory):
    """A Python with Ansible and without osg-site-iaas."""
    folder = tmp_path_factory.mktemp("another") / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    python = folder / "bin/python"
    own = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"], text=True
    )
    with open(f"{own.strip()}/others.pth", "w") as file:
        file.write(sysconfig.get_paths()["purelib"] + "\n")
    told = subprocess.run(
        [python, "-c", "import ansible, osg_site_iaas"], capture_output=True, text=True, cwd=folder
    )
    assert "No module named 'osg_site_iaas'" in told.stderr
    return python


@pytest.fixture
def run(collections, tmp_path):
    """Runs a command of Ansible by a Python; what it says, and whether all went well."""
    (tmp_path / "site.yml").write_text(SITE)

    def run(python, command, *words):
        environment = {**SETTINGS, "ANSIBLE_COLLECTIONS_PATH": str(collections), "HOME": str(tmp_path)}
        done = subprocess.run(
            [python, BIN / command, *words],
            env={**environment, "PATH": os.environ["PATH"], "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local")},
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        assert "Traceback" not in done.stdout, done.stdout
        return done.returncode == 0, " ".join(done.stdout.split())

    return run


def play(tmp_path, task, **variables):
    one = {
        "hosts": "localhost",
        "connection": "local",
        "gather_facts": False,
        "vars": variables,
        "tasks": [task],
    }
    (tmp_path / "play.yml").write_text(yaml.safe_dump([one]))
    return "play.yml"


@pytest.mark.parametrize("task, told", [(LOOKUP, "cloud.example.org"), (FILTER, "4096")])
def test_lookup_and_filter_run_under_the_python_that_runs_ansible(run, without, tmp_path, task, told):
    # what the host's Python is makes no difference
    well, said = run(
        sys.executable, "ansible-playbook", play(tmp_path, task, ansible_python_interpreter=str(without))
    )
    assert well, said
    assert told in said
    well, said = run(
        without, "ansible-playbook", play(tmp_path, task, ansible_python_interpreter=sys.executable)
    )
    assert not well
    assert FOR_THE_CONTROLLER.format(python=without) in said


def test_the_inventory_runs_under_the_python_that_runs_ansible(run, without, tmp_path):
    (tmp_path / "x.site.inventory.yml").write_text("plugin: osg.site_iaas.site\nsite: site.yml\n")
    asked = ("ansible-inventory", "-i", "x.site.inventory.yml", "--graph")
    assert "cache.example.org" in run(sys.executable, *asked)[1]
    said = run(without, *asked)[1]
    assert "cache.example.org" not in said
    told = FOR_THE_CONTROLLER.format(python=without)
    assert "".join(told.split()) in "".join(said.split())  # old Ansible breaks lines anywhere


def test_modules_run_under_the_hosts_python_whatever_runs_ansible(run, without, tmp_path):
    well, said = run(
        without, "ansible-playbook", play(tmp_path, MODULE, ansible_python_interpreter=sys.executable)
    )
    assert not well
    assert "clouds.yaml has no usable entry 'nowhere'" in said  # so far only the package itself comes
    well, said = run(
        sys.executable, "ansible-playbook", play(tmp_path, MODULE, ansible_python_interpreter=str(without))
    )
    assert not well
    assert FOR_THE_HOST in said


def test_where_nothing_is_set_the_sentence_says_what_to_set(run, without, tmp_path):
    well, said = run(without, "ansible-playbook", play(tmp_path, MODULE))
    assert not well
    assert FOR_THE_HOST in said
