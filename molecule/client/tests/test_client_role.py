"""A VO member's machine: the command and the tools that it stands on."""

testinfra_hosts = ["podman://osg-client"]


def test_the_command_runs_and_knows_no_site_yet(host):
    assert host.run("osg-iaas --help").rc == 0
    told = host.run("osg-iaas login")
    assert told.rc == 1
    assert "no site is known yet" in told.stderr


def test_the_tools_are_there(host):
    assert host.run("openstack --version").rc == 0
    assert host.run("voms-proxy-info --version").rc == 0


def test_openstacks_client_has_the_login_plugins(host):
    plugins = host.check_output(
        "/usr/bin/python3 -c 'from keystoneauth1 import loading; print(sorted(loading.get_available_plugin_names()))'"
    )
    assert "v3gridproxy" in plugins
    assert "v3gridtoken" in plugins
