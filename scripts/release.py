"""Builds everything that is released, of the last commit, into a folder: release.py [FOLDER]

Wheel and sources, the Ansible collection, the RPMs, a list of SHA-256 sums and a bill of materials (CycloneDX 1.5: what
we require, since we bundle nothing). Refuses a tree with changes, and versions that differ between the places that
state one.
"""

from __future__ import annotations

import configparser
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from osg_site_iaas import __version__  # noqa: E402


def stated() -> dict[str, str]:
    """The version in each place that cannot take it from osg_site_iaas/__init__.py."""
    spec = (ROOT / "packaging/rpm/osg-site-iaas.spec").read_text(encoding="utf-8")
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    found = re.search(r"^Version: +(\S+)$", spec, re.MULTILINE)
    return {
        "osg_site_iaas/__init__.py": __version__,
        "galaxy.yml": str(galaxy["version"]),
        "osg-site-iaas.spec": found[1] if found else "none",
    }


def materials(commit: str) -> dict[str, object]:
    """What we are made of, as CycloneDX has it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = config["options.extras_require"]
    required = config["options"]["install_requires"].split()
    optional = {line for name in extras for line in extras[name].split()} - set(required)
    components = [
        {
            "type": "library",
            "name": line.partition(">=")[0],
            "purl": f"pkg:pypi/{line.partition('>=')[0].lower()}",
            "scope": "required" if line in required else "optional",
            "properties": [{"name": "osg-site-iaas:version", "value": f">={line.partition('>=')[2]}"}],
        }
        for line in (*required, *sorted(optional))
    ]
    own = {
        "type": "application",
        "name": "osg-site-iaas",
        "version": __version__,
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "properties": [{"name": "osg-site-iaas:commit", "value": commit}],
    }
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": own},
        "components": components,
    }


def run(*words: object, **arguments: object) -> str:
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False, **arguments
    )  # type: ignore[call-overload]
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return str(done.stdout).strip()


def main() -> int:
    versions = stated()
    if len(set(versions.values())) != 1:
        print(f"the versions differ: {versions}", file=sys.stderr)
        return 1
    if run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT):
        print(
            "there are changes that are not committed: what is released is the last commit", file=sys.stderr
        )
        return 1
    out = Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "dist" / __version__).resolve()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        print(f"{out} is not empty", file=sys.stderr)
        return 1
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / f"osg-site-iaas-{__version__}"
        sources = out / f"osg-site-iaas-{__version__}.tar.gz"
        run("git", "archive", "--format=tar.gz", f"--prefix={tree.name}/", "-o", sources, "HEAD", cwd=ROOT)
        run("tar", "-xzf", sources, "-C", folder)
        options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out)
        run(sys.executable, "-m", "pip", "wheel", *options, tree)
        run(Path(sys.executable).parent / "ansible-galaxy", "collection", "build", "--output-path", out, tree)
    run(ROOT / "packaging/rpm/build", out, env={**os.environ, "PYTHON": sys.executable})
    (out / "sbom.cdx.json").write_text(json.dumps(materials(commit), indent=1) + "\n", encoding="utf-8")
    files = sorted(path for path in out.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    print(f"{out}: {len(files)} files of {commit[:12]}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
