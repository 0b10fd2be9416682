"""docs/existing-cloud.md: what it has the reader copy works, and says the same in every part."""

from __future__ import annotations

import configparser
import subprocess

from osg_site_iaas.declaration import kolla
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.public import public
from tests.collection import ROOT, blocks, kolla_files

COMPLETE = ROOT / "examples/complete.yml"


def parsed(text: str) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section="none")
    parser.read_string(text)
    return {name: dict(parser[name]) for name in parser.sections()}


def test_the_playbook_for_kolla_runs_as_printed(collections, tmp_path):
    config = kolla_files(tmp_path, collections, COMPLETE)
    expected = kolla.overrides(public(load(COMPLETE)), "192.0.2.10:8775")
    found = {str(file.relative_to(config)): file.read_text() for file in config.rglob("*") if file.is_file()}
    assert found == expected


def test_a_cloud_by_hand_is_told_what_kolla_is_told():
    site = public(load(COMPLETE))
    files = {name: parsed(text) for name, text in kolla.overrides(site, "192.0.2.10:8775").items()}
    nova, keystone, agent = map(parsed, blocks("existing-cloud.md", "ini"))
    assert nova == files["nova.conf"]
    assert agent == files["neutron/metadata_agent.ini"] == files["neutron/neutron_ovn_metadata_agent.ini"]
    assert keystone["federation"] == files["keystone.conf"]["federation"]
    methods = set(files["keystone.conf"]["auth"]["methods"].split(","))
    assert set(keystone["auth"]["methods"].split(",")) == methods - {"openid"}  # kolla's own federation


def test_commands_can_be_pasted_into_a_shell():
    found = blocks("existing-cloud.md", "bash")
    assert any("8773/tcp" in block for block in found)
    for block in found:
        read = subprocess.run(["bash", "-n"], input=block, capture_output=True, text=True, check=False)
        assert (read.returncode, read.stderr) == (0, "")
