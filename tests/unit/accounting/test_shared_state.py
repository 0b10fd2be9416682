"""The probe's state, which the status page reads as another user of the same group."""

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from osg_site_iaas.accounting.store import FILE, Store

PROBE, PAGE, GROUP = 5001, 5002, 5001


@pytest.mark.parametrize(("folder", "file"), [(0o2770, 0o660), (0o750, 0o640), (0o700, 0o600)])
def test_the_file_is_for_whom_the_folder_is_for(tmp_path, folder, file):
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(folder)
    with Store(tmp_path / "state") as store:
        modes = {path.stat().st_mode & 0o777 for path in store.folder.iterdir()}
    assert modes == {file}


@pytest.fixture
def shared():
    """The folder as the probe's unit makes it."""
    if os.geteuid():
        pytest.skip("it takes root to be two users")
    folder = Path(tempfile.mkdtemp(prefix="osg-state-"))
    folder.chmod(0o755)
    state = folder / "state"
    state.mkdir()
    os.chown(state, PROBE, GROUP)
    state.chmod(0o2770)
    yield state
    shutil.rmtree(folder)


def as_user(user, umask, deed):
    """Does it as that user; the exit code, 1 where it raised."""
    child = os.fork()
    if not child:
        try:
            os.setgroups([GROUP])
            os.setgid(user)
            os.setuid(user)
            os.umask(umask)
            deed()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def writes(folder):
    with Store(folder) as store:
        store.keep("a", 1)


def reads(folder):
    with Store(folder, readonly=True) as store:
        store.note("a")


def test_the_probe_can_write_after_the_page_has_read(shared):
    for _ in range(2):
        assert as_user(PROBE, 0o007, lambda: writes(shared)) == 0
        assert as_user(PAGE, 0o022, lambda: reads(shared)) == 0


def test_the_probe_gets_over_what_the_page_left_beside_a_file_of_an_earlier_release(shared):
    assert as_user(PROBE, 0o007, lambda: writes(shared)) == 0
    (shared / FILE).chmod(0o640)
    assert as_user(PAGE, 0o022, lambda: reads(shared)) == 0
    assert (shared / f"{FILE}-shm").stat().st_uid == PAGE

    def plainly():
        sqlite3.connect(shared / FILE).execute("create table x (a)")

    assert as_user(PROBE, 0o007, plainly) == 1
    assert as_user(PROBE, 0o007, lambda: writes(shared)) == 0
