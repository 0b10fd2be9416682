"""One apply at a time, and a dead one holds nothing."""

import subprocess
import sys

import pytest

from osg_site_iaas.cloud.lock import held
from osg_site_iaas.errors import Locked

HOLD = """
import sys
from pathlib import Path
from osg_site_iaas.cloud.lock import held
with held(Path(sys.argv[1]), patience=0):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_second_is_told_who_holds_the_lock(tmp_path, other):
    with pytest.raises(Locked, match=f"process {other.pid} on "), held(tmp_path, patience=0):
        pass


def test_a_killed_holder_holds_nothing(tmp_path, other):
    other.kill()
    other.wait()
    with held(tmp_path, patience=0):
        pass


def test_one_who_waits_gets_it_and_has_heard_why(tmp_path, other):
    heard = []

    def say(text):
        heard.append(text)
        other.kill()

    with held(tmp_path, patience=30, say=say):
        pass
    assert str(other.pid) in heard[0]
