"""The same with every variable changed: each of them is really used."""

testinfra_hosts = ["podman://osg-accounting-changed"]


READ = """
from osg_site_iaas.accounting.probeconfig import PATH, read_attributes
found = read_attributes(PATH)
names = ("EnableProbe", "Cloud", "Reader", "SettleMinutes", "CollectorHost", "SiteName", "Databases")
print(*(found[name] for name in names), sep="|")
"""


def test_the_probe_understands_its_configuration_as_it_was_meant(host):
    told = host.run("runuser -u gratia -- /srv/osg/current/bin/python -c %s", READ).stdout.strip()
    databases = "/etc/gratia/openstack/cell0.url /etc/gratia/openstack/cell1.url"
    assert told.split("|") == ["1", "elsewhere", "database", "45", "127.0.0.1:9", "A&B", databases]


def test_databases_are_for_the_probe_only(host):
    file = host.file("/etc/gratia/openstack/cell1.url")
    assert (file.content_string, file.mode, file.group) == ("sqlite:////none/cell1\n", 0o640, "gratia")


def test_the_timer_knows_its_time(host):
    known = host.check_output(
        "systemctl show gratia-probe-openstack.timer --property TimersCalendar --property RandomizedDelayUSec"
    )
    assert "*:00/10:00" in known
    assert "RandomizedDelayUSec=1min" in known
