"""What looking costs: one token, few lists, and one request a VO of each service that has no list of limits.

Counted in the services' own access logs, by a user agent that only this test has.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from osg_site_iaas.cloud import connect
from tests.sandbox.reconcile_cases import many, whole
from tests.sandbox.reconcile_kit import Rig, ops, rig  # noqa: F401

pytestmark = pytest.mark.sandbox


@pytest.fixture
def asked(rig: Rig, cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: F811
    """Runs a command; what the services were asked by it."""
    monkeypatch.setattr(connect, "__version__", f"0+{rig.tag}")

    def run(*words: str) -> tuple[Any, list[Any]]:
        before = cloud.mark()
        ran = rig.run(*words, "--json", expect=0)
        agent = f"osg-site-iaas/0+{rig.tag}"
        return ran.data, [request for request in cloud.requests(before) if agent in request.agent]

    return run


@pytest.mark.parametrize("number", [10, pytest.param(100, marks=pytest.mark.long)])
def test_nothing_to_do_costs_one_token_and_three_requests_a_vo(rig: Rig, asked: Any, number: int):  # noqa: F811
    rig.write(**many(number, volumes=rig.hand.has("volume")))
    made = rig.apply()
    assert made["summary"]["create"] > 10 * number
    plan, requests = asked("plan")
    assert ops(plan) == []
    logins = [request for request in requests if request.path.endswith("/auth/tokens")]
    assert [login.method for login in logins] == ["POST"]
    assert len(requests) <= 20 + 3 * number, Counter(request.service for request in requests)
    # what apply says that it sent is what the services saw, but for the login
    assert len(requests) - 1 <= sum(plan["requests"].values()) <= len(requests)


def test_private_flavours_shared_images_and_buckets_cost_one_request_each(rig: Rig, asked: Any):  # noqa: F811
    sections = whole(rig)
    rig.write(**sections)
    rig.apply()
    _, before = asked("plan")

    more = f"{rig.tag}-more"
    sections["flavours"][more] = {"vcpus": 1, "ram": "1 GiB", "vos": ["cms"]}
    sections["images"][more] = {**sections["images"][f"{rig.tag}-disk"], "vos": ["cms", "icecube"]}
    sections["vos"]["icecube"]["buckets"][f"{rig.tag}-more"] = {}
    rig.write(**sections)
    rig.apply()
    _, after = asked("plan")
    grown = Counter(r.service for r in after) - Counter(r.service for r in before)
    assert grown == {"nova": 1, "glance": 1, "swift": 1}


def test_apply_with_nothing_to_do_costs_what_plan_costs(rig: Rig, asked: Any):  # noqa: F811
    rig.write(**many(3, volumes=rig.hand.has("volume")))
    rig.apply()
    _, plan = asked("plan")
    _, apply = asked("apply", "--yes")
    assert sorted((r.method, r.path) for r in apply) == sorted((r.method, r.path) for r in plan)
