"""What no client would send: every action with parameters that make no sense, through the wire to real services."""

from __future__ import annotations

import random
from urllib.parse import urlencode, urlsplit

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from ec2_fixtures import running_door

from osg_site_iaas.ec2.actions import load_actions
from osg_site_iaas.ec2.protocol.model import load_model
from tests.cases.ec2_fuzz import ODD, PLAIN, query_leaves

pytest_plugins = ("ec2_fixtures",)
pytestmark = pytest.mark.sandbox
ACTIONS = sorted(name for name, action in load_actions().items() if action.service == "ec2")
SEED = 20261124  # of the choices: the same in each run


@pytest.fixture(scope="module")
def strict(door_users, tmp_path_factory):
    with running_door(door_users, tmp_path_factory.mktemp("fuzz"), timeout=30.0) as started:
        yield started


@pytest.fixture(scope="module")
def send(strict, other_vo):
    """Send one signed request, and look at what every answer must be."""
    session, url = requests.Session(), f"{strict.url}/"
    signer = SigV4Auth(Credentials(other_vo.access, other_vo.secret), "ec2", "RegionOne")

    def one(**form: str) -> requests.Response:
        body = urlencode({"Version": "2016-11-15", **form})
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Host": urlsplit(url).netloc}
        request = AWSRequest("POST", url, data=body, headers=kind)
        signer.add_auth(request)
        answer = session.post(url, data=body.encode(), headers=dict(request.headers), timeout=120)
        assert answer.status_code < 500, (form, answer.text)
        assert answer.ok or "<Error><Code>" in answer.text, (form, answer.text)
        return answer

    yield one
    assert "Traceback" not in strict.log.read_text()


@pytest.fixture(scope="module")
def model():
    return load_model(ACTIONS)


def test_a_dry_run_of_any_action_asks_openstack_for_nothing(send):
    for name in ACTIONS:
        answer = send(Action=name, DryRun="true")
        assert (answer.status_code, answer.headers["x-backend-requests"]) == (412, "0"), (name, answer.text)
        assert "DryRunOperation" in answer.text


def test_what_is_not_served_is_refused_before_openstack_hears_of_it(send, model):
    actions = load_actions()
    for name in ACTIONS:
        leaves = [
            one for one in query_leaves(model, model.input(name)) if not actions[name].understands(one[0])
        ]
        for _, query, kind in leaves[:: max(1, len(leaves) // 5)]:  # every one is tried without the wire
            answer = send(Action=name, **{query: PLAIN[kind]})
            assert (answer.status_code, answer.headers["x-backend-requests"]) == (400, "0"), (name, query)
            assert "UnsupportedOperation" in answer.text


def test_nonsense_is_the_clients_error_and_never_the_doors(send, model, other_vo):
    chance = random.Random(SEED)
    before = {one.id for one in other_vo.cloud.compute.servers()}
    actions = load_actions()
    for name in ACTIONS:
        served = [one for one in query_leaves(model, model.input(name)) if actions[name].understands(one[0])]
        served = [one for one in served if one[0] != "DryRun"]
        for _ in range(4 if served else 1):
            chosen = chance.sample(served, min(len(served), chance.randint(1, 6)))
            form = {
                query: chance.choice(ODD) if chance.random() < 0.7 else PLAIN[kind]
                for _, query, kind in chosen
            }
            send(Action=name, **form)
    assert {one.id for one in other_vo.cloud.compute.servers()} == before
    for group in other_vo.cloud.network.security_groups(project_id=other_vo.project):
        if group.name != "default":
            other_vo.cloud.network.delete_security_group(group)
