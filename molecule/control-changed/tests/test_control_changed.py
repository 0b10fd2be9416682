"""The same with every variable changed: each of them is really used."""

testinfra_hosts = ["podman://osg-control-changed"]


def test_the_command_lies_where_it_was_told_to(host):
    assert host.check_output("readlink /usr/bin/osg-site-iaas") == "/srv/osg/current/bin/osg-site-iaas"
    assert not host.file("/opt/osg-site-iaas").exists
    assert host.run("osg-site-iaas check /etc/osg/site-iaas/site.yml").rc == 0


def test_the_timer_is_off_and_knows_its_time(host):
    timer = host.service("osg-site-iaas-drift.timer")
    assert not timer.is_enabled
    assert not timer.is_running
    known = host.check_output(
        "systemctl show osg-site-iaas-drift.timer --property TimersCalendar --property RandomizedDelayUSec"
    )
    assert "Mon *-*-* 06:00:00" in known
    assert "RandomizedDelayUSec=1min" in known


def test_the_other_timers_are_as_they_were_asked_for(host):
    assert not host.service("osg-site-iaas-addresses.timer").is_enabled
    assert host.service("osg-site-iaas-status.timer").is_running
    known = host.check_output("systemctl show osg-site-iaas-status.timer --property TimersCalendar")
    assert "*:00/7:00" in known


def test_options_reach_what_the_timers_start(host):
    host.run("systemctl start osg-site-iaas-addresses.service")
    told = host.check_output("journalctl --unit osg-site-iaas-addresses.service --output json --no-pager")
    assert "unrecognized" not in told
    assert host.file("/etc/osg/site-iaas/addresses.env").contains("OPTIONS=--keep-days 30")
    assert host.file("/etc/osg/site-iaas/status.env").contains("OPTIONS=--days 7")


def test_root_has_no_login_by_itself(host):
    assert not host.file("/root/.config/openstack/clouds.yaml").exists


def test_the_sites_own_ca_is_trusted(host):
    host.check_output(
        "openssl verify -CApath /etc/ssl/certs /usr/local/share/ca-certificates/osg-site-iaas.crt"
    )
