"""A plan as two texts whose difference says what would happen."""

from __future__ import annotations

import difflib

from osg_site_iaas.plan.model import Change, Op, Plan, Ref
from osg_site_iaas.plan.sides import sides

CMS = Ref("project", ("cms",))


def shown(*changes):
    before, after = (text.splitlines() for text in sides(Plan(changes)))
    return [
        line
        for line in difflib.unified_diff(before, after, lineterm="", n=0)
        if line[:2] not in ("--", "++", "@@")
    ]


def test_nothing_to_do_is_two_empty_texts():
    assert sides(Plan()) == ("", "")


def test_a_creation_is_only_after():
    change = Change(Op.CREATE, CMS, after={"enabled": True}, create={"x": 1}, vo="cms")
    assert sides(Plan((change,))) == ("", "project cms  (VO cms)\n  enabled: true\n  x: 1\n")


def test_a_removal_is_only_before_and_says_what_goes_with_it():
    change = Change(Op.REMOVE, CMS, before={"enabled": False}, contents={"servers": 3, "ports": 0}, id="1")
    assert sides(Plan((change,))) == ("project cms\n  enabled: false\n  holds: 3 servers\n", "")


def test_an_update_differs_in_the_lines_of_its_attributes():
    change = Change(Op.UPDATE, CMS, before={"cores": 20}, after={"cores": 40}, id="1")
    assert shown(change) == ["-  cores: 20", "+  cores: 40"]


def test_a_list_differs_in_the_lines_of_its_items():
    change = Change(Op.UPDATE, CMS, before={"rules": ["a", "b"]}, after={"rules": ["a", "c"]}, id="1")
    assert shown(change) == ['-  rules: "b"', '+  rules: "c"']


def test_an_emptied_list_is_said_to_be_empty():
    change = Change(Op.UPDATE, CMS, before={"rules": ["a"]}, after={"rules": []}, id="1")
    assert shown(change) == ['-  rules: "a"', "+  rules: []"]


def test_an_adoption_shows_whose_it_becomes():
    change = Change(Op.ADOPT, CMS, before={}, after={}, id="1")
    assert shown(change) == ["-  ours: false", "+  ours: true"]


def test_a_value_cannot_pretend_to_be_another_line():
    change = Change(Op.CREATE, CMS, after={"description": "x\n  enabled: true"})
    assert sides(Plan((change,)))[1].splitlines()[1:] == ['  description: "x\\n  enabled: true"']


def test_what_belongs_to_one_vo_stands_together():
    changes = [Change(Op.CREATE, Ref("project", (vo,)), vo=vo) for vo in ("b", "a")] + [
        Change(Op.CREATE, Ref("group", (vo,)), vo=vo) for vo in ("b", "a")
    ]
    heads = sides(Plan(tuple(changes)))[1].splitlines()
    assert heads == ["group a  (VO a)", "project a  (VO a)", "group b  (VO b)", "project b  (VO b)"]
