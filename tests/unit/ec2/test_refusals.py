"""Every parameter that EC2's model has is either understood, said to change nothing and why, or refused."""

from __future__ import annotations

import pytest

from osg_site_iaas.ec2.actions import load_actions
from osg_site_iaas.ec2.errors import Ec2Error
from osg_site_iaas.ec2.protocol.model import Model, load_model
from osg_site_iaas.ec2.protocol.parse import parse_input
from tests.cases.ec2_fuzz import PLAIN, query_leaves

ACTIONS = {name: action for name, action in load_actions().items() if action.service == "ec2"}


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model(ACTIONS)


def outcome(model: Model, name: str, sent: dict[str, str]) -> str:
    try:
        ACTIONS[name].check(parse_input(model, name, sent))
    except Ec2Error as error:
        return error.code
    return "taken"


@pytest.mark.parametrize("name", sorted(ACTIONS))
def test_a_parameter_is_taken_exactly_where_the_table_says_so(model, name):
    action = ACTIONS[name]
    for path, query, kind in query_leaves(model, model.input(name)):
        if path == "DryRun":
            expected = "DryRunOperation"
        elif path in action.only:
            continue
        else:
            expected = "taken" if action.understands(path) else "UnsupportedOperation"
        assert outcome(model, name, {query: PLAIN[kind]}) == expected, path


@pytest.mark.parametrize("name", sorted(name for name, action in ACTIONS.items() if action.only))
def test_a_parameter_with_few_values_takes_these_only(model, name):
    queries = {path: query for path, query, _ in query_leaves(model, model.input(name))}
    for path, allowed in ACTIONS[name].only.items():
        for value in allowed:
            text = str(value).lower() if isinstance(value, bool) else str(value)
            assert outcome(model, name, {queries[path]: text}) == "taken", path
        other = "false" if allowed == (True,) else "true" if allowed == (False,) else "another"
        assert outcome(model, name, {queries[path]: other}) == "UnsupportedOperation", path


@pytest.mark.parametrize(
    "odd", ["Frobnicate", "Frobnicate.1", "Filter.1.Frobnicate", "dryrun", "InstanceId.1.Id"]
)
def test_a_parameter_that_ec2_does_not_have_is_refused(model, odd):
    found = {outcome(model, name, {odd: "x"}) for name in ACTIONS}
    assert found <= {"UnknownParameter", "InvalidParameterValue"}


def test_what_changes_nothing_says_why():
    assert all(len(reason) > 10 for action in ACTIONS.values() for reason in action.ignores.values())
