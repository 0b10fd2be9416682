"""The way back to the earlier program, by the commands of docs/roles.md. It comes after test_upgrade.py."""

import json
import re
from pathlib import Path

import pytest
from earlier import ROOT, roles
from estate import BEFORE, door, launch, launch_and_end, on_host, query, state

testinfra_hosts = ["podman://osg-upgrade"]
SITE = "/etc/osg/site-iaas/site.yml"
STATE = "/var/lib/gratia/openstack/accounting.sqlite"


def commands():
    """What the page says to do on the host before the earlier roles are run."""
    page = (ROOT / "docs/roles.md").read_text(encoding="utf-8").partition("\n**The way back**")[2]
    return re.search(r"```\n(.*?)```", page, re.DOTALL)[1]


@pytest.fixture(scope="module")
def before():
    return json.loads(BEFORE.read_text())


@pytest.fixture(scope="module")
def new(before):
    """What the new program has written, and the records that it has sent."""
    launch_and_end(door(), "after-upgrade")
    on_host("systemctl", "start", "gratia-probe-openstack.service")
    on_host("systemctl", "start", "osg-site-iaas-addresses.service")
    found = {**state(), "sent": query("records"), "later": launch(door(), "later")}
    assert found["program"] != before["program"]
    assert len(found["sent"]) == len(before["sent"]) + 2
    return found


@pytest.fixture(scope="module")
def back(host, new):
    host.check_output("sh -ec %s", commands())
    roles()
    return host


def test_the_earlier_probe_refuses_the_state_that_the_new_one_wrote_and_leaves_it_as_it_is(host, before, new):
    state_was = host.check_output(f"sha256sum {STATE}")
    ask = f"accounting status --state {Path(STATE).parent} {SITE}"
    told = host.run(f"{before['program']}/bin/osg-site-iaas {ask}")
    assert told.rc == 1, told
    assert "the accounting state has version 3, and this program knows 2" in told.stderr
    assert "use the release that wrote it, or a later one" in told.stderr
    assert "Traceback" not in told.stderr
    assert host.check_output(f"sha256sum {STATE}") == state_was


def test_the_earlier_program_refuses_the_addresses_that_the_new_one_wrote(host, before, new):
    ask = f"who --ip 10.20.0.9 {SITE}"
    told = host.run(f"{before['program']}/bin/osg-site-iaas {ask}")
    assert told.rc == 1, told
    assert "its version is 2, and this program knows 1" in told.stderr
    assert "Traceback" not in told.stderr


@pytest.mark.parametrize("unit", ["osg-site-iaas-ec2", "osg-site-iaas-ec2-reaper"])
def test_after_the_way_back_the_earlier_program_runs(back, before, new, unit):
    pid = back.check_output(f"systemctl show --property MainPID --value {unit}")
    assert before["program"] in back.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    assert new["program"] not in back.check_output("ps -eo args")


def test_the_state_of_before_the_upgrade_is_there_again(back, before):
    assert state()["records"] == before["records"]


def test_launches_that_are_sent_again_find_their_servers_whichever_program_started_them(back, before, new):
    assert launch(door(), "kept") == before["kept"]
    assert launch(door(), "later") == new["later"]


def test_what_the_new_program_sent_is_sent_again_and_counts_once(back, new):
    on_host("systemctl", "start", "gratia-probe-openstack.service")
    assert len(state()["records"]) == len(new["records"])
    assert [row["checksum"] for row in query("records")] == [row["checksum"] for row in new["sent"]]
    assert query("duplicates") == []
    assert sum(row["arrivals"] for row in query("records")) > sum(row["arrivals"] for row in new["sent"])


def test_the_earlier_program_plans_to_take_back_what_the_new_one_wrote_down_and_nothing_else(back):
    told = json.loads(back.run(f"osg-site-iaas plan --json {SITE}").stdout)
    assert {change["kind"] for change in told["changes"]} <= {"group"}, told
