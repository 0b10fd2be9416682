"""A declaration as data for programs, and one that a program has made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osg_site_iaas.declaration.load import load
from osg_site_iaas.declaration.made import site_from
from osg_site_iaas.declaration.public import at, public
from osg_site_iaas.errors import DeclarationError, SiteError

EXAMPLES = Path(__file__).parents[3] / "examples"
HEADER = {"version": 1, "site": {"resource": "X", "fqdn": "x.example.org"}, "cloud": {"name": "x"}}


@pytest.fixture(scope="module")
def data():
    return public(load(EXAMPLES / "complete.yml"))


def test_it_is_json(data):
    assert json.loads(json.dumps(data)) == data


def test_defaults_are_filled_in_and_sizes_are_numbers(data):
    assert data["vos"]["icecube"]["quota"]["compute"] == {"instances": 10, "cores": 20, "ram": 40 * 1024}
    assert data["vos"]["cms"]["buckets"]["cms-scratch"]["quota_bytes"] == 500 * 1024**3


def test_what_is_not_said_is_left_out(data):
    assert "vos" not in data["flavours"]["osg.small"]
    assert data["flavours"]["osg.gpu"]["vos"] == ["icecube"]
    assert data["vos"]["icecube"]["access"] == [{"fqan": "/icecube/*", "role": "member", "ec2_keys": True}]


def test_named_things_are_by_name_and_lists_are_lists(data):
    assert list(data["vos"]) == ["cms", "icecube", "ligo"]
    assert data["networks"]["public"]["subnets"]["public-v4"]["cidr"] == "192.0.2.0/24"
    assert data["routers"]["cms-router"]["subnets"] == ["cms-v4"]
    assert data["vos"]["ligo"]["service_users"] == {}


def test_secrets_and_their_places_are_left_out():
    users = {"pilot": {"password": "file:/etc/very-secret"}, "other": {"password": "env:HIDDEN"}}
    made = site_from({**HEADER, "vos": {"cms": {"service_users": users}}}, called="x")
    text = json.dumps(public(made))
    assert "very-secret" not in text
    assert "HIDDEN" not in text
    assert "secrets" not in text


def test_a_path_leads_to_a_value(data):
    assert at(data, "vos.cms.quota.compute.cores") == 200
    assert at(data, "vos.cms.access.1.fqan") == "/cms/*"
    assert at(data, "") is data


def test_names_with_dots_are_found(data):
    assert at(data, "flavours.osg.gpu.vcpus") == 8


@pytest.mark.parametrize(
    "path, holds, known",
    [
        ("vo.cms", "its top", "vos"),
        ("vos.csm", "vos", "cms, icecube, ligo"),
        ("vos.cms.access.7", "vos.cms.access", "0, 1, 2"),
        ("vos.cms.project.x", "vos.cms.project", "nothing is below"),
    ],
)
def test_a_wrong_path_says_how_far_it_holds_and_what_is_there(data, path, holds, known):
    with pytest.raises(SiteError) as caught:
        at(data, path)
    assert holds in str(caught.value)
    assert known in str(caught.value)


def test_problems_of_made_data_have_paths_and_no_lines():
    with pytest.raises(DeclarationError) as caught:
        site_from({**HEADER, "vos": {"cms": {"quta": {}}}}, called="the parameters")
    (problem,) = caught.value.problems
    assert str(problem).startswith("the parameters: vos.cms.quta: ")
    assert problem.todo == "Did you mean quota?"


@pytest.mark.parametrize("text", ["naïve ☃ 😀", 'quote " and \\ backslash', "yes", "1e3", "0x10", "null"])
def test_texts_come_through_as_they_are(text):
    made = site_from({**HEADER, "vos": {"cms": {"description": text}}}, called="x")
    assert made.vo("cms").description == text
