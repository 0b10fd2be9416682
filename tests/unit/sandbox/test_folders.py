from __future__ import annotations

import os
import struct
import subprocess
import sys
import threading

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Sandbox, folders, processes


def test_the_cache_follows_the_environment():
    assert str(folders.cache({"HOME": "/h"})) == "/h/.cache/osg-site-iaas"
    assert str(folders.cache({"HOME": "/h", "XDG_CACHE_HOME": "/c"})) == "/c/osg-site-iaas"
    assert str(folders.cache({"XDG_CACHE_HOME": "/c", "OSG_SITE_IAAS_CACHE": "/own"})) == "/own"


def test_the_state_follows_the_environment():
    assert str(folders.home({"HOME": "/h"})) == "/h/.local/state/osg-site-iaas/sandbox"
    assert str(folders.home({"HOME": "/h", "XDG_STATE_HOME": "/s"})) == "/s/osg-site-iaas/sandbox"


def test_a_private_file_is_whole_and_its_owners(tmp_path):
    path = tmp_path / "deep/er/file"
    folders.write_private(path, "one")
    folders.write_private(path, "two")
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["file"]


def test_what_is_made_is_closed_to_others_whatever_the_umask_is(tmp_path):
    before = os.umask(0)
    try:
        folders.write_private(tmp_path / "a/b/file", "x")
        with folders.only_one(tmp_path / "c/d/lock"):
            pass
        processes.own(tmp_path / "e/f/lock").close()
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert [path for path in tmp_path.rglob("*") if path.stat().st_mode & 0o077] == []


def test_the_second_waits_for_the_first_and_is_told(tmp_path):
    told, order = threading.Event(), []

    def second():
        with folders.only_one(tmp_path / "lock", told.set):
            order.append("second")

    with folders.only_one(tmp_path / "lock", lambda: pytest.fail("nobody holds it")):
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


def test_a_digest_is_that_of_content(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("x")
    two.write_text("x")
    assert folders.digest(one) == folders.digest(two)
    assert folders.digest(one) != folders.digest(one, extra="y")
    two.write_text("y")
    assert folders.digest(one) != folders.digest(two)


OWN = """
import sys, pathlib
from osg_site_iaas.sandbox import processes
lock = processes.own(pathlib.Path(sys.argv[1]))
print("owned", flush=True)
sys.stdin.read()
"""


def test_an_owner_is_known_by_others_until_it_ends(tmp_path):
    path = tmp_path / "lock"
    assert processes.owner(path) is None
    with subprocess.Popen(
        [sys.executable, "-c", OWN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"owned\n"
        assert processes.owner(path) == process.pid
        with pytest.raises(SandboxError, match=f"process {process.pid} owns it already"):
            processes.own(path)
        process.kill()
    assert processes.owner(path) is None
    assert path.exists()


PARENT = """
import subprocess, sys
from osg_site_iaas.sandbox import processes
child = subprocess.Popen(["sleep", "600"], preexec_fn=processes.dies_with_parent())
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_a_child_ends_with_its_parent_however_that_ends():
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        assert running(child)
        process.kill()
        process.wait()
    for _ in range(100):
        if not running(child):
            return
        threading.Event().wait(0.05)
    pytest.fail(f"process {child} lives on")


def running(pid: int) -> bool:
    """Whether it is there and more than a zombie that nobody has collected."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_services_see_nothing_of_the_users_openstack_or_python(monkeypatch):
    for name in ("OS_CLOUD", "OS_PASSWORD", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"):
        monkeypatch.setenv(name, "theirs")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.org:3128")
    seen = processes.plain_environment({"OS_NOVA_CONFIG_DIR": "/etc"})
    assert {name for name, value in seen.items() if value == "theirs"} == set()
    assert seen["OS_NOVA_CONFIG_DIR"] == "/etc"
    assert "127.0.0.1" in seen["no_proxy"]
    assert "127.0.0.1" in seen["NO_PROXY"]


def test_a_folder_with_other_things_in_it_is_no_sandbox_and_keeps_them(tmp_path):
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "data/thesis.txt").write_text("mine")
    mode = folder.stat().st_mode
    with pytest.raises(SandboxError, match="other things than a sandbox: data"):
        Sandbox.open(state=folder).up()
    assert [str(each.relative_to(folder)) for each in folder.rglob("*")] == ["data", "data/thesis.txt"]
    assert folder.stat().st_mode == mode


def test_a_folder_that_is_empty_new_or_a_sandbox_is_taken(tmp_path):
    folders.refuse_foreign(tmp_path / "new")
    folders.refuse_foreign(tmp_path)
    (tmp_path / "run").mkdir()
    folders.refuse_foreign(tmp_path)
    (tmp_path / folders.SETTINGS).write_text("{}")
    (tmp_path / "mine").write_text("")
    folders.refuse_foreign(tmp_path)


def test_an_owner_that_the_kernel_does_not_show_is_an_error_and_never_signalled(tmp_path, monkeypatch):
    path = tmp_path / "lock"
    held = processes.own(path)
    # what F_GETLK answers of a process in another PID namespace
    monkeypatch.setattr(
        processes.fcntl,
        "fcntl",
        lambda *_: struct.pack(processes._FLOCK, processes.fcntl.F_WRLCK, 0, 0, 0, 0),
    )
    with pytest.raises(SandboxError, match="another container"):
        processes.owner(path)
    held.close()
