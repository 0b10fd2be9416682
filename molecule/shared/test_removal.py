"""What a role's README says about removing it leaves nothing behind that runs, starts or listens. It runs last."""

import os
import re
from pathlib import Path

import pytest

SCENARIO = os.environ["MOLECULE_SCENARIO_NAME"]
ROLES = Path(__file__).parents[2] / "roles"
testinfra_hosts = [f"podman://osg-{SCENARIO}"]
# With everything changed, files lie elsewhere than the README can know.
pytestmark = pytest.mark.skipif(not (ROLES / SCENARIO).is_dir(), reason="default scenarios of roles only")
OURS = "'osg-site-iaas*' -o -name 'osg-iaas*' -o -name 'gratia-probe-openstack*'"
PLACES = "/etc/systemd /etc/sysusers.d /etc/tmpfiles.d /etc/nginx /etc/apache2 /opt /srv /usr/local /usr/bin"
PAGES = "/usr/share/doc"


def removal(role):
    """The commands of the README after `To remove it`, as they stand there."""
    text = (ROLES / role / "README.md").read_text(encoding="utf-8").partition("\nTo remove it")[2]
    return re.search(r"\n\n((?:    .+\n)+)", text)[1].replace("\n    ", "\n").strip()


def test_removal_as_the_pages_say_it_leaves_nothing_that_runs_or_starts(host):
    for role in (SCENARIO, "program"):
        host.check_output(f"sh -ec '{removal(role)}'")
    assert host.check_output(f"find {PLACES} {PAGES} -name {OURS} 2>/dev/null; true") == ""
    units = "systemctl list-unit-files --no-legend 'osg-site-iaas*' 'gratia-probe-*'; true"
    assert host.check_output(units) == ""
    assert "osg-site-iaas" not in host.check_output("ps -eo user:32,args")
    assert not host.run("command -v osg-site-iaas").succeeded
    assert not host.run("/usr/bin/python3 -c 'import osg_site_iaas'").succeeded
