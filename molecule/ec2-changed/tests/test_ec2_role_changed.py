"""The same with every variable changed: each of them is really used."""

import json
import re

import yaml

testinfra_hosts = ["podman://osg-ec2-changed"]
ASK = "curl -sS -i --cacert /root/ca.pem --resolve cloud.example.org:443:127.0.0.1 https://cloud.example.org/"


def test_all_three_run(host):
    for name in ("osg-site-iaas-ec2", "osg-site-iaas-metadata", "osg-site-iaas-ec2-reaper"):
        assert host.service(name).is_enabled
        assert host.service(name).is_running


def test_the_settings_are_the_given_ones(host):
    settings = yaml.safe_load(host.file("/etc/osg/site-iaas/ec2.yml").content_string)
    assert settings == {
        "bind": "127.0.0.1:8799",
        "cloud": "osg-site-iaas-ec2",
        "keystone": "secrets",
        "region": "elsewhere",
        "secrets_cloud": "osg-site-iaas-ec2-reader",
        "server_type": "openstack",
        "url": "https://cloud.example.org:443/",
        "workers": 1,
    }


def test_the_door_answers_at_the_other_port_under_its_other_name(host):
    told = host.check_output(f"{ASK} --data Action=DescribeInstances --data Version=2016-11-15")
    assert not re.search("(?im)^server: AmazonEC2", told)
    assert "<Code>" in told


def test_the_metadata_door_serves_the_socket_alone_and_as_its_proxies_user(host):
    socket = host.file("/var/lib/proxies/metadata_proxy")
    assert socket.is_socket
    assert socket.user == "proxies"
    assert not socket.mode & 0o007
    assert not host.socket("tcp://127.0.0.1:8776").is_listening


def test_a_guest_that_no_proxy_vouches_for_gets_no_metadata(host):
    told = host.check_output(
        "curl -sS -o /dev/null -w '%{http_code}' --unix-socket /var/lib/proxies/metadata_proxy"
        " http://169.254.169.254/latest/meta-data/instance-id"
    )
    assert told in ("401", "403")


def test_options_reach_reaper_and_metadata_door(host):
    processes = host.check_output("ps -eo args")
    assert "--region elsewhere --interval 30" in processes
    assert "--socket /var/lib/proxies/metadata_proxy --require-token --tags" in processes


def test_doctor_asks_the_metadata_door_at_its_socket(host):
    told = json.loads(host.run("osg-site-iaas doctor --json --only metadata").stdout)
    assert [one["state"] for one in told["results"]] == ["ok"]


def test_nginx_would_come_back_after_what_it_did_not_take(host):
    host.check_output("nginx -t")
    assert host.file("/etc/nginx/conf.d/osg-site-iaas-ec2.conf").contains("ssl_certificate /etc/ssl/door.pem")
