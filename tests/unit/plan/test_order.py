"""Creations wait for what they need, removals for what needs them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from osg_site_iaas.plan.model import Change, Op, Ref
from osg_site_iaas.plan.order import waits, waves

DOMAIN, PROJECT, ROLE = (Ref(kind, ("x",)) for kind in ("domain", "project", "role"))


def chain(op):
    return [Change(op, DOMAIN), Change(op, PROJECT, needs=(DOMAIN,)), Change(op, ROLE, needs=(PROJECT,))]


def order(changes):
    return [[change.ref for change in wave] for wave in waves(changes)]


def test_creations_go_down_the_chain():
    assert order(chain(Op.CREATE)) == [[DOMAIN], [PROJECT], [ROLE]]


def test_removals_go_up_the_chain():
    assert order(chain(Op.REMOVE)) == [[ROLE], [PROJECT], [DOMAIN]]


def test_what_exists_already_is_not_waited_for():
    assert waits([Change(Op.CREATE, ROLE, needs=(PROJECT,))]) == {ROLE: frozenset()}


def test_a_project_is_disabled_without_waiting_for_removals_below_it():
    changes = [Change(Op.DISABLE, PROJECT), Change(Op.REMOVE, ROLE, needs=(PROJECT,))]
    assert waits(changes)[ROLE] == frozenset()


def test_disabling_waits_for_nothing():
    changes = [Change(Op.DISABLE, PROJECT), Change(Op.REMOVE, ROLE, needs=(PROJECT,))]
    assert waits(changes)[PROJECT] == frozenset()


def test_what_is_in_a_destroyed_project_goes_after_it():
    destroyed = Change(Op.REMOVE, PROJECT, contents={"servers": 1})
    found = waits([destroyed, Change(Op.REMOVE, ROLE, needs=(PROJECT,))])
    assert (found[ROLE], found[PROJECT]) == (frozenset({PROJECT}), frozenset())
    found = waits(
        [Change(Op.REMOVE, PROJECT, contents={"servers": 0}), Change(Op.REMOVE, ROLE, needs=(PROJECT,))]
    )
    assert (found[ROLE], found[PROJECT]) == (frozenset(), frozenset({ROLE}))


def test_a_circle_is_named():
    circle = [Change(Op.CREATE, ROLE, needs=(PROJECT,)), Change(Op.CREATE, PROJECT, needs=(ROLE,))]
    with pytest.raises(ValueError, match="project x, role x"):
        waves(circle)


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=80),
    st.sampled_from([Op.CREATE, Op.REMOVE]),
)
def test_every_change_stands_in_exactly_one_wave_after_all_it_waits_for(edges, op):
    needs = {}
    for a, b in edges:
        if a > b:  # no circles
            needs.setdefault(a, set()).add(Ref("k", (str(b),)))
    changes = [Change(op, Ref("k", (str(i),)), needs=tuple(needs.get(i, ()))) for i in range(31)]
    place = {change.ref: i for i, wave in enumerate(waves(changes)) for change in wave}
    assert len(place) == len(changes)
    for ref, others in waits(changes).items():
        assert all(place[other] < place[ref] for other in others)
