"""The EC2 door on a host, with TLS in front; no cloud answers behind it."""

import re

testinfra_hosts = ["podman://osg-ec2"]
ASK = "curl -sS -i --cacert /root/ca.pem --resolve cloud.example.org:8773:127.0.0.1 https://cloud.example.org:8773/"


def test_the_doors_that_were_asked_for_run(host):
    assert host.service("osg-site-iaas-ec2").is_running
    assert host.service("osg-site-iaas-ec2").is_enabled
    for name in ("osg-site-iaas-metadata", "osg-site-iaas-ec2-reaper"):
        assert not host.service(name).is_running
        assert not host.service(name).is_enabled


def test_the_door_answers_as_ec2_does_through_tls(host):
    told = host.check_output(f"{ASK} --data Action=DescribeInstances --data Version=2016-11-15")
    assert re.search("(?im)^server: AmazonEC2", told)
    assert "<Code>" in told
    assert "Traceback" not in told


def test_it_listens_by_itself_on_this_host_only(host):
    assert host.socket("tcp://127.0.0.1:8788").is_listening
    assert not host.socket("tcp://0.0.0.0:8788").is_listening
    assert host.socket("tcp://0.0.0.0:8773").is_listening


def test_the_doors_user_cannot_read_its_login(host):
    assert not host.run("runuser -u osg-site-iaas-ec2 -- cat /etc/osg/site-iaas/clouds/ec2.yaml").succeeded
