"""A whole declaration through the collection: looked at, applied, applied again, and changed by hand."""

from __future__ import annotations

import re
import shutil

import pytest

from tests.collection import ROOT, run_ansible
from tests.sandbox.ansible_kit import face, steps  # noqa: F401
from tests.sandbox_cloud import Cloud

PLAY = ROOT / "playbooks/tenants.yml"
VOS = {
    "cms": {
        "access": [{"fqan": "/cms/*"}],
        "quota": {"compute": {"cores": 40}},
        "service_users": {"pilot": {"ec2_key": True}},
    },
    "icecube": {"access": [{"fqan": "/icecube/*"}]},
}
RECAP = re.compile(r"ok=\d+ +changed=(\d+) +unreachable=0 +failed=(\d+)")


@pytest.fixture(scope="module")
def play(face):  # noqa: F811
    """Runs the playbook on the site; its output, and how many tasks changed something."""
    face.rig.write(vos=VOS)

    def run(*words, **variables):
        given = [f"-e={name}={value}" for name, value in {"site_file": "site.yml", **variables}.items()]
        result = face.run("ansible-playbook", PLAY, *given, *words)
        found = RECAP.search(result.stdout)
        assert found, result.stdout
        assert found[2] == "0", result.stdout
        return result.stdout, int(found[1])

    return run


def domains(face):  # noqa: F811
    return [item["name"] for item in face.rig.hand.get("identity", "/domains")["domains"]]


@pytest.fixture(scope="module")
def looked(face, play):  # noqa: F811
    """The playbook in check mode, twice, before anything was made."""
    return [play("--check", "--diff"), play("--check", "--diff")], domains(face)


@pytest.fixture(scope="module")
def applied(looked, play):
    """The playbook, applied twice after that."""
    return [play("--diff", "-vvvv"), play("--diff")]


def test_check_mode_tells_the_plan_and_makes_nothing(face, looked):  # noqa: F811
    ((text, changed), _), there = looked
    assert changed == 1
    assert face.rig.domain not in there
    assert not face.rig.secrets.exists()
    assert "+project cms  (VO cms)" in text
    assert "+  cores: 40" in text


def test_check_mode_a_second_time_tells_the_same(looked):
    (first, second), _ = looked
    assert first == second


def test_the_first_run_makes_it_and_the_second_changes_nothing(face, applied):  # noqa: F811
    (text, changed), (again, unchanged) = applied
    assert (changed, unchanged) == (1, 0)
    assert "to create" in text
    assert "nothing to do" in again
    assert face.rig.run("plan", "--json").code == 0


def test_check_mode_then_finds_nothing_to_do(applied, play):
    assert play("--check")[1] == 0
    assert play("--check")[1] == 0


def test_no_secret_is_told_at_any_verbosity(face, applied):  # noqa: F811
    secret = re.search(r"aws_secret_access_key = (\S+)", (face.rig.secrets / "cms-pilot.ec2").read_text())[1]
    ((text, _), _) = applied
    assert "create" in text
    assert "cms-pilot" in text
    assert secret not in text


@pytest.fixture
def drifted(face, applied):  # noqa: F811
    """The site after somebody has changed a limit and given away a role by hand; put right again after it."""
    hand, project = face.rig.hand, face.rig.project("cms")
    hand.send("PUT", "compute", f"/os-quota-sets/{project}", json={"quota_set": {"cores": 3}})
    roles = hand.get("identity", "/roles")["roles"]
    reader = next(role["id"] for role in roles if role["name"] == "reader")
    path = f"/projects/{project}/users/{hand.token['user']['id']}/roles/{reader}"
    hand.send("PUT", "identity", path)
    yield face
    hand.send("DELETE", "identity", path)
    hand.send("PUT", "compute", f"/os-quota-sets/{project}", json={"quota_set": {"cores": 40}})


def test_what_was_changed_by_hand_is_told_and_put_right(drifted):
    told = drifted.ask("site", "--check", "--diff", site=str(drifted.rig.site))
    assert told["changed"]
    assert steps(told) == ["update compute_quota cms"]
    assert (told["changes"][0]["before"], told["changes"][0]["after"]) == ({"cores": 3}, {"cores": 40})
    told = drifted.ask("site", site=str(drifted.rig.site))
    assert steps(told) == ["update compute_quota cms"]
    limits = drifted.rig.hand.get("compute", f"/os-quota-sets/{drifted.rig.project('cms')}")["quota_set"]
    assert limits["cores"] == 40


