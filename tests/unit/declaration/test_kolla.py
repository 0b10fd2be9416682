"""What a kolla-ansible cloud is told."""

import configparser
from pathlib import Path

import pytest

from osg_site_iaas.declaration import kolla
from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.public import public
from osg_site_iaas.errors import SiteError

SITE = public(load(Path(__file__).parents[3] / "examples/complete.yml"))


def told(site, *args):
    found = {}
    for name, text in kolla.overrides(site, *args).items():
        found[name] = configparser.ConfigParser(interpolation=None)
        found[name].read_string(text)
    return found


def test_guests_get_their_metadata_from_the_door_where_there_is_one():
    assert "neutron/metadata_agent.ini" not in told(SITE)
    files = told(SITE, "192.0.2.10:8775")
    for agent in ("metadata_agent", "neutron_ovn_metadata_agent"):
        assert dict(files[f"neutron/{agent}.ini"]["DEFAULT"]) == {
            "nova_metadata_host": "192.0.2.10",
            "nova_metadata_port": "8775",
            "nova_metadata_protocol": "http",
        }


def test_an_address_may_be_one_of_ipv6():
    assert (
        told(SITE, "[2001:db8::1]:8775")["neutron/metadata_agent.ini"]["DEFAULT"]["nova_metadata_host"]
        == "2001:db8::1"
    )


@pytest.mark.parametrize("address", ["192.0.2.10", "192.0.2.10:", ":8775", "host:port"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(SiteError, match="no address of a metadata door"):
        kolla.overrides(SITE, address)


def test_the_longest_lifetime_is_keystones_own():
    site = {"identity_providers": {"a": {"authorization_ttl": 60}, "b": {"authorization_ttl": 5760}}}
    assert told(site)["keystone.conf"]["federation"]["default_authorization_ttl"] == "5760"


def test_a_site_without_lifetimes_leaves_it_to_keystone():
    assert "federation" not in told({"identity_providers": {"a": {"authorization_ttl": 0}}})["keystone.conf"]


def test_grid_logins_keep_the_other_methods():
    methods = told(SITE)["keystone.conf"]["auth"]["methods"].split(",")
    assert {"mapped", "password", "token", "application_credential", "openid"} <= set(methods)


def test_a_cell_that_is_down_is_an_error():
    assert told(SITE)["nova.conf"]["api"]["list_records_by_skipping_down_cells"] == "false"
