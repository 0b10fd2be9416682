"""kolla-ansible's own templates, merged with our overrides by its own `merge_configs`: what its services would read.

The package comes from PyPI, once; none of its services runs here.
"""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from osg_site_iaas.sandbox import folders
from tests.collection import kolla_files, link_collection

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
ROOT = Path(__file__).parents[2]
RELEASES = {"21.3.0": "2025.2", "22.2.0": "2026.1"}  # older ones want an older Ansible
# By role: its template, and the file of ours that goes over it. Nova's template wants collections that are not here.
MERGED = (
    ("keystone", "keystone.conf.j2", "keystone.conf"),
    ("neutron", "metadata_agent.ini.j2", "neutron/metadata_agent.ini"),
    ("neutron", "neutron_ovn_metadata_agent.ini.j2", "neutron/neutron_ovn_metadata_agent.ini"),
    ("nova", None, "nova.conf"),
)
# a cloud with TLS inside and a federation of its own: where overrides could do harm
GLOBALS = {
    "kolla_internal_vip_address": "192.0.2.1",
    "kolla_enable_tls_internal": "yes",
    "kolla_enable_tls_external": "yes",
    "network_interface": "lo",
    "neutron_external_interface": "lo",
    "enable_keystone_federation": True,
    "keystone_trusted_dashboards": ["https://cloud.example.org/auth/websso/"],
    "keystone_domain_directory": {"stat": {"exists": False}},
    "api_interface_address": "192.0.2.1",
    "project_name": "x",
    "service_name": "nova-api",
    "neutron_metadata_workers": 2,
    "ansible_python_interpreter": sys.executable,
    "om_enable_queue_manager": False,
}


@pytest.fixture(scope="module", params=RELEASES, ids=RELEASES.get)
def share(request):
    """The folder of one release's playbooks."""
    folder = folders.cache() / f"kolla-ansible-{request.param}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", partial]
        subprocess.run([*pip, f"kolla-ansible=={request.param}"], check=True)
        with zipfile.ZipFile(next(partial.glob("*.whl"))) as wheel:
            wheel.extractall(partial)
        partial.rename(folder)
    return next(folder.glob("*.data/data/share/kolla-ansible"))


@pytest.fixture(scope="module")
def merged(share, tmp_path_factory):
    """What each service would read, by the name of its file."""
    folder = tmp_path_factory.mktemp("kolla")
    collections = link_collection(tmp_path_factory.mktemp("collections"))
    kolla_files(folder, collections, ROOT / "examples/complete.yml")
    ansible = share / "ansible"
    plays = []
    for role, template, ours in MERGED:
        sources = [ansible / "roles" / role / "templates" / template] if template else []
        merge = {
            "sources": [str(file) for file in [*sources, folder / "config" / ours]],
            "dest": str(folder / Path(ours).name),
            "mode": "0600",
        }
        plays.append(
            {
                "hosts": "all",
                "connection": "local",
                "vars_files": [str(ansible / f"roles/{name}/defaults/main.yml") for name in ("nova", role)],
                "tasks": [{"name": f"Merge {ours}", "merge_configs": merge}],
            }
        )
    passwords = yaml.safe_load((share / "etc_examples/kolla/passwords.yml").read_text())
    secret = {name: f"the-{name}" for name, value in passwords.items() if value is None}
    (folder / "globals.yml").write_text(yaml.safe_dump({**passwords, **secret, **GLOBALS}))
    (folder / "merge.yml").write_text(yaml.safe_dump(plays))
    (folder / "inventory").write_text((ansible / "inventory/all-in-one").read_text())
    (folder / "group_vars").symlink_to(ansible / "group_vars")
    env = {
        **os.environ,
        "ANSIBLE_ACTION_PLUGINS": str(ansible / "action_plugins"),
        "ANSIBLE_FILTER_PLUGINS": str(ansible / "filter_plugins"),
        "ANSIBLE_LIBRARY": str(ansible / "library"),
        "PYTHONPATH": str(share.parents[3]),
    }
    play = [
        Path(sys.executable).parent / "ansible-playbook",
        "-i",
        "inventory",
        "-e",
        "@globals.yml",
        "merge.yml",
    ]
    done = subprocess.run(play, env=env, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found = {}
    for _, _, ours in MERGED:
        found[Path(ours).name] = configparser.ConfigParser(interpolation=None, strict=False)
        found[Path(ours).name].read(folder / Path(ours).name)
    return found


@pytest.mark.parametrize(("role", "_template", "ours"), MERGED)
def test_kolla_reads_the_file_where_the_filter_puts_it(share, role, _template, ours):
    tasks = (share / f"ansible/roles/{role}/tasks/config.yml").read_text()
    assert f'"{{{{ node_custom_config }}}}/{ours}"' in tasks


@pytest.mark.parametrize("agent", ["metadata_agent.ini", "neutron_ovn_metadata_agent.ini"])
def test_the_metadata_agent_goes_to_our_door_with_the_clouds_secret(merged, agent):
    told = merged[agent]["DEFAULT"]
    assert told["nova_metadata_host"] == "192.0.2.10"
    assert told["nova_metadata_port"] == "8775"
    assert told["nova_metadata_protocol"] == "http"  # kolla's own would be https here
    assert told["metadata_proxy_shared_secret"] == "the-metadata_secret"


def test_keystone_takes_grid_logins_and_the_sites_own(merged):
    told = merged["keystone.conf"]
    assert {"mapped", "openid", "password", "token", "application_credential"} <= set(
        told["auth"]["methods"].split(",")
    )
    assert told["federation"]["default_authorization_ttl"].isdigit()
    assert told["federation"]["trusted_dashboard"] == "https://cloud.example.org/auth/websso/"
    assert told["token"]["provider"] == "fernet"


def test_nova_says_it_when_a_cell_is_down(merged):
    told = merged["nova.conf"]
    assert told["api"]["list_records_by_skipping_down_cells"] == "false"