def test_what_vos_have_is_told_with_what_differs(drifted):
    told = drifted.ask("tenant_info", site=str(drifted.rig.site), names=["cms", "atlas"])
    assert told["missing"] == ["atlas"]
    assert not told["changed"]
    (cms,) = told["tenants"]
    assert (cms["vo"], cms["project_id"], cms["managed"]) == ("cms", drifted.rig.project("cms"), True)
    assert cms["limits"]["compute"]["cores"] == 3
    assert steps({"changes": cms["drift"]}) == ["update compute_quota cms"]
    (pilot, *_) = [user for user in cms["users"] if user["name"] == "cms-pilot"]
    assert pilot == {
        "name": "cms-pilot",
        "roles": ["member"],
        "managed": True,
        "enabled": True,
        "ec2_key": True,
    }
    assert cms["groups"] == [{"name": "cms-member", "roles": ["member"], "managed": True}]
    (by_hand,) = cms["unmanaged"]
    assert (by_hand["kind"], by_hand["key"][2:]) == ("role_assignment", ["reader", "cms"])


def test_all_vos_are_told_without_a_file(face, applied):  # noqa: F811
    header = {name: face.header[name] for name in ("cloud", "domain")}
    told = face.ask("tenant_info", **header)
    assert [tenant["vo"] for tenant in told["tenants"]] == ["cms", "icecube"]
    assert {tenant["drift"] for tenant in told["tenants"]} == {None}


def test_a_part_that_fails_is_told_and_the_rest_is_done(face, applied):  # noqa: F811
    data = face.rig.folder / "disk.raw"
    data.write_bytes(b"x" * 2048)
    image = {"source": "file:disk.raw", "disk_format": "raw", "checksum": f"sha256:{'0' * 64}"}
    quota = {"compute": {"cores": 41}}
    face.rig.write(vos={**VOS, "cms": {**VOS["cms"], "quota": quota}}, images={f"bad-{face.rig.tag}": image})
    told = face.ask("site", site=str(face.rig.site))
    assert told["failed"]
    assert told["changed"]
    assert [item["kind"] for item in told["failed_changes"]] == ["image"]
    assert "checksum" in told["msg"]
    limits = face.rig.hand.get("compute", f"/os-quota-sets/{face.rig.project('cms')}")["quota_set"]
    assert limits["cores"] == 41
    face.rig.write(vos=VOS)
    face.ask("site", site=str(face.rig.site))


def test_a_plan_past_the_bound_is_refused_in_check_mode_too(face, applied):  # noqa: F811
    face.rig.write(vos={})
    for words in (("--check",), ()):
        told = face.ask("site", *words, site=str(face.rig.site), prune=True)
        assert told["failed"]
        assert "leaves no VO at all" in told["msg"]
    face.rig.write(vos=VOS)
    assert not face.ask("site", "--check", site=str(face.rig.site))["changed"]


def test_some_vos_of_the_file_are_applied_alone(face, applied, play):  # noqa: F811
    more = {"compute": {"cores": 44}}
    both = {name: {**VOS[name], "quota": more} for name in VOS}
    face.rig.write(vos=both)
    text, changed = play("--diff", tenants="icecube")
    assert changed == 1
    assert "icecube" in text
    assert "VO cms" not in text
    left = face.ask("site", "--check", site=str(face.rig.site))
    assert steps(left) == ["update compute_quota cms"]
    face.rig.write(vos=VOS)
    face.ask("site", site=str(face.rig.site))


def test_the_built_collection_works_where_it_is_installed(face, applied, tmp_path, cloud: Cloud):  # noqa: F811
    nowhere = tmp_path / "none"
    built = run_ansible(
        tmp_path, nowhere, "ansible-galaxy", "collection", "build", ROOT, "--output-path", tmp_path
    )
    (tarball,) = tmp_path.glob("osg-site_iaas-*.tar.gz")
    assert built.returncode == 0, built.stdout
    there = tmp_path / "installed"
    words = ("collection", "install", tarball, "-p", there, "--offline")
    installed = run_ansible(tmp_path, nowhere, "ansible-galaxy", *words)
    assert installed.returncode == 0, installed.stdout
    shutil.copy(face.rig.site, tmp_path / "site.yml")
    secrets = f"secrets: {face.rig.secrets}"
    text = (tmp_path / "site.yml").read_text().replace("secrets: secrets", secrets)
    (tmp_path / "site.yml").write_text(text)
    clouds = str(cloud.clouds_yaml)
    words = ("osg.site_iaas.tenants", "-e", "site_file=site.yml", "--check")
    result = run_ansible(tmp_path, there, "ansible-playbook", *words, OS_CLIENT_CONFIG_FILE=clouds)
    assert RECAP.search(result.stdout).groups() == ("0", "0"), result.stdout
