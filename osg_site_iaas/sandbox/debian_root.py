"""An older OpenStack from a distribution's packages: a root of its own in the cache, entered process by process.

Nothing is started in it and nothing of it listens: its Python runs the sandbox's services as the environment of
the current release does. The mirror is the one that this machine's apt uses.
"""

from __future__ import annotations

import os
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Mapping, Optional, Sequence

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, processes
from osg_site_iaas.sandbox.model import Command

Progress = Callable[[str], None]
MIRROR = "OSG_SITE_IAAS_DEBIAN_MIRROR"
PACKAGE_PATH = Path(__file__).parents[2]
LAST_LINES = 25
_SUITES = ("bullseye", "bookworm", "trixie", "forky", "oldoldstable", "oldstable", "stable", "testing", "sid")
_ASK_APT = ("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Created-By: Packages")
# What apt knows by itself; the rest of "Acquire" is how this machine reaches its mirror.
_OWN = ("IndexTargets", "Changelogs", "CompressionTypes", "cdrom")


@dataclass(frozen=True)
class DebianRelease:
    """Which packages of which Debian are an OpenStack release, or what else a test needs a Debian for."""

    name: str
    suite: str
    #: installed with what they need
    packages: tuple[str, ...]
    #: only unpacked, for the files they hold: path in the package -> path below etc/ of the result
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


ZED = DebianRelease(
    "zed",
    "bookworm",
    tuple(
        f"python3-{name}"
        for name in ("keystone", "nova", "placement", "glance", "neutron", "cinder", "swift", "cheroot")
    ),
    {
        "nova-common": {"usr/share/nova-common/api-paste.ini": "nova/api-paste.ini"},
        "neutron-common": {"usr/share/neutron-common/api-paste.ini": "neutron/api-paste.ini"},
        "glance-common": {"usr/share/glance-common/glance-api-paste.ini": "glance/glance-api-paste.ini"},
        "cinder-common": {
            "usr/share/cinder-common/api-paste.ini": "cinder/api-paste.ini",
            "etc/cinder/resource_filters.json": "cinder/resource_filters.json",
        },
    },
)

EPOXY = DebianRelease("epoxy", "trixie", ("python3-keystone", "python3-swift", "python3-cheroot"))

# $$ stays the same through exec: the second time round it is in its own namespace. What is mounted there goes
# with the process, however that ends, and is never seen outside.
_ENTER = """\
#!/bin/sh
# Runs a program in {root}, with the current folder and a few others at the same paths as outside.
set -e
if [ "$SANDBOX_ENTERED" != $$ ]; then
    SANDBOX_ENTERED=$$ exec unshare --mount --propagation private "$0" "$@"
fi
unset SANDBOX_ENTERED
root={root}
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
for folder in {folders} "$PWD"; do
    (umask 022; mkdir -p "$root$folder")  # services that are not root look in there too
    mount --bind "$folder" "$root$folder"
done
exec chroot "$root" "$@"
"""
_PYTHON = '#!/bin/sh\nexec {enter} /usr/bin/python3 "$@"\n'


def path(release: DebianRelease) -> Path:
    """Where the release is, or will be: root/, and bin/ and etc/ as in an environment of Python's."""
    recipe = repr((release.suite, release.packages, release.files))
    return folders.cache() / f"{release.name}-{folders.digest(extra=recipe)}"


def ensure(release: DebianRelease, progress: Progress) -> Path:
    """The services' interpreter; minutes the first time, nothing later. Another process that does the same waits."""
    target = path(release)
    if os.geteuid() != 0:
        raise SandboxError(
            f"{release.name} needs root: its programs run in a root folder of their own",
            todo="run this command as root; the sandbox of the current release needs none",
        )
    with folders.only_one(
        target.with_suffix(".lock"), lambda: progress(f"another process installs {release.name}")
    ):
        if not (target / "complete").exists():
            shutil.rmtree(target, ignore_errors=True)
            try:
                _build(release, target, progress)
            except BaseException:
                shutil.rmtree(target, ignore_errors=True)
                raise
            (target / "complete").write_text("")
        _write_scripts(target)
    return target / "bin/python"


