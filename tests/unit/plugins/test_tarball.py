"""The collection as a tarball."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.collection import BIN, ROOT


def test_the_tarball_holds_what_ansible_reads_and_nothing_else(ansible, tmp_path):
    built = ansible("ansible-galaxy", "collection", "build", ROOT, "--output-path", tmp_path)
    assert built.returncode == 0, built.stdout
    (tarball,) = tmp_path.glob("osg-site_iaas-*.tar.gz")
    with tarfile.open(tarball) as archive:
        names = [Path(name) for name in archive.getnames()]
    tops = {name.parts[0] for name in names}
    assert tops <= {
        "FILES.json", "MANIFEST.json", "LICENSE", "docs", "examples", "meta", "packaging", "playbooks", "plugins",
        "probes", "roles",
    }  # fmt: skip
    assert {"plugins", "playbooks", "meta", "LICENSE"} <= tops
    # what messages, READMEs and units name, and roles install for units
    pages = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert {str(name) for name in names if name.parts[0] == "docs" and name.suffix} == pages
    # what roles install from there
    units = {
        str(path.relative_to(ROOT)) for path in (ROOT / "packaging/systemd").rglob("*.*") if path.is_file()
    }
    probe = {"probes/openstack/ProbeConfig", "probes/openstack/openstack_meter"}
    assert units | probe <= {str(name) for name in names}
    assert not [name for name in names if name.parts[:2] == ("packaging", "rpm")]
    plugins = {path.relative_to(ROOT) for path in (ROOT / "plugins").rglob("*.*") if path.suffix != ".pyc"}
    assert plugins <= set(names)
    assert not [name for name in names if name.suffix == ".pyc" or "__pycache__" in name.parts]


def test_a_checkout_needs_no_installation(tmp_path):
    told = subprocess.run(
        [BIN / "ansible-galaxy", "collection", "list", "osg.site_iaas"],
        env={"ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    assert str(ROOT / ".collections") in told.stdout
    assert "osg.site_iaas" in told.stdout
