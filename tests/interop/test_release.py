"""What ``make release`` builds: whole, with sums that fit, signed, the same again, and working once installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osg_site_iaas import __version__
from tests.interop.packages_kit import KEY, ROOT, Release, build, sh

BIN = Path(sys.executable).parent


def test_everything_is_there_and_the_sums_fit(release: Release) -> None:
    names = {path.name for path in release.folder.iterdir()}
    assert {
        f"osg_site_iaas-{__version__}-py3-none-any.whl", f"osg-site_iaas-{__version__}.tar.gz",
        f"osg-site-iaas-{__version__}.tar.gz", "sbom.cdx.json", "SHA256SUMS", "SHA256SUMS.asc",
    } <= names  # fmt: skip
    assert len(release.rpms) == 7
    assert "FAILED" not in sh("sha256sum", "--check", "SHA256SUMS", cwd=release.folder)
    assert len((release.folder / "SHA256SUMS").read_text().splitlines()) == len(names) - 2
    bill = json.loads((release.folder / "sbom.cdx.json").read_text())
    assert bill["metadata"]["component"]["version"] == __version__
    assert "openstacksdk" in {one["name"] for one in bill["components"]}


def test_a_packager_verifies_it_by_the_key_alone(release: Release, tmp_path: Path) -> None:
    """The commands of docs/packages.md, with a GnuPG and an rpm that know nothing but the key."""
    environment = {**os.environ, "GNUPGHOME": str(tmp_path)}
    tmp_path.chmod(0o700)
    sh("gpg", "--quiet", "--batch", "--import", release.key, env=environment)
    verify = ("gpg", "--batch", "--verify", "SHA256SUMS.asc", "SHA256SUMS")
    assert f'Good signature from "Release <{KEY}>"' in sh(*verify, cwd=release.folder, env=environment)
    root = tmp_path / "rpm"
    root.mkdir()
    check = ("rpmkeys", "--root", root, "--checksig", *release.folder.glob("*.rpm"))
    stranger = subprocess.run(map(str, check), capture_output=True, text=True, check=False)
    assert stranger.returncode != 0, "signed, and by nobody that this rpm knows"
    sh("rpmkeys", "--root", root, "--import", release.key)
    told = [line for line in sh(*check).splitlines() if ".rpm: " in line]
    assert {line.partition(".rpm: ")[2] for line in told} == {"digests signatures OK"}
    assert len(told) == 8

    changed = tmp_path / "changed"
    changed.mkdir()
    for name in ("SHA256SUMS", "SHA256SUMS.asc"):
        shutil.copy(release.folder / name, changed)
    (changed / "SHA256SUMS").write_text("0" + (changed / "SHA256SUMS").read_text()[1:])
    bad = subprocess.run(verify, cwd=changed, env=environment, capture_output=True, text=True, check=False)
    assert "BAD signature" in bad.stderr


def test_a_key_that_is_not_there_is_said_before_anything_is_built(tmp_path: Path) -> None:
    clone, out = tmp_path / "tree", tmp_path / "out"
    with pytest.raises(AssertionError, match="your GnuPG has no secret key 'nobody'"):
        build(clone, out, "--sign", "nobody", GNUPGHOME=str(tmp_path))
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    "file, before", [("galaxy.yml", "version: "), ("packaging/rpm/osg-site-iaas.spec", "Version:        ")]
)
def test_versions_that_differ_are_refused(tmp_path: Path, file: str, before: str) -> None:
    sh("git", "clone", "--quiet", "--no-hardlinks", ROOT, tmp_path / "tree")
    text = (tmp_path / "tree" / file).read_text()
    assert before + __version__ in text
    (tmp_path / "tree" / file).write_text(text.replace(before + __version__, f"{before}9.9.9", 1))
    words = (sys.executable, "scripts/release.py", tmp_path / "out")
    done = subprocess.run(map(str, words), cwd=tmp_path / "tree", capture_output=True, text=True, check=False)
    assert (done.returncode, "the versions differ" in done.stderr, "9.9.9" in done.stderr) == (1, True, True)


@pytest.mark.long
def test_the_same_commit_gives_the_same_files_again(release: Release, tmp_path: Path) -> None:
    """In another folder, later, with other habits of the one who builds, and without a signature."""
    before = os.umask(0o077)
    try:
        told = build(tmp_path / "elsewhere/tree", tmp_path / "again")
    finally:
        os.umask(before)
    assert told.strip().endswith("not signed")
    for path in sorted((tmp_path / "again").iterdir()):
        first = release.folder / path.name
        if path.suffix == ".rpm":
            query = ("rpm", "-qp", "--nosignature", "--qf", "%{PAYLOADDIGEST} %{BUILDTIME} %{BUILDHOST}\n")
            assert sh(*query, path) == sh(*query, first), path.name
        elif path.name != "SHA256SUMS":
            assert path.read_bytes() == first.read_bytes(), path.name


def test_the_wheel_and_the_collection_work_from_where_they_were_installed(
    release: Release, tmp_path: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "PYTHONPATH": str(tmp_path / "lib"),
        "LC_ALL": "C.UTF-8",
    }
    (wheel,) = release.folder.glob("*.whl")
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index")
    sh(*pip, "--target", tmp_path / "lib", wheel)
    where = "import osg_site_iaas; print(osg_site_iaas.__file__)"
    assert str(tmp_path / "lib") in sh(sys.executable, "-c", where, env=environment, cwd=tmp_path)
    told = sh(sys.executable, tmp_path / "lib/bin/osg-site-iaas", "--version", env=environment, cwd=tmp_path)
    assert told.strip() == f"osg-site-iaas {__version__}"
    shutil.copy(ROOT / "examples/complete.yml", tmp_path / "site.yml")
    sh(sys.executable, tmp_path / "lib/bin/osg-site-iaas", "check", "site.yml", env=environment, cwd=tmp_path)
    (collection,) = release.folder.glob("osg-site_iaas-*.tar.gz")
    galaxy = (BIN / "ansible-galaxy", "collection")
    sh(*galaxy, "install", "--offline", "-p", tmp_path / "c", collection, env=environment, cwd=tmp_path)
    environment["ANSIBLE_COLLECTIONS_PATH"] = str(tmp_path / "c")
    sh(*galaxy, "verify", "--offline", "osg.site_iaas", env=environment, cwd=tmp_path)
    assert "site_iaas.site" in sh(BIN / "ansible-doc", "-l", "osg.site_iaas", env=environment, cwd=tmp_path)
