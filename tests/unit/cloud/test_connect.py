"""Entries of clouds.yaml that cannot be meant."""

from __future__ import annotations

import os

import pytest
import yaml

from osg_site_iaas.cloud import logins
from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.errors import CloudError

AUTH = {"auth_url": "http://127.0.0.1:9/v3", "username": "u", "password": "p", "project_name": "p"}


@pytest.fixture
def entry(tmp_path, monkeypatch):
    def write(value):
        file = tmp_path / "clouds.yaml"
        file.write_text(yaml.safe_dump({"clouds": {"mine": value}}))
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))

    return write


@pytest.mark.parametrize("value", [5, "text", ["a"]])
def test_an_entry_that_is_no_mapping_is_said(entry, value):
    entry(value)
    with pytest.raises(CloudError, match="'mine'"):
        connect("mine")


def test_an_entry_for_another_region_is_an_error_that_names_both(entry):
    entry({"auth": AUTH, "region_name": "Nowhere"})
    with pytest.raises(CloudError, match=r"region 'Nowhere', site.yml for 'RegionOne'"):
        connect("mine", region="RegionOne")
    assert connect("mine").region == "Nowhere"


@pytest.mark.parametrize("more", [{}, {"region_name": "RegionOne"}, {"regions": ["Other", "RegionOne"]}])
def test_an_entry_that_leaves_the_region_open_or_names_it_is_taken(entry, more):
    entry({"auth": AUTH, **more})
    assert connect("mine", region="RegionOne").region == "RegionOne"


@pytest.mark.parametrize(
    "auth,plugin",
    [
        ({}, "v3"),
        ({"auth_url": "http://127.0.0.1:9/identity/v3/"}, "v3"),
        ({"auth_url": "http://127.0.0.1:9"}, "generic"),
        ({"default_domain_id": "default"}, "generic"),
    ],
)
def test_where_the_address_says_which_keystone_it_is_nobody_asks(entry, auth, plugin):
    entry({"auth": {**AUTH, "user_domain_id": "default", "project_domain_id": "default", **auth}})
    assert type(connect("mine").session.auth).__module__.split(".")[2] == plugin


def test_a_file_of_logins_that_was_named_and_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with pytest.raises(CloudError) as error:
        connect("mine")
    assert error.value.todo == (
        f"OS_CLIENT_CONFIG_FILE names {tmp_path}/clouds.yaml, which is not there: write it, or unset the variable"
    )


def test_where_a_login_is_missing_it_is_said_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OS_CLIENT_CONFIG_FILE", raising=False)
    with pytest.raises(CloudError) as error:
        connect("mine")
    for place in (
        "clouds.yaml",
        f"{tmp_path}/.config/openstack/clouds.yaml",
        "/etc/osg/site-iaas/clouds/control.yaml",
    ):
        assert place in error.value.todo
    assert "OS_CLIENT_CONFIG_FILE" in error.value.todo


def test_another_name_in_a_file_that_was_named_is_said_with_the_file(entry, tmp_path):
    entry({"auth": AUTH})
    with pytest.raises(CloudError) as error:
        connect("yours")
    assert f"only {tmp_path}/clouds.yaml was looked at" in error.value.todo


@pytest.mark.parametrize("named", [True, False])
def test_a_file_of_logins_that_may_not_be_read_is_said(entry, tmp_path, monkeypatch, named):
    entry({"auth": AUTH})
    file = tmp_path / "clouds.yaml"
    if not named:
        monkeypatch.delenv("OS_CLIENT_CONFIG_FILE")
        monkeypatch.setenv("HOME", "/nonexistent")
        monkeypatch.chdir("/")
        monkeypatch.setattr(logins, "CONTROL", file)
    file.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        with pytest.raises(CloudError) as error:
            connect("mine")
    finally:
        if root:
            os.seteuid(0)
    assert f"you may not read {file}: run this as root" in error.value.todo