def _build(release: DebianRelease, target: Path, progress: Progress) -> None:
    for tool in ("debootstrap", "unshare", "chroot"):
        if not shutil.which(tool):
            raise SandboxError(f"there is no {tool} here", todo=f"install {tool}")
    mirror, security = _mirrors()
    root = target / "root"
    (target / "bin").mkdir(mode=0o755, parents=True)
    progress(f"making a Debian root for {release.name} (the first time only)")
    # In a namespace of its own: an interrupted debootstrap leaves its mounts behind.
    _run(
        target, "unshare", "--mount", "--propagation", "private",
        "debootstrap", "--variant=minbase", release.suite, str(root), mirror,
    )  # fmt: skip
    _configure_apt(release, root, mirror, security)
    _write_scripts(target)
    enter = str(target / "bin/enter")
    _run(target, enter, "apt-get", "-q", "update")
    progress(f"installing {release.name} from Debian's packages: some minutes")
    _run(target, enter, "apt-get", "-qy", "--no-install-recommends", "install", *release.packages)
    if release.files:
        _unpack(release, target, enter)
    _run(target, enter, "apt-get", "clean")


def _configure_apt(release: DebianRelease, root: Path, mirror: str, security: Optional[str]) -> None:
    apt = root / "etc/apt"
    lines = [f"deb {mirror} {release.suite} main"]
    if security:
        lines += [
            f"deb {mirror} {release.suite}-updates main",
            f"deb {security} {release.suite}-security main",
        ]
    (apt / "sources.list").write_text("\n".join(lines) + "\n")
    if shutil.which("apt-config"):
        code, said = processes.run(Command(("apt-config", "dump", "Acquire")), root)
        if code == 0:
            (apt / "apt.conf.d/90outside").write_text("\n".join(reach(said)) + "\n")
    for name in ("auth.conf", "auth.conf.d"):
        outside = Path("/etc/apt") / name
        if outside.is_dir():
            shutil.copytree(outside, apt / name, dirs_exist_ok=True)
        elif outside.exists():
            shutil.copy(outside, apt / name)
    # Packages of services start them; nothing may start here.
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)


def _unpack(release: DebianRelease, target: Path, enter: str) -> None:
    work = target / "unpacked"
    work.mkdir()
    _run(
        work,
        enter,
        "sh",
        "-c",
        f"cd {shlex.quote(str(work))} && apt-get -q download {' '.join(release.files)}",
    )
    for package in sorted(work.glob("*.deb")):
        _run(work, enter, "dpkg", "-x", str(package), str(work))
    for wanted in release.files.values():
        for source, name in wanted.items():
            place = target / "etc" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(work / source, place)
    shutil.rmtree(work)


def _write_scripts(target: Path) -> None:
    """Anew each time, since the package may have moved since."""
    enter = target / "bin/enter"
    shared = " ".join(shlex.quote(str(folder)) for folder in (folders.cache(), PACKAGE_PATH))
    _script(enter, _ENTER.format(root=shlex.quote(str(target / "root")), folders=shared))
    _script(target / "bin/python", _PYTHON.format(enter=shlex.quote(str(enter))))


def _script(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        folders.write_private(path, text)
    path.chmod(0o700)


def _mirrors() -> tuple[str, Optional[str]]:
    named = os.environ.get(MIRROR)
    if named:
        return named, None
    code, said = processes.run(Command(_ASK_APT), Path("/")) if shutil.which("apt-get") else (1, [])
    found = mirrors(said) if code == 0 else None
    if found is None:
        raise SandboxError(
            "this machine's apt has no Debian mirror",
            todo=f"name one: export {MIRROR}=<URL that holds dists/ and pool/>",
        )
    return found


def mirrors(said: Sequence[str]) -> Optional[tuple[str, Optional[str]]]:
    """Mirror and security mirror from lines of ``URL SUITE`` as apt lists its sources; None without a Debian's."""
    pairs = [line.split() for line in said if len(line.split()) == 2]
    main = next((url for url, suite in pairs if suite in _SUITES), None)
    security = next((url for url, suite in pairs if suite.removesuffix("-security") in _SUITES
                     and suite.endswith("-security")), None)  # fmt: skip
    return None if main is None else (main, security)


def reach(said: Sequence[str]) -> list[str]:
    """The lines of apt's configuration (``apt-config dump Acquire``) that say how to reach a mirror."""
    return [
        line
        for line in said
        if line.startswith("Acquire::") and not line.startswith(tuple(f"Acquire::{own}" for own in _OWN))
    ]


def _run(folder: Path, *argv: str) -> None:
    env = {name: os.environ[name] for name in ("no_proxy", "NO_PROXY") if name in os.environ}
    command = Command(argv, {**env, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"})
    code, said = processes.run(command, folder)
    if code:
        end = "\n".join(f"    {line}" for line in said[-LAST_LINES:])
        raise SandboxError(
            f"{' '.join(argv[:6])} … failed (exit code {code}):\n{end}",
            where=str(folder),
            todo="the first `up` needs a Debian mirror: check the network and apt's sources, then try again",
        )
