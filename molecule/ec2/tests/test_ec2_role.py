"""The EC2 door on a host, with TLS in front; no cloud answers behind it."""

import json
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


def test_doctor_knows_of_no_metadata_door_where_none_is_wanted(host):
    for name in ("metadata.env", "ec2-reaper.env", "clouds/metadata.yaml", "secrets/metadata"):
        assert not host.file(f"/etc/osg/site-iaas/{name}").exists, name
    told = json.loads(host.run("osg-site-iaas doctor --json").stdout)
    (metadata,) = [one for one in told["results"] if one["check"] == "metadata"]
    assert metadata["state"] == "skipped"


def test_nginx_and_apache_live_beside_each_other(host):
    assert host.service("nginx").is_running
    assert host.service("apache2").is_running
    listen = [line.split() for line in host.check_output("ss -Hltnp").splitlines()]
    ports = {where.rpartition(":")[2] for _, _, _, where, _, *who in listen if "nginx" in " ".join(who)}
    assert ports == {"8773"}
    assert "Apache" in host.check_output("curl -sSI http://127.0.0.1/")


def test_the_proxy_tells_nobody_how_the_door_does(host):
    for path in ("health", "metrics", "./metrics", "%6detrics", "metrics?", "/a/metrics"):
        told = host.check_output(f"{ASK}{path} --path-as-is")
        assert not re.match("HTTP/1.1 200", told), path
        assert "osg_site_iaas" not in told
    for path in ("health", "metrics"):
        assert re.match("HTTP/1.1 404", host.check_output(f"{ASK}{path}"))
        host.check_output(f"curl -sSf http://127.0.0.1:8788/{path}")


def test_logs_name_the_client_join_by_the_request_and_keep_no_query(host):
    query = "Action=RunInstances&UserData=SECRETDATA&AWSAccessKeyId=AKIAEXAMPLE&Signature=SECRETSIGNATURE"
    forged = "-H 'X-Forwarded-For: 203.0.113.9' -H 'X_Forwarded_For: 203.0.113.9'"
    here = host.check_output("hostname -I").split()[0]
    ask = ASK.replace(":127.0.0.1", f":{here}")
    told = host.check_output(f"{ask}'?{query}' {forged}")
    status = int(re.match(r"HTTP/1.1 (\d+)", told)[1])
    number = re.search("(?im)^x-amzn-requestid: (req-[0-9a-f-]+)", told)[1]
    for named in ("-t osg_site_iaas_nginx", "-u osg-site-iaas-ec2"):
        log = f"for i in $(seq 60); do journalctl -o cat {named} | grep {number} && break; sleep 1; done"
        line = json.loads(host.check_output(log))
        assert (line["address"], line["status"]) == (here, status)
    # where the door is away nginx would quote the request
    host.check_output("systemctl stop osg-site-iaas-ec2")
    assert "HTTP/1.1 502" in host.check_output(f"{ASK}'?{query}'")
    host.check_output("systemctl start osg-site-iaas-ec2")
    assert not host.run("journalctl --no-pager -o export | grep -a SECRET").succeeded
    assert not host.run("grep -r SECRET /var/log/nginx").succeeded


def test_doctor_goes_where_clients_go_through_nginx_to_the_door(host):
    """The name that clients use is not the certificate's, whose CA is the test's own; and Keystone is away."""

    def found():
        told = json.loads(host.run("osg-site-iaas doctor --only ec2-tls --json").stdout)
        findings = told["results"][0]["findings"]
        assert {one["where"] for one in findings} == {"https://osg-ec2:8773/"}, findings
        return [one["what"] for one in findings]

    name, trust, answer = found()
    assert name == "its certificate is for cloud.example.org, and clients come to osg-ec2"
    assert "is not trusted by who knows this host's CAs" in trust
    assert answer == "a request that nobody signed is answered 503 Unavailable, not refused"
    host.check_output("systemctl stop osg-site-iaas-ec2")
    try:
        assert found()[-1] == "answers 502: the proxy does not reach the door"
    finally:
        host.check_output("systemctl start osg-site-iaas-ec2")
