"""The collection's plugins under the Ansible that EL9 and EL10 have, by docs/packages.md.

Only Ansible is another one: the rest of the test environment is seen through a .pth file, after Ansible's own folder.
"""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
TESTS = ("test_faces.py", "test_interpreters.py")
ROW = re.search(
    r"^\| `ansible-core` .*$", (ROOT / "docs/packages.md").read_text(encoding="utf-8"), re.MULTILINE
)
VERSIONS = re.findall(r"\| (\d+\.\d+\.\d+) \(", ROW[0] if ROW else "")


def test_the_page_names_an_ansible_for_each_el() -> None:
    assert len(VERSIONS) == 2


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path old Ansible does not break in two where it fits its warnings into 79 columns."""
    with tempfile.TemporaryDirectory(prefix="el") as folder:
        yield Path(folder)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_tests_of_plugins_pass_with_the_ansible_of_an_el(short: Path, version: str) -> None:
    python = short / "venv/bin/python"
    subprocess.run([sys.executable, "-m", "venv", short / "venv"], check=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", f"ansible-core=={version}"], check=True)
    asked = [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"]
    own = Path(subprocess.check_output(asked, text=True).strip())
    (own / "others.pth").write_text(f"{ROOT}\n{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    told = subprocess.check_output([short / "venv/bin/ansible", "--version"], text=True)
    assert f"[core {version}]" in told
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", short / "t"]
    tests = [ROOT / "tests/unit/plugins" / name for name in TESTS]
    done = subprocess.run([python, *words, *tests], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
