"""One VO and one image through the collection, beside others that nobody may touch."""

from __future__ import annotations

import hashlib
import stat

import pytest

from tests.sandbox.ansible_kit import face, steps  # noqa: F401

DUNE = {
    "name": "dune",
    "description": "Deep Underground Neutrino Experiment",
    "access": [{"fqan": "/dune/*"}],
    "quota": {"compute": {"cores": 30, "ram": "60 GiB"}},
    "service_users": [{"name": "pilot", "ec2_key": True}],
}


@pytest.fixture(scope="module")
def others(face):  # noqa: F811
    """A site with a VO that a file declares, and what the cloud then has of it."""
    face.rig.write(
        vos={
            "cms": {
                "access": [{"fqan": "/cms/*"}],
                "quota": {"compute": {"cores": 40}},
                "service_users": {"pilot": {"ec2_key": True}},
            }
        }
    )
    face.rig.apply()
    return face


@pytest.fixture(scope="module")
def made(others):
    """The VO dune by parameters: looked at twice, then made, then again."""
    words = [("--check", "--diff"), ("--check",), (), ()]
    return [others.ask("tenant", *each, **others.header, **DUNE) for each in words]


def rules(face):  # noqa: F811
    path = f"/OS-FEDERATION/mappings/osg-site-iaas-grid-{face.rig.tag}"
    return face.rig.hand.get("identity", path)["mapping"]["rules"]


def cms_is_whole(face):  # noqa: F811
    """Whether cms is still all that its file says."""
    told = face.ask("tenant", "--check", site=str(face.rig.site), name="cms")
    return not told["failed"] and not told["changed"]


def test_a_vo_is_looked_at_twice_made_once_and_then_there(made):
    first, second, third, fourth = made
    assert (first["changed"], second["changed"], third["changed"], fourth["changed"]) == (
        True,
        True,
        True,
        False,
    )
    assert steps(first) == steps(second) == steps(third)
    assert {change["vo"] for change in third["changes"]} == {"dune", None}
    assert "line" not in third["changes"][0]


def test_its_limits_and_its_key_are_there(others, made):
    limits = others.rig.hand.get("compute", f"/os-quota-sets/{others.rig.project('dune')}")["quota_set"]
    assert (limits["cores"], limits["ram"]) == (30, 60 * 1024)
    key = others.rig.secrets / "dune-pilot.ec2"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600


def test_the_members_of_both_vos_may_enter(others, made):
    assert [name for name in ("cms-member", "dune-member") if name in str(rules(others))] == [
        "cms-member",
        "dune-member",
    ]


def test_the_other_vo_is_untouched(others, made):
    assert cms_is_whole(others)


def test_a_part_that_is_left_out_stays(others, made):
    told = others.ask("tenant", **others.header, name="dune", description=DUNE["description"], quota={
        "compute": {"cores": 31}
    })  # fmt: skip
    assert steps(told) == ["update compute_quota dune"]
    assert not others.ask("tenant", "--check", **others.header, **{**DUNE, "quota": {}})["changed"]


def test_an_empty_list_withdraws_access_of_this_vo_only(others, made):
    told = others.ask("tenant", **others.header, name="dune", description=DUNE["description"], access=[])
    assert set(steps(told)) == {
        "remove group dune-member",
        "remove role_assignment group/dune-member/member/dune",
        f"update mapping osg-site-iaas-grid-{others.rig.tag}",
    }
    assert "dune" not in str(rules(others))
    assert cms_is_whole(others)
    assert others.ask("tenant", **others.header, **DUNE)["changed"]


def test_a_project_of_another_vo_is_refused(others, made):
    told = others.ask("tenant", **others.header, name="thief", project="cms", access=[])
    assert told["failed"]
    assert "belongs to VO cms" in told["msg"]
    assert cms_is_whole(others)


def test_a_vo_goes_away_in_two_runs_and_leaves_the_other(others, made):
    others.ask("tenant", **others.header, **DUNE)
    leave = {**others.header, "name": "dune", "state": "absent"}
    looked = others.ask("tenant", "--check", **leave)
    first = others.ask("tenant", **leave)
    assert steps(looked) == steps(first)
    assert "disable project dune" in steps(first)
    assert not others.rig.hand.get("identity", f"/projects/{others.rig.project('dune')}")["project"][
        "enabled"
    ]
    second = others.ask("tenant", **leave)
    assert "remove project dune" in steps(second)
    assert not others.ask("tenant", **leave)["changed"]
    assert cms_is_whole(others)


def test_a_project_that_somebody_made_by_hand_stays(others, made):
    body = {"project": {"name": "by-hand", "domain_id": others.rig.domain_id}}
    others.rig.hand.post("identity", "/projects", body)
    told = others.ask("tenant", **others.header, name="by-hand", state="absent")
    assert told["failed"]
    assert "was not made by osg-site-iaas" in told["msg"]
    assert others.rig.project("by-hand")


@pytest.fixture(scope="module")
def image(others):
    """The parameters of an image for cms, whose data is there."""
    data = others.rig.folder / "disk.raw"
    data.write_bytes(b"osg" * 1000)
    return {
        **others.header,
        "name": f"worker-{others.rig.tag}",
        "source": f"file:{data}",
        "checksum": f"sha256:{hashlib.sha256(data.read_bytes()).hexdigest()}",
        "disk_format": "raw",
        "vos": ["cms"],
    }


def images(face, image):  # noqa: F811
    return face.rig.hand.get("image", f"/images?name={image['name']}")["images"]


def test_an_image_is_made_shared_kept_and_sent_away(others, image):
    looked = others.ask("image", "--check", **image)
    assert images(others, image) == []
    first = others.ask("image", **image)
    assert (
        steps(looked)
        == steps(first)
        == [
            f"create image {image['name']}",
            f"create image_member {image['name']}/cms",
        ]
    )
    (there,) = images(others, image)
    assert (there["status"], there["visibility"], there["size"]) == ("active", "shared", 3000)
    assert not others.ask("image", **image)["changed"]
    withdrawn = others.ask("image", **{**image, "vos": [], "visibility": "shared"})
    assert steps(withdrawn) == [f"remove image_member {image['name']}/cms"]
    leave = {**others.header, "name": image["name"], "state": "absent"}
    assert steps(others.ask("image", **leave)) == [f"disable image {image['name']}"]
    assert steps(others.ask("image", **leave)) == [f"remove image {image['name']}"]
    assert images(others, image) == []
    assert not others.ask("image", **leave)["changed"]


def test_an_image_for_a_vo_without_a_project_makes_nothing(others, image):
    told = others.ask("image", **{**image, "vos": ["atlas"]})
    assert told["failed"]
    assert "needs project atlas" in told["msg"]
    assert images(others, image) == []
