"""Flavours that change: who may use them, afterwards."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.reconcile_kit import Rig, ops, rig  # noqa: F401 - a fixture

pytestmark = pytest.mark.sandbox


def test_access_given_by_hand_outlives_a_change_of_size(rig: Rig):  # noqa: F811
    hand, name = rig.hand, f"{rig.tag}.gpu"

    def declare(**flavour: Any) -> None:
        rig.write(
            vos={vo: {"access": [{"fqan": f"/{vo}/*"}]} for vo in ("cms", "ligo")},
            flavours={name: {"ram": "64 MiB", "disk": 1, **flavour}},
        )
        rig.apply("--force")  # so small a site loses much of itself with one VO's access

    def flavour() -> str:
        return str(hand.named("compute", "/flavors?is_public=none", "flavors", name)["id"])

    def users() -> set[str]:
        found = hand.get("compute", f"/flavors/{flavour()}/os-flavor-access")["flavor_access"]
        return {entry["tenant_id"] for entry in found}

    declare(vcpus=1, vos=["cms", "ligo"])
    cms, ligo = rig.project("cms"), rig.project("ligo")
    friend, gone = (
        hand.post("identity", "/projects", {"project": {"name": f"{rig.tag}-{who}", "domain_id": "default"}})[
            "project"
        ]["id"]
        for who in ("friend", "gone")
    )
    try:
        for project in (friend, gone):
            body = {"addTenantAccess": {"tenant": project}}
            hand.post("compute", f"/flavors/{flavour()}/action", body)
        hand.send("DELETE", "identity", f"/projects/{gone}")  # Nova does not hear of it
        assert users() == {cms, ligo, friend, gone}

        first = flavour()
        declare(vcpus=2, vos=["cms"])
        assert flavour() != first
        assert users() == {cms, friend}
        assert ops(rig.plan()) == []

        declare(vcpus=2)  # for nobody new
        assert users() == {friend}
        declare(vcpus=2, public=True)  # for everybody: there is no list then
        declare(vcpus=2, vos=["cms"])
        assert users() == {cms}
    finally:
        hand.send("DELETE", "identity", f"/projects/{friend}")
