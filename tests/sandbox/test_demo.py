"""The demo's story, step by step, and the demo as a person starts and stops it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from osg_site_iaas.cli.demo import _write_site
from osg_site_iaas.sandbox import Sandbox
from osg_site_iaas.sandbox.story import Story
from tests.sandbox.reconcile_kit import takes_ctrl_c

DEMO = [sys.executable, "-m", "osg_site_iaas", "demo"]


@pytest.fixture
def story(cloud, tmp_path, monkeypatch, domain_name):
    """The story in a domain of its own, with names of its own, and gone afterwards."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))

    def write_site(path):
        _write_site(path)
        text = path.read_text()
        for old, new in (
            ("  name: sandbox", f"  domain: {domain_name}\n  name: sandbox"),
            ("  grid:", f"  {domain_name}:"),  # Keystone knows providers and issuers by name alone
            ("issuer.example.org", f"{domain_name}.example.org"),
        ):
            assert old in text
            text = text.replace(old, new)
        path.write_text(text)

    told = Story(tmp_path / "demo", cloud.sandbox, write_site)
    yield told
    (cloud.sandbox.folder / "identity.yml").unlink(missing_ok=True)
    told.file.write_text(told.file.read_text().split("\nvos:")[0] + "\nvos: {}\n")
    for _ in ("disable", "delete"):
        clean = [*DEMO[:-1], "apply", str(told.file), "--prune", "--destroy", "cms", "--destroy", "icecube"]
        env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(cloud.clouds_yaml)}
        subprocess.run([*clean, "--force", "--yes"], check=True, env=env, stdout=subprocess.DEVNULL)
    admin = cloud.connect()
    for mapping in admin.identity.get("/OS-FEDERATION/mappings").json()["mappings"]:
        if domain_name in mapping["id"]:  # mappings have no domain whose end would be theirs
            admin.identity.delete(f"/OS-FEDERATION/mappings/{mapping['id']}")
    admin.close()


def tell(story, *without):
    steps = [step for step in story.steps() if step.title not in without]
    return {step.title: step.run(lambda note: None) for step in steps}


def test_every_step_does_what_it_says_and_the_second_time_there_is_less_to_do(story):
    first = tell(story)
    # other tests may have left flavours or identity providers, which belong to no domain and so are "not ours" here
    assert first["Plan again"].startswith("Plan: nothing to do")
    assert first["Deliver its usage record"].startswith("the collector has it once: VO CMS, 0.0")
    assert "<urwg:VOName>/cms" in story.record
    assert "<urwg:DN>/DC=org/DC=sandbox/OU=Users/CN=Sandbox User</urwg:DN>" in story.record
    assert first["Write its VO's statement"].startswith("CMS 0.0")
    assert "<title>CMS at " in story.statement.read_text()
    # Each of these servers was found in the project of its VO, and made by who had logged in, or the step had failed.
    assert first["Start one with every tool"] == (
        "6 servers, each in its VO's project, and ended again: openstack, awscli, boto3; "
        "cms's by its proxy, icecube's by its token"
    )
    kept = [file for who in ("cms", "icecube") for file in (story.folder / "members" / who).iterdir()]
    open_to_others = [file for file in (story.clouds_yaml, *kept) if file.stat().st_mode & 0o077]
    assert [file for file in open_to_others if file.name != ".lock"] == []
    second = tell(Story(story.folder, story.sandbox, story._write_site), "Start one with every tool")
    assert second["Apply"] == "nothing to do: it is what site.yml says"
    assert second["Deliver its usage record"].startswith("the collector has it once")


def test_stopping_what_never_ran_says_so(tmp_path):
    done = subprocess.run(
        [*DEMO, "--folder", str(tmp_path / "none"), "--down"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "Nothing of the demo was running.\n"


def test_a_folder_that_is_no_demo_is_neither_used_nor_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    for words in ([], ["--down", "--purge"]):
        done = subprocess.run(
            [*DEMO, "--folder", str(tmp_path), *words], capture_output=True, text=True, check=False
        )
        assert (done.returncode, "Traceback" in done.stderr) == (1, False)
        assert [each.name for each in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.long
def test_the_whole_demo_from_nothing_and_stopped(tmp_path):
    folder = tmp_path / "demo"
    try:
        done = subprocess.run(
            [*DEMO, "--folder", str(folder), "--json"], capture_output=True, text=True, check=False
        )
        data = json.loads(done.stdout)
        assert (done.returncode, data["ok"]) == (0, True), done.stderr
    finally:
        subprocess.run([*DEMO, "--folder", str(folder), "--down"], check=True)
    assert not Sandbox.open("demo", folder / "sandbox").running


@pytest.mark.long
def test_an_interrupted_demo_leaves_nothing_running(tmp_path):
    folder = tmp_path / "demo"
    with subprocess.Popen(
        [*DEMO, "--folder", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=takes_ctrl_c,
    ) as demo:
        deadline = time.monotonic() + 120
        while not list(folder.glob("sandbox/logs/*")) and time.monotonic() < deadline:
            time.sleep(0.2)
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 130
    left = [
        name.name
        for name in Path("/proc").glob("[0-9]*")
        if str(folder).encode() in (name / "cmdline").read_bytes()
    ]
    assert left == []
