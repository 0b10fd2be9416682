"""The module by which the role `openstack` fills a new Keystone."""

import uuid

import pytest

from tests.sandbox.ansible_kit import Face, face  # noqa: F401

pytestmark = pytest.mark.sandbox
TAG = uuid.uuid4().hex[:8]
SERVICE = {"name": f"role-{TAG}", "type": f"type-{TAG}", "url": "https://cloud.example.org:9999/v1"}
USER = {"username": f"role-{TAG}", "password": f"first-{TAG}", "roles": ["service"]}


def ask(face: Face, *words: str, **changes: object) -> dict:  # noqa: F811
    given = {"cloud": "sandbox", "region": "RegionOne", "services": [SERVICE], "users": [USER], **changes}
    told = face.ask("catalogue", *words, **given)
    assert not told["failed"], told
    return told


def test_what_is_missing_is_made_once_and_what_differs_is_set(face: Face) -> None:  # noqa: F811
    made = [
        f"service role-{TAG}",
        *(f"endpoint role-{TAG} {interface}" for interface in ("public", "internal", "admin")),
        f"user role-{TAG}",
        f"service of role-{TAG}",
    ]
    only_told = ask(face, "--check")
    assert (only_told["changed"], only_told["made"]) == (True, made[:-1])  # nobody has roles yet
    done = ask(face)
    assert [what for what in done["made"] if what != "project service"] == made
    again = ask(face)
    assert (again["changed"], again["made"]) == (False, [])
    moved = ask(face, services=[{**SERVICE, "url": "https://cloud.example.org:9998/v1"}])
    assert moved["made"] == made[1:4]
    secret = f"second-{TAG}"
    changed = ask(face, services=[], users=[{**USER, "password": secret}])
    assert changed["made"] == [f"password of role-{TAG}"]
    assert secret not in str(changed)


def test_a_user_of_another_project_is_made_with_it(face: Face) -> None:  # noqa: F811
    user = {**USER, "username": f"own-{TAG}", "project": f"own-{TAG}"}
    made = ask(face, services=[], users=[user])["made"]
    assert made == [f"project own-{TAG}", f"user own-{TAG}", f"service of own-{TAG}"]
    assert ask(face, services=[], users=[user])["made"] == []


def test_a_failure_is_told_and_no_password(face: Face) -> None:  # noqa: F811
    given = {"cloud": "nowhere", "region": "RegionOne", "services": [SERVICE], "users": [USER]}
    told = face.ask("catalogue", "-vvv", **given)
    assert told["failed"]
    assert "nowhere" in told["msg"]
    assert USER["password"] not in str(told)
