"""The probe on a host: it runs as its own user from its timer, and sends nothing until it is told to."""

testinfra_hosts = ["podman://osg-accounting"]


def test_the_timer_waits(host):
    timer = host.service("gratia-probe-openstack.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_nothing_is_sent_yet(host):
    assert 'EnableProbe="0"' in host.file("/etc/gratia/openstack/ProbeConfig").content_string


def test_a_run_reads_its_files_and_tells_that_the_cloud_does_not_answer(host):
    assert host.run("systemctl start gratia-probe-openstack.service").rc != 0
    said = host.check_output("journalctl --unit gratia-probe-openstack.service --output cat --no-pager")
    assert "127.0.0.1:9" in said
    assert "Traceback" not in said


def test_the_probes_user_cannot_read_the_login_itself(host):
    assert not host.run("runuser -u gratia -- cat /etc/osg/site-iaas/clouds/accounting.yaml").succeeded
