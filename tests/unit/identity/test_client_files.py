"""What ``osg-iaas`` makes of an address, and writes for other tools."""

from __future__ import annotations

import configparser
import dataclasses
from pathlib import Path

import pytest
import yaml

from osg_site_iaas.cli.vo import files, sites
from osg_site_iaas.declaration.load import load
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import welcome

KEYS = files.Keys(
    name="cms-example", auth_url="https://cloud.example.org:5000/v3", ca=None, plugin="v3gridproxy", provider="grid",
    protocol="mapped", credential=None, project_id="p1", project="cms", region="RegionOne", access="AK",
    secret="SK", ec2_url="https://ec2.RegionOne.example.org:8788/", s3_url="https://s3.example.org",
)  # fmt: skip


@pytest.mark.parametrize(
    "given,url,name",
    [
        ("cloud.example.org", "https://cloud.example.org:5000/v3", "cloud.example.org"),
        ("cloud.example.org:13000", "https://cloud.example.org:13000/v3", "cloud.example.org:13000"),
        ("https://cloud.example.org/identity", "https://cloud.example.org/identity/v3", "cloud.example.org"),
        ("https://cloud.example.org:5000/v3/", "https://cloud.example.org:5000/v3", "cloud.example.org"),
        ("https://[2001:db8::1]:5000", "https://[2001:db8::1]:5000/v3", "2001:db8::1"),
    ],
)
def test_an_address_may_be_short(given: str, url: str, name: str) -> None:
    assert (sites.parse(given).url, sites.parse(given).name) == (url, name)


@pytest.mark.parametrize("given", ["http://cloud.example.org", "https://", "cloud:port", "ftp://x"])
def test_a_credential_goes_over_https_only(given: str) -> None:
    with pytest.raises(SiteError):
        sites.parse(given)


def test_clouds_yaml_holds_no_secret() -> None:
    text = files.clouds_yaml(KEYS)
    assert "SK" not in text
    assert yaml.safe_load(text)["clouds"]["cms-example"]["auth_type"] == "v3gridproxy"


def test_the_aws_profile_has_its_services_and_a_command_and_no_secret() -> None:
    text = files.aws_config(KEYS, "osg-iaas aws-credential-process --dir '/a b'")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read_string(text)
    assert parser["profile cms-example"]["credential_process"].endswith("'/a b'")
    assert "endpoint_url = https://ec2.RegionOne.example.org:8788/" in parser["services cms-example"]["ec2"]
    assert "SK" not in text


def test_the_submit_file_says_what_is_left_to_fill_in() -> None:
    text = files.submit_file(KEYS, Path("/keys"))
    assert "grid_resource = ec2 https://ec2.RegionOne.example.org:8788/\n" in text
    assert "ec2_secret_access_key = /keys/secret_access_key\n" in text
    assert "FILL-IN" in text


def test_a_site_tells_what_a_client_needs_and_reads_it_back(tmp_path: Path) -> None:
    example = Path(__file__).parents[3] / "examples" / "complete.yml"
    found = welcome.from_data(welcome.to_data(load(example)), "here")
    grid, igwn = found.provider("x509"), found.provider("token", "https://issuer.example.org/igwn")
    assert grid is not None
    assert igwn is not None
    assert igwn.audiences == ("https://cloud.example.org",)
    assert found.vos["cms"] == "cms"
    with pytest.raises(SiteError):
        welcome.from_data({"version": 1}, "here")
    with pytest.raises(SiteError, match="later language"):
        welcome.from_data({"version": 2}, "here")


def test_an_application_credential_is_a_second_cloud_and_no_key_leaves_openstack_alone(
    tmp_path: Path,
) -> None:
    both = dataclasses.replace(KEYS, application_credential=("ID", "APPSECRET"))
    clouds = yaml.safe_load(files.clouds_yaml(both))["clouds"]
    assert list(clouds) == ["cms-example", "cms-example-app"]
    assert clouds["cms-example-app"]["auth"] == {
        "auth_url": KEYS.auth_url,
        "application_credential_id": "ID",
        "application_credential_secret": "APPSECRET",
    }
    without = files.all_files(dataclasses.replace(KEYS, access=None, secret=None), tmp_path, "x")
    assert set(without) == {"clouds.yaml"}
