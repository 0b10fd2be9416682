"""Whose server it was: projects and users of Keystone in the words of OSG's accounting."""

from __future__ import annotations

from dataclasses import replace

import pytest
from world import owners, site

from osg_site_iaas.accounting.owners import Name, Nobody, Owners
from osg_site_iaas.accounting.record import Owner
from osg_site_iaas.declaration.model import VO, Access, Site

PROJECTS = {"p": Name("cms", "osg"), "q": Name("cms", "default"), "r": Name("admin", "default")}


def among(*vos: VO, user: str = "ann", **more: str) -> Owners:
    declared: Site = replace(site(), vos=vos)
    return Owners(declared, PROJECTS, {"u": Name(user, "osg")}, **more)


def known(found: object) -> Owner:
    assert isinstance(found, Owner)
    return found


def test_a_project_of_the_sites_domain_belongs_to_its_vo() -> None:
    owner = known(owners().owner("p0", "user-p0"))
    assert owner == Owner(
        vo="cms", fqan="/cms/Role=NULL", project="cms", project_id="p0", user="/DC=org/CN=Robot p0",
        username="/DC=org/CN=Robot p0@osg", dn="/DC=org/CN=Robot p0",
    )  # fmt: skip
    assert owner.common_name == "Robot p0"


@pytest.mark.parametrize(
    "project, why",
    [("q", "project cms (domain default) belongs to no VO of site.yml"),
     ("r", "project admin (domain default) belongs to no VO of site.yml"),
     ("gone", "project with id gone belongs to no VO of site.yml")],
)  # fmt: skip
def test_any_other_project_belongs_to_nobody(project: str, why: str) -> None:
    found = among(VO("cms", "cms")).owner(project, "u")
    assert isinstance(found, Nobody)
    assert found.why == why
    assert (found.anybody.vo, found.anybody.fqan, found.anybody.user) == ("", "", "ann")


def test_the_reporting_name_is_what_accounting_calls_the_vo() -> None:
    vo = VO("cms", "cms", reporting_name="CMS", access=(Access(issuer="https://i"), Access(fqan="/uscms/*")))
    owner = known(among(vo).owner("p", "u"))
    assert (owner.vo, owner.fqan) == ("CMS", "/uscms/Role=NULL")


def test_a_vo_without_an_fqan_goes_by_its_name() -> None:
    assert known(among(VO("ligo", "cms")).owner("p", "u")).fqan == "/ligo/Role=NULL"


def test_the_override_takes_all() -> None:
    found = among(VO("cms", "cms"), vo_override="osg")
    assert known(found.owner("p", "u")).vo == "osg"
    assert known(found.owner("r", "u")).fqan == "/osg/Role=NULL"


@pytest.mark.parametrize(
    "name, dn", [("/DC=org/CN=Ann%3B B", "/DC=org/CN=Ann; B"), ("https://issuer#ann", ""), ("ann", "")]
)
def test_a_dn_is_what_the_identity_door_named_the_user_by(name: str, dn: str) -> None:
    assert known(among(VO("cms", "cms"), user=name).owner("p", "u")).dn == dn


def test_a_user_that_keystone_has_forgotten_goes_by_its_id() -> None:
    owner = known(among(VO("cms", "cms")).owner("p", "gone"))
    assert (owner.user, owner.username, owner.dn) == ("gone", "", "")
