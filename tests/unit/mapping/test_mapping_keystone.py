"""What Keystone gets, and that Keystone's own evaluation of it agrees with the table."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.declaration.model import Position
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import keystone
from osg_site_iaas.mapping.credential import Certificate, Token
from osg_site_iaas.mapping.names import person, user_id, user_name
from osg_site_iaas.mapping.table import Table

ISSUER = "https://issuer.example.org/igwn"
VOS = {
    "cms": [{"fqan": "/cms/Role=production", "role": "manager"}, {"fqan": "/cms/*"}, {"dn": "/CN=Operator"}],
    "ligo": [{"fqan": "/osg/ligo/*"}, {"issuer": ISSUER, "scope": "compute.create", "role": "reader"}],
    "filename": [{"fqan": "/filename/*"}],
    "off": {"enabled": False, "access": [{"fqan": "/off/*"}]},
}
PROVIDERS = {
    "grid": {"type": "x509", "authorization_ttl": 720, "at": Position(40, 3)},
    "igwn": {"type": "token", "remote_ids": [ISSUER, "https://second.example.org"]},
    "unused": {"type": "token", "remote_ids": ["https://unused.example.org"]},
}


@pytest.fixture
def site(site_of):
    return site_of(VOS, PROVIDERS)


def test_a_group_for_each_vo_and_role(site):
    assert [(g.name, g.vo, g.role, g.at.line) for g in keystone.groups(site)] == [
        ("cms-manager", "cms", "manager", 1),
        ("cms-member", "cms", "member", 2),
        ("ligo-member", "ligo", "member", 4),
        ("ligo-reader", "ligo", "reader", 5),
        ("filename-member", "filename", "member", 6),
        ("off-member", "off", "member", 7),
    ]


def test_who_may_not_have_ec2_keys_is_in_a_group_of_their_own_and_the_others_get_a_role(site_of):
    site = site_of({"a": [{"fqan": "/a/x", "ec2_keys": False}, {"fqan": "/a"}], "b": [{"fqan": "/b"}]})
    assert [(g.name, g.roles) for g in keystone.groups(site)] == [
        ("a-member-nokeys", ("member",)),
        ("a-member", ("member", keystone.EC2_ROLE)),
        ("b-member", ("member", keystone.EC2_ROLE)),
    ]
    assert keystone.provider_groups(site, keystone.providers(site)[0]) == (
        "a-member-nokeys",
        "a-member",
        "b-member",
    )


def test_where_all_may_have_ec2_keys_there_is_no_such_role(site):
    assert {group.roles for group in keystone.groups(site)} == {("manager",), ("member",), ("reader",)}


def test_two_groups_of_one_name_are_refused(site_of):
    site = site_of({"a": [{"fqan": "/a", "role": "b-c"}], "a-b": [{"fqan": "/b", "role": "c"}]})
    with pytest.raises(SiteError, match=r"site\.yml:2: role c of VO a-b and role b-c of VO a share a group"):
        keystone.groups(site)


def test_a_group_too_long_for_keystone_is_refused(site_of):
    with pytest.raises(SiteError, match="longer than 64"):
        keystone.groups(site_of({"v" * 60: [{"fqan": "/v"}]}))


def test_providers_carry_what_keystone_needs(site):
    grid, igwn, unused = keystone.providers(site)
    assert (grid.id, grid.remote_ids, grid.at.line) == ("grid", ("osg-site-iaas-grid",), 40)
    assert (grid.authorization_ttl, grid.domain, grid.mapping) == (720, "osg", "osg-site-iaas-grid")
    assert (igwn.remote_ids, igwn.authorization_ttl) == ((ISSUER, "https://second.example.org"), 5760)
    assert unused.id == "unused"


@pytest.mark.parametrize("provider", ["site.example.org-cms", "grid/new", "übung", "p" * 51])
def test_a_mapping_has_an_id_that_zed_takes_whatever_its_provider_is_called(provider):
    found = keystone.mapping_id(provider)
    assert re.fullmatch(r"osg-site-iaas-[a-zA-Z0-9_-]{1,50}", found)
    assert found != keystone.mapping_id(provider.replace(".", "-") + "-")


def test_mappings_of_two_providers_are_two():
    names = ["a.b", "a-b", "a_b", "a/b", "x" * 60, "x" * 61, "p" * 50]
    assert len({keystone.mapping_id(name) for name in names}) == len(names)
    assert keystone.mapping_id("p" * 50) == "osg-site-iaas-" + "p" * 50


def test_a_grid_provider_is_implied_by_an_fqan_and_a_token_issuer_never_is(site_of):
    fqan, issuer = {"cms": [{"fqan": "/cms/*"}]}, {"ligo": [{"issuer": ISSUER}]}
    assert [p.id for p in keystone.providers(site_of(fqan))] == ["grid"]
    assert list(keystone.providers(site_of(issuer))) == []
    taken = site_of(fqan, {"grid": {"type": "token", "remote_ids": [ISSUER]}})
    assert [p.id for p in keystone.providers(taken)] == ["grid", "grid-x509"]


def test_a_provider_can_give_only_the_groups_its_lines_lead_to(site):
    grid, igwn, unused = keystone.providers(site)
    assert keystone.provider_groups(site, grid) == (
        "cms-manager",
        "cms-member",
        "ligo-member",
        "filename-member",
    )
    assert keystone.provider_groups(site, igwn) == ("ligo-reader",)
    assert keystone.provider_groups(site, unused) == ()


def test_every_rule_asks_for_the_provider_itself(site):
    for provider in keystone.providers(site):
        for rule in keystone.rules(site, provider):
            assert {"type": "OSG_SITE_IDP", "any_one_of": list(provider.remote_ids)} in rule["remote"]
            assert {"domain": {"name": "osg"}, "name": rule["remote"][2]["any_one_of"][0]} == rule["local"][
                1
            ]["group"]


@pytest.mark.parametrize(
    "credential, provider, group",
    [
        (Certificate("/CN=Jane; Doe", ("/cms/Role=production", "/cms")), "grid", "cms-manager"),
        (Certificate("/CN=Operator"), "grid", "cms-member"),
        (Certificate("/CN=x", ("/filename/a",)), "grid", "filename-member"),
        (Token(ISSUER, "pilot;x", scopes=("compute.create",)), "igwn", "ligo-reader"),
    ],
)
def test_keystone_gives_what_the_table_decided(site, credential, provider, group):
    utils = pytest.importorskip("keystone.federation.utils", reason="Keystone is not installed here")
    pytest.importorskip("keystone.conf").configure()
    who = Table.of(site).who(credential)
    vouches = keystone.provider_of(site, credential)
    assert provider == vouches.id
    assert group == keystone.group_name(who.vo, who.role)
    environment = keystone.environment(vouches, credential, who)
    for other in keystone.providers(site):
        rules = keystone.rules(site, other)
        utils.validate_mapping_structure({"rules": rules, "schema_version": "1.0"})
        processor = utils.RuleProcessor("m", rules)
        if other.id != provider:
            with pytest.raises(Exception, match="Could not map"):
                processor.process(environment)
            continue
        outcome = processor.process(environment)
        assert [{"name": group, "domain": {"name": "osg"}}] == outcome["group_names"]
        assert {"name": user_name(credential), "id": user_id(credential), "type": "ephemeral"} == outcome[
            "user"
        ]


def test_the_environment_says_all_that_follows(site):
    credential = Certificate("/CN=Operator")
    who = Table.of(site).who(credential)
    assert {
        "OSG_SITE_IDP": "osg-site-iaas-grid",
        "OSG_SITE_USER": "/CN=Operator",
        "OSG_SITE_USER_ID": user_id(credential),
        "OSG_SITE_GROUPS": "cms-member",
        "OSG_SITE_VO": "cms",
        "OSG_SITE_PROJECT": "cms",
        "OSG_SITE_EC2_KEYS": "true",
    } == keystone.environment(keystone.provider_of(site, credential), credential, who)


def test_nobody_vouches_for_an_issuer_that_is_not_declared(site):
    assert keystone.provider_of(site, Token("https://evil.example.org", "s")) is None


dns = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80).map(
    lambda text: f"/CN={text}"
)
people = st.one_of(
    st.builds(Certificate, dns),
    st.builds(Token, st.text(max_size=60).map(lambda text: f"https://{text}"), st.text(max_size=60)),
)


@given(people)
def test_a_name_is_what_keystone_takes_and_leads_back_to_the_person(credential):
    name = user_name(credential)
    assert name.isascii()
    assert name.isprintable()
    assert ";" not in name
    assert len(name) <= 255
    found = person(name)
    assert found is None or user_name(found) == name
    assert found is not None or len(name) == 255


@given(people, people)
def test_two_people_never_share_a_name_or_an_id(one, other):
    same = one == other or (
        isinstance(one, Certificate) and isinstance(other, Certificate) and user_name(one) == user_name(other)
    )
    assert same == (user_id(one) == user_id(other))
    assert same == (user_name(one) == user_name(other))


def test_issuer_and_subject_cannot_be_shifted_into_each_other():
    one, other = Token("https://a", "b c"), Token("https://a b", "c")
    assert user_id(one) != user_id(other)
    assert user_name(Token("https://a#b", "c")) != user_name(Token("https://a", "b#c"))


def test_a_long_name_is_cut_and_stays_different():
    one, other = (Certificate("/CN=" + "x" * 300 + end) for end in "ab")
    assert (len(user_name(one)), len(user_name(other))) == (255, 255)
    assert user_name(one) != user_name(other)
    assert person(user_name(one)) is None


def test_a_service_users_name_is_nobody_of_the_grid():
    assert person("cms-pilot") is None
