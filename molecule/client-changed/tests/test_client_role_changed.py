"""The same with every variable changed: each of them is really used."""

testinfra_hosts = ["podman://osg-client-changed"]


def test_the_site_of_the_machine_is_the_one_that_is_meant(host):
    told = host.run("osg-iaas login")
    assert told.rc == 1
    assert "127.0.0.1:9" in told.stderr


def test_the_tools_are_not_there(host):
    assert not host.exists("openstack")
    assert not host.exists("voms-proxy-info")
