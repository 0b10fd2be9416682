"""A plan as data, and the checksum by which it is known again."""

import json
from dataclasses import replace

from osg_site_iaas.declaration.model import Position
from osg_site_iaas.plan import document
from osg_site_iaas.plan.model import Change, Op, Plan, Ref, Seen

CHANGE = Change(
    Op.UPDATE, Ref("quota", ("cms",)), {"cores": 1}, {"cores": 2}, id="7", vo="cms", at=Position(12, 3)
)
PLAN = Plan(changes=(CHANGE,))


def test_the_checksum_does_not_depend_on_where_a_line_stands():
    moved = Plan(changes=(replace(CHANGE, at=Position(99, 1)),))
    assert document.checksum(moved) == document.checksum(PLAN)


def test_the_checksum_depends_on_both_sides_of_a_change_and_on_the_object():
    for other in (
        replace(CHANGE, before={"cores": 0}),
        replace(CHANGE, after={"cores": 3}),
        replace(CHANGE, id="8"),
    ):
        assert document.checksum(Plan(changes=(other,))) != document.checksum(PLAN)


def test_a_plan_is_json():
    data = json.loads(json.dumps(document.to_data(PLAN)))
    assert data["changes"][0]["after"] == {"cores": 2}
    assert data["summary"]["update"] == 1


def test_observations_come_back_as_they_were():
    seen = [
        Seen(
            Ref("role", ("a", "b")),
            "1",
            {"x": [1, 2], "y": {"z": None}},
            True,
            (Ref("project", ("p",)),),
            "cms",
            {"servers": 1},
        )
    ]
    assert document.seen_from_data(json.loads(json.dumps(document.seen_to_data(seen)))) == seen
