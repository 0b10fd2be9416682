"""The administrator's command on a host: it runs, judges the declaration, and its timer looks for drift."""

testinfra_hosts = ["podman://osg-control"]


def test_the_declaration_is_in_use(host):
    assert host.run("osg-site-iaas check /etc/osg/site-iaas/site.yml").rc == 0


def test_only_root_reads_the_login(host):
    login = host.file("/etc/osg/site-iaas/clouds/control.yaml")
    assert (login.user, login.mode) == ("root", 0o600)
    assert not host.run("runuser -u osg-site-iaas -- cat /etc/osg/site-iaas/clouds/control.yaml").succeeded


def test_the_timer_waits(host):
    timer = host.service("osg-site-iaas-drift.timer")
    assert timer.is_enabled
    assert timer.is_running


def test_a_run_reads_declaration_and_login_and_tells_that_the_cloud_does_not_answer(host):
    assert host.run("systemctl start osg-site-iaas-drift.service").rc != 0
    said = host.check_output("journalctl --unit osg-site-iaas-drift.service --output cat --no-pager")
    assert "127.0.0.1:9" in said
    assert "Traceback" not in said


def test_roots_commands_find_the_login(host):
    told = host.run("osg-site-iaas plan /etc/osg/site-iaas/site.yml")
    assert told.rc == 1
    assert "127.0.0.1:9" in told.stderr
