"""The administrator's command on a host: it runs, judges the declaration, and its timer looks for drift."""

import pytest

testinfra_hosts = ["podman://osg-control"]


def test_the_declaration_is_in_use(host):
    assert host.run("osg-site-iaas check /etc/osg/site-iaas/site.yml").rc == 0


def test_only_root_reads_the_login(host):
    login = host.file("/etc/osg/site-iaas/clouds/control.yaml")
    assert (login.user, login.mode) == ("root", 0o600)
    assert not host.run("runuser -u osg-site-iaas -- cat /etc/osg/site-iaas/clouds/control.yaml").succeeded


@pytest.mark.parametrize("name", ["addresses", "drift", "status"])
def test_the_timers_wait(host, name):
    timer = host.service(f"osg-site-iaas-{name}.timer")
    assert timer.is_enabled
    assert timer.is_running


@pytest.mark.parametrize("name", ["addresses", "drift"])
def test_a_run_reads_declaration_and_login_and_tells_that_the_cloud_does_not_answer(host, name):
    assert host.run(f"systemctl start osg-site-iaas-{name}.service").rc != 0
    said = host.check_output(f"journalctl --unit osg-site-iaas-{name}.service --output cat --no-pager")
    assert "127.0.0.1:9" in said
    assert "Traceback" not in said


def test_the_status_page_is_written_all_the_same_and_tells_it_too(host):
    host.check_output("systemctl start osg-site-iaas-status.service")
    page = host.file("/var/lib/osg-site-iaas/status/index.html")
    assert page.mode & 0o004
    assert "127.0.0.1:9" in page.content_string


def test_roots_commands_find_the_login(host):
    told = host.run("osg-site-iaas plan /etc/osg/site-iaas/site.yml")
    assert told.rc == 1
    assert "127.0.0.1:9" in told.stderr
