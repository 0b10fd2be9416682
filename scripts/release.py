"""Builds everything that is released, of the last commit: release.py [FOLDER] [--sign KEY]

Wheel and sources, the Ansible collection, the RPMs, a list of SHA-256 sums and a bill of materials (CycloneDX 1.5: what
we require, since we bundle nothing). Refuses a tree with changes, and versions that differ between the places that
state one. The same commit gives the same bytes again: every time in them is the commit's.

With --sign each RPM carries a signature, and SHA256SUMS.asc is one of the list: by a key of your GnuPG, by its id,
fingerprint or mail address.
"""

from __future__ import annotations

import argparse
import configparser
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from same_collection import normalise  # noqa: E402  (beside this script)

from osg_site_iaas import __version__  # noqa: E402


def stated() -> dict[str, str]:
    """The version in each place that cannot take it from osg_site_iaas/__init__.py."""
    spec = (ROOT / "packaging/rpm/osg-site-iaas.spec").read_text(encoding="utf-8")
    galaxy = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))
    found = re.search(r"^Version: +(\S+)$", spec, re.MULTILINE)
    logged = re.search(r"^%changelog\n\* .* (\S+)-\S+$", spec, re.MULTILINE)
    return {
        "osg_site_iaas/__init__.py": __version__,
        "galaxy.yml": str(galaxy["version"]),
        "osg-site-iaas.spec": found[1] if found else "none",
        "osg-site-iaas.spec, %changelog": logged[1] if logged else "none",
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


def build(out: Path) -> None:
    """Everything but the list of sums."""
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT)
    made = run("git", "log", "-1", "--format=%ct", cwd=ROOT)
    os.environ["SOURCE_DATE_EPOCH"] = made  # wheel and rpmbuild heed it
    os.umask(0o022)
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / f"osg-site-iaas-{__version__}"
        sources = out / f"osg-site-iaas-{__version__}.tar.gz"
        archive = ("git", "-c", "tar.umask=0022", "archive", "--format=tar.gz", f"--prefix={tree.name}/")
        run(*archive, "-o", sources, "HEAD", cwd=ROOT)
        run("tar", "-xzf", sources, "-C", folder)
        options = ("--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", out)
        run(sys.executable, "-m", "pip", "wheel", *options, tree)
        galaxy = Path(sys.executable).parent / "ansible-galaxy"
        run(galaxy, "collection", "build", "--output-path", folder, tree)
        (collection,) = Path(folder).glob("osg-site_iaas-*.tar.gz")
        normalise(collection, out / collection.name, int(made))
    run(ROOT / "packaging/rpm/build", out, env={**os.environ, "PYTHON": sys.executable})
    (out / "sbom.cdx.json").write_text(json.dumps(materials(commit), indent=1) + "\n", encoding="utf-8")


def can_sign(key: str) -> None:
    """Ends the program before anything is built if it could not be signed."""
    for program, package in (("gpg", "gnupg2 (EL) or gnupg"), ("rpmsign", "rpm-sign (EL) or rpm")):
        if shutil.which(program) is None:
            sys.exit(f"{program} is missing, so nothing can be signed: install {package} (Debian)")
    if subprocess.run(["gpg", "--batch", "--list-secret-keys", key], capture_output=True).returncode:
        sys.exit(f"your GnuPG has no secret key {key!r}: `gpg --list-secret-keys` shows those that it has")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / __version__)
    parser.add_argument("--sign", metavar="KEY")
    args = parser.parse_args()
    versions = stated()
    if len(set(versions.values())) != 1:
        print(f"the versions differ: {versions}", file=sys.stderr)
        return 1
    if run("git", "status", "--porcelain", "--untracked-files=no", cwd=ROOT):
        print(
            "there are changes that are not committed: what is released is the last commit", file=sys.stderr
        )
        return 1
    out = args.folder.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if any(out.iterdir()):
        print(f"{out} is not empty", file=sys.stderr)
        return 1
    if args.sign:
        can_sign(args.sign)
    build(out)
    if args.sign:
        # rpm of some distributions calls gpg by an older name
        names = ("--define", f"_gpg_name {args.sign}", "--define", f"__gpg {shutil.which('gpg')}")
        run("rpmsign", *names, "--addsign", *sorted(out.glob("*.rpm")))
    files = sorted(path for path in out.iterdir() if path.name != "SHA256SUMS")
    sums = "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)
    (out / "SHA256SUMS").write_text(sums, encoding="utf-8")
    if args.sign:
        run("gpg", "--batch", "--local-user", args.sign, "--armor", "--detach-sign", out / "SHA256SUMS")
    signed = f", signed by {args.sign}" if args.sign else ", not signed"
    print(f"{out}: {len(files)} files of {run('git', 'rev-parse', '--short=12', 'HEAD', cwd=ROOT)}{signed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
