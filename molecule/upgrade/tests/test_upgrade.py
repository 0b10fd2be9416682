"""After an upgrade from an earlier commit the new program runs, and nothing that the host kept is lost or doubled."""

import json

import pytest
from botocore.exceptions import ClientError
from estate import BEFORE, collector_fails, door, launch, on_host, query, state

testinfra_hosts = ["podman://osg-upgrade"]
LONG_RUNNING = ("osg-site-iaas-ec2", "osg-site-iaas-ec2-reaper")


@pytest.fixture(scope="module")
def before():
    return json.loads(BEFORE.read_text())


@pytest.fixture(scope="module")
def now():
    """What the host keeps after the upgrade, before any test has touched it."""
    return state()


def test_another_program_is_in_use(before, now):
    assert now["program"] != before["program"]


@pytest.mark.parametrize("unit", LONG_RUNNING)
def test_what_runs_all_the_time_runs_the_new_program(host, before, now, unit):
    pid = host.check_output(f"systemctl show --property MainPID --value {unit}")
    running = host.check_output(f"tr '\\0' ' ' < /proc/{pid}/cmdline")
    assert now["program"] in running
    assert before["program"] not in host.check_output("ps -eo args")


def test_the_earlier_program_is_still_there_to_go_back_to(host, before):
    assert host.run(f"{before['program']}/bin/osg-site-iaas --version").rc == 0


def test_records_that_were_made_are_the_same_to_the_byte(before, now):
    assert len(before["records"]) == 2
    assert [record for record in now["records"] if record in before["records"]] == before["records"]


def test_the_store_of_client_tokens_is_kept(before, now):
    assert len(before["tokens"]) == 3
    assert now["tokens"] == before["tokens"]


def test_configuration_is_valid_for_the_new_program(host):
    assert host.run("osg-site-iaas check /etc/osg/site-iaas/site.yml").rc == 0
    login = "env OS_CLIENT_CONFIG_FILE=/etc/osg/site-iaas/clouds/ec2.yaml"
    assert host.run(f"{login} osg-site-iaas-ec2 --check --config /etc/osg/site-iaas/ec2.yml").rc == 0


@pytest.mark.parametrize(
    "timer",
    [
        "gratia-probe-openstack",
        "osg-site-iaas-drift",
        "osg-site-iaas-addresses",  # these two came after the earlier commit
        "osg-site-iaas-status",
    ],
)
def test_timers_wait(host, timer):
    assert host.service(f"{timer}.timer").is_enabled
    assert host.service(f"{timer}.timer").is_running


def test_the_first_plan_shows_what_the_earlier_program_did_not_write_down_and_nothing_else(host):
    site = "/etc/osg/site-iaas/site.yml"
    told = json.loads(host.run(f"osg-site-iaas plan --json {site}").stdout)
    # since then a VO's group says who gets in (decision 090)
    assert [(change["kind"], change["key"]) for change in told["changes"]] == [("group", ["cms-member"])], (
        told
    )
    host.check_output(f"osg-site-iaas apply --yes {site}")
    assert host.run("systemctl start osg-site-iaas-drift.service").rc == 0
    assert host.run("systemctl start osg-site-iaas-status.service").rc == 0


def test_a_launch_that_is_sent_again_after_the_upgrade_finds_its_server(before):
    ec2 = door()
    assert launch(ec2, "kept") == before["kept"]
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ec2.run_instances(
            ImageId="ami-00000001", InstanceType="osg.small", MinCount=2, MaxCount=2, ClientToken="kept"
        )


def test_what_waited_is_sent_once_and_what_was_sent_is_not_sent_again(host, before):
    (sent,) = before["sent"]
    assert query("records") == [sent]
    collector_fails(False)
    on_host("systemctl", "start", "gratia-probe-openstack.service")
    assert len(query("records")) == 2
    assert sent in query("records")
    assert query("duplicates") == []
