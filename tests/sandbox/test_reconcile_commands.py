"""The commands as a person and a program meet them: exit codes, plan files, the lock, and no secret anywhere."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from osg_site_iaas.cloud.lock import held
from tests.sandbox.reconcile_cases import PATCH, many, whole
from tests.sandbox.reconcile_kit import Rig, log_in, ops, rig, wait_for  # noqa: F401

pytestmark = pytest.mark.sandbox
PROTECT = {"op": "replace", "path": "/protected", "value": True}
VOS = {"cms": {"access": [{"fqan": "/cms/*"}]}, "icecube": {"access": [{"fqan": "/icecube/*"}]}}


def test_exit_codes_and_the_shape_of_json(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    planned = rig.run("plan", "--json", expect=2)
    assert {
        "format",
        "checksum",
        "summary",
        "changes",
        "held",
        "conflicts",
        "unmanaged",
        "left",
        "site",
        "requests",
        "prune",
        "unknown",
    } == set(planned.data)
    created = planned.data["changes"][0]
    assert {"op", "kind", "key", "id", "vo", "line", "before", "after", "create", "contents"} == set(created)
    assert planned.data["summary"]["create"] == len(planned.data["changes"])
    applied = rig.run("apply", "--json", "--yes", expect=0).data
    assert (applied["applied"], applied["done"], applied["failed"], applied["skipped"]) == (
        True,
        len(planned.data["changes"]),
        [],
        [],
    )
    assert applied["checksum"] == planned.data["checksum"]
    assert "Plan: nothing to do" in rig.run("plan", expect=0).out  # others may have flavours there
    rig.run("apply", "--yes", expect=0)
    assert rig.run("plan", "--from", "/nowhere").code == 1


def test_a_plan_is_carried_out_only_as_it_was_read(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    file = rig.folder / "plan.json"
    rig.run("plan", "--out", str(file), expect=2)
    domain = {"name": rig.domain, "description": f"x [osg-site-iaas {rig.domain}]"}
    rig.hand.post("identity", "/domains", {"domain": domain})

    ran = rig.run("apply", "--yes", "--plan", str(file), expect=1)
    assert "has changed since" in ran.err
    assert rig.hand.get("identity", f"/projects?domain_id={rig.domain_id}")["projects"] == []
    rig.run("plan", "--out", str(file), expect=2)
    rig.run("apply", "--yes", "--plan", str(file), expect=0)
    assert ops(rig.plan()) == []

    rig.run("plan", "--out", str(file), expect=0)
    rig.rewrite(lambda data: data["vos"].update(ligo={"access": [{"fqan": "/ligo/*"}]}))
    assert "has changed since" in rig.run("apply", "--yes", "--plan", str(file), expect=1).err
    file.write_text("{}")
    assert "is not a plan" in rig.run("apply", "--yes", "--plan", str(file), expect=1).err


def test_a_plan_that_prunes_is_carried_out_as_it_was_made(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    rig.apply()
    rig.rewrite(lambda data: data["vos"].pop("icecube"))
    file = rig.folder / "plan.json"
    rig.run("plan", "--prune", "--out", str(file), expect=2)
    assert "1 of 2 VOs (50 %)" in rig.run("apply", "--yes", "--plan", str(file), expect=1).err
    rig.run("apply", "--yes", "--force", "--plan", str(file), expect=0)
    project = rig.hand.named("identity", f"/projects?domain_id={rig.domain_id}", "projects", "icecube")
    assert project["enabled"] is False


def test_what_is_refused_under_json_says_so_in_json(rig: Rig):  # noqa: F811
    rig.write(**many(5, volumes=False))
    rig.apply()
    rig.write(vos={"vo000": {"access": [{"fqan": "/vo000/*"}]}})
    ran = rig.run("apply", "--json", "--yes", expect=1)
    assert ran.data["applied"] is False
    assert "the bound is 30 %" in ran.data["refused"]
    assert "the bound is 30 %" in ran.err


def test_a_second_apply_waits_for_the_first_or_says_who_it_is(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    with held(rig.secrets, patience=0):
        ran = rig.run("apply", "--yes", "--wait", "0", expect=1)
        assert f"another apply of this site is running: process {os.getpid()} on " in ran.err
        waiting = rig.start("apply", "--yes")
        assert waiting.stderr is not None
        line = waiting.stderr.readline()
        assert f"waiting for another apply of this site: process {os.getpid()}" in line
        rig.run("plan", expect=2)  # looking needs no lock
    out, err = waiting.communicate(timeout=300)
    assert (waiting.returncode, "Done:" in out) == (0, True), err
    assert ops(rig.plan()) == []


def test_of_two_applies_at_once_one_does_it_all(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    both = [rig.start("apply", "--yes", "--json") for _ in range(2)]
    reports = []
    for process in both:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        reports.append(json.loads(out))
    assert sorted(report["done"] for report in reports)[0] == 0
    assert ops(rig.plan()) == []


def test_a_killed_holder_leaves_no_lock(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    process = rig.start("apply", "--yes")
    lock = rig.secrets / ".apply.lock"
    wait_for(lambda: lock.exists() and lock.read_text(), 60)
    process.kill()
    process.communicate()
    rig.run("apply", "--yes", "--wait", "0", expect=0)


def test_no_secret_is_in_any_output_file_or_log(rig: Rig, caplog: pytest.LogCaptureFixture):  # noqa: F811
    rig.write(**whole(rig))
    outputs: list[str] = []
    plan, record = rig.folder / "plan.json", rig.folder / "seen.json"
    with caplog.at_level(logging.DEBUG):
        for words in (
            ("plan", "--json", "--out", str(plan), "--record", str(record)),
            ("apply", "--yes", "--json"),
            ("plan", "--out", str(plan), "--record", str(record)),
        ):
            ran = rig.run(*words)
            outputs += [ran.out, ran.err, plan.read_text(), record.read_text()]
        kept = secret_words(rig)
        (rig.secrets / "cms-pilot.ec2").unlink()
        (rig.secrets / "cms-bot.password").unlink()
        for words in (("plan",), ("apply", "--yes")):
            ran = rig.run(*words)
            outputs += [ran.out, ran.err]
        kept |= secret_words(rig)
    assert len(kept) == 3  # the key's secret is the same again, the password is a new one
    outputs.append("\n".join(record.getMessage() for record in caplog.records))
    outputs += [str(record.args) for record in caplog.records]
    assert "keystoneauth" in {record.name.split(".")[0] for record in caplog.records}
    leaked = [
        text[max(0, text.find(word) - 200) :][:300] for word in kept for text in outputs if word in text
    ]
    assert leaked == []
    assert admin_password(rig) not in "".join(outputs)


def secret_words(rig: Rig) -> set[str]:  # noqa: F811
    key = (rig.secrets / "cms-pilot.ec2").read_text()
    return {
        key.split("aws_secret_access_key = ")[1].strip(),
        (rig.secrets / "cms-bot.password").read_text().strip(),
    }


def admin_password(rig: Rig) -> str:  # noqa: F811
    return str(yaml.safe_load(Path(rig.clouds).read_text())["clouds"]["sandbox"]["auth"]["password"])


def test_secrets_are_their_owners_alone(rig: Rig):  # noqa: F811
    rig.write(**whole(rig))
    old = os.umask(0)
    try:
        rig.apply()
    finally:
        os.umask(old)
    assert rig.secrets.stat().st_mode & 0o777 == 0o700
    modes = {path.name: path.stat().st_mode & 0o777 for path in rig.secrets.iterdir()}
    assert modes == {".apply.lock": 0o600, "cms-pilot.ec2": 0o600, "cms-bot.password": 0o600}


def test_a_folder_for_secrets_that_cannot_be_written_stops_it_before_anything_is_made(rig: Rig):  # noqa: F811
    rig.write(vos=VOS)
    rig.secrets.write_text("a file")
    ran = rig.run("apply", "--yes", expect=1)
    assert "cloud.secrets in site.yml must be a folder of yours" in ran.err
    assert rig.domain not in json.dumps(rig.hand.get("identity", "/domains"))


def test_a_lost_key_file_is_written_again_and_a_lost_password_is_renewed(rig: Rig):  # noqa: F811
    rig.write(**whole(rig))
    rig.apply()
    key, password = rig.secrets / "cms-pilot.ec2", rig.secrets / "cms-bot.password"
    before = key.read_text(), password.read_text()
    key.unlink()
    password.unlink()
    assert "nothing to do" in rig.run("plan", "--without-secrets", expect=0).out
    assert ops(rig.plan()) == ["update ec2_credential cms-pilot", "update user cms-bot"]
    rig.apply()
    assert key.read_text() == before[0]
    assert password.read_text() != before[1]
    log_in(rig, "cms-bot", password.read_text().strip())


def keys_of(rig: Rig, user: str) -> list[Any]:  # noqa: F811
    found = rig.hand.named("identity", f"/users?domain_id={rig.domain_id}", "users", user)["id"]
    return list(rig.hand.get("identity", f"/credentials?user_id={found}&type=ec2")["credentials"])


def test_a_key_that_the_vo_made_itself_stays_when_ours_is_withdrawn(rig: Rig):  # noqa: F811
    rig.write(vos={"cms": {"access": [{"fqan": "/cms/*"}], "service_users": {"pilot": {"ec2_key": True}}}})
    rig.apply()
    (ours,) = keys_of(rig, "cms-pilot")
    own = {"type": "ec2", "user_id": ours["user_id"], "project_id": ours["project_id"]}
    blob = json.dumps({"access": f"own{rig.tag}", "secret": "s"})
    theirs = rig.hand.post("identity", "/credentials", {"credential": {**own, "blob": blob}})["credential"]
    assert ops(rig.plan()) == []
    rig.rewrite(lambda data: data["vos"]["cms"]["service_users"].update(pilot={}))
    assert [op.split("/")[0] for op in ops(rig.plan())] == ["remove ec2_credential cms-pilot"]
    rig.apply()
    assert [key["id"] for key in keys_of(rig, "cms-pilot")] == [theirs["id"]]
    assert not (rig.secrets / "cms-pilot.ec2").exists()


def test_a_key_follows_its_vo_to_another_project(rig: Rig, cloud: Any):  # noqa: F811
    rig.write(vos={"cms": {"access": [{"fqan": "/cms/*"}], "service_users": {"pilot": {"ec2_key": True}}}})
    rig.apply()
    rig.rewrite(lambda data: data["vos"]["cms"].update(project="cms-new"))
    rig.apply("--force")
    (key,) = keys_of(rig, "cms-pilot")
    assert key["project_id"] == rig.project("cms-new")
    assert ops(rig.plan()) == []


def test_what_was_disabled_by_hand_stays_so_until_site_yml_says_otherwise(rig: Rig):  # noqa: F811
    rig.write(vos={"cms": {**VOS["cms"], "service_users": {"pilot": {}}}})
    rig.apply()
    project = rig.project("cms")
    user = rig.hand.named("identity", f"/users?domain_id={rig.domain_id}", "users", "cms-pilot")["id"]
    provider = f"/OS-FEDERATION/identity_providers/grid-{rig.tag}"
    places = {f"/projects/{project}": "project", f"/users/{user}": "user", provider: "identity_provider"}
    for path, member in places.items():
        rig.hand.send("PATCH", "identity", path, json={member: {"enabled": False}})

    def enabled() -> list[bool]:
        return [rig.hand.get("identity", path)[member]["enabled"] for path, member in places.items()]

    planned = rig.run("plan", expect=0).out
    for line in ("project cms", "user cms-pilot", f"identity_provider grid-{rig.tag}"):
        assert f"  . {line}: enabled false\n" in planned
    rig.apply()
    assert enabled() == [False, False, False]
    rig.rewrite(lambda data: data["vos"]["cms"].update(enabled=True))
    assert ops(rig.plan()) == ["update project cms", "update user cms-pilot"]
    rig.apply()
    assert enabled() == [True, True, False]


def test_what_site_yml_does_not_state_stays_as_somebody_has_set_it(rig: Rig):  # noqa: F811
    t, hand = rig.tag, rig.hand
    (rig.folder / "disk.raw").write_bytes(b"x" * 2048)
    rig.write(
        flavours={f"{t}.small": {"vcpus": 1, "ram": "1 GiB"}},
        networks={f"{t}-pool": {}},
        images={f"{t}-disk": {"source": "file:disk.raw", "disk_format": "raw"}},
        vos={"cms": {**VOS["cms"], "buckets": {f"{t}-scratch": {}}}},
    )
    rig.apply()
    assert (ops(rig.plan()), rig.plan()["left"]) == ([], [])

    def flavour() -> str:
        return str(hand.named("compute", "/flavors?is_public=none", "flavors", f"{t}.small")["id"])

    network = hand.named("network", "/networks", "networks", f"{t}-pool")["id"]
    image = hand.named("image", "/images?limit=1000", "images", f"{t}-disk")["id"]
    bucket = f"{hand.account(rig.project('cms'))}/{t}-scratch"
    hand.post("compute", f"/flavors/{flavour()}/os-extra_specs", {"extra_specs": {"foo": "bar"}})
    hand.send("PUT", "network", f"/networks/{network}", json={"network": {"shared": True}})
    hand.send("PATCH", "image", f"/images/{image}", headers=PATCH, json=[PROTECT])
    assert hand.http.post(bucket, headers={"X-Container-Read": ".r:*"}, timeout=60).status_code == 204

    planned = rig.plan()
    assert ops(planned) == []
    assert {item["kind"]: item["attrs"] for item in planned["left"]} == {
        "bucket": {"public_read": True},
        "flavour": {"properties": {"foo": "bar"}},
        "image": {"protected": True},
        "network": {"shared": True},
    }
    rig.rewrite(lambda data: data["flavours"][f"{t}.small"].update(vcpus=2))
    rig.apply()  # Nova cannot change a size: the flavour is another one
    assert hand.get("compute", f"/flavors/{flavour()}/os-extra_specs")["extra_specs"] == {"foo": "bar"}
    assert hand.get("image", f"/images/{image}")["protected"]
    assert hand.get("network", f"/networks/{network}")["network"]["shared"]
