"""A site as its VO meets it: guests on both computes by the VO's EC2 key, and what is told of them to accounting."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cloud import USER_DATA, Cloud, wait_for

testinfra_hosts = ["podman://osg-site-controller"]
KEY = "AWS_PROFILE=cms-pilot AWS_SHARED_CREDENTIALS_FILE=/etc/osg/site-iaas/secrets/cms-pilot.ec2"
MEMBER = (Path(__file__).parents[1] / "files/member.py").read_text()


@pytest.fixture(scope="module")
def cloud(host):
    return Cloud(host)


@pytest.fixture(scope="module")
def member(host):
    """Does what a member of the VO would, and says what the EC2 door answered."""
    host.check_output(f"cat > /root/member.py <<'END'\n{MEMBER}\nEND")
    host.check_output(f"cat > /root/user-data <<'END'\n{USER_DATA}\nEND")
    return lambda *words: json.loads(host.check_output(f"{KEY} python3 /root/member.py {' '.join(words)}"))


@pytest.fixture(scope="module")
def collector(host):
    """The stand-in for the site's collector, where site.yml says that it is."""
    run = "/usr/bin/python3 -m osg_site_iaas.sandbox.collector --port 8880 --state /var/lib/collector"
    host.check_output(f"mkdir -p /var/lib/collector; systemd-run --unit stand-in {run}")
    return lambda path: json.loads(host.check_output(f"curl -sS http://127.0.0.1:8880{path}"))


@pytest.fixture(scope="module")
def instances(cloud, member):
    """Two instances, by EC2 id: the scheduler puts one on each compute."""
    cloud.image()
    names = [one["InstanceId"] for one in member("run", "2")]

    def run():
        states = [one["State"]["Name"] for one in member("describe", *names)]
        assert set(states) <= {"pending", "running"}, states
        return set(states) == {"running"}

    wait_for(run, 900)
    return {one["InstanceId"]: one for one in member("describe", *names)}


def test_plan_has_nothing_to_do_after_the_playbook(host):
    done = host.run("osg-site-iaas plan /etc/osg/site-iaas/site.yml")
    assert done.rc == 0, done.stdout + done.stderr


def test_check_mode_shows_the_plan_of_a_new_site_yml_and_leaves_the_hosts_alone(host, tmp_path):
    project = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
    declared = Path(__file__).parents[1] / "files/site.yml"
    (tmp_path / "site.yml").write_text(declared.read_text().replace("instances: 4", "instances: 5"))
    words = ["--check", "--diff", "-e", f"site_file={tmp_path / 'site.yml'}"]
    only = [
        "--start-at-task",
        "See whether there is anything to compare with",
        "--limit",
        "osg_controller,localhost",
    ]
    done = subprocess.run(
        [
            "ansible-playbook",
            "-i",
            os.environ["MOLECULE_INVENTORY_FILE"],
            project / "playbooks/site.yml",
            *words,
            *only,
        ],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(project / ".collections")},
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    assert "-  instances: 4" in done.stdout.replace("- instances", "-  instances"), done.stdout
    assert "instances: 5" in done.stdout
    assert not host.file("/etc/osg/site-iaas/site.checked.yml").exists
    assert host.run("osg-site-iaas plan /etc/osg/site-iaas/site.yml").rc == 0


def test_a_grid_proxy_becomes_a_token_at_the_sites_keystone(host):
    login = "https://cloud.example.org:5000/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"
    ask = "curl -sS -o /dev/null -w %{http_code} --cacert /root/ca.pem"
    assert host.check_output(f"{ask} --cert /root/jane.pem --key /root/jane.pem {login}") == "201"
    assert host.check_output(f"{ask} --cert /root/stranger.pem --key /root/stranger.pem {login}") == "401"


def test_both_computes_take_servers(cloud, instances):
    hosts = {one["Host"] for one in cloud.ask("server list --all-projects --long")}
    assert hosts == {"compute1.example.org", "compute2.example.org"}


def test_user_data_runs_in_each_guest_with_the_ids_of_the_door(member, instances):
    for name, instance in instances.items():

        def said(name=name):
            lines = [line for line in member("console", name).splitlines() if line.startswith("SAW {")]
            return lines and json.loads(lines[-1][4:])

        saw = wait_for(said)
        assert saw["id"] == name
        assert saw["address"] == instance["PrivateIpAddress"]


def test_each_guest_asks_for_a_login(member, instances):
    for name in instances:

        def asks(name=name):
            return " login:" in member("console", name)

        assert wait_for(asks)


def test_guests_use_is_told_to_the_collector(host, member, instances, collector):
    member("terminate", *instances)

    def gone():
        return {one["State"]["Name"] for one in member("describe", *instances)} <= {"terminated"}

    wait_for(gone, 600)
    host.check_output("systemctl start gratia-probe-openstack.service")
    (told,) = collector("/query/summary")
    assert told["vo"] == "cms"
    assert told["records"] == 2
    assert told["wall_seconds"] > 0
    assert host.run("systemctl start gratia-probe-openstack.service").succeeded
    assert collector("/query/summary") == [told]
