"""Where a sandbox's state and the cache that all sandboxes share lie."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from pathlib import Path
from typing import Callable, Iterator, Mapping, Optional, Union

from osg_site_iaas.errors import SandboxError

DEFAULT_NAME = "default"
SETTINGS = "sandbox.json"  # in every sandbox's folder
RUN = "run"  # the folder of locks and of what runs; there before anything else


def cache(environ: Optional[Mapping[str, str]] = None) -> Path:
    """The folder that holds the services' Python environment and the database templates."""
    environ = os.environ if environ is None else environ
    if environ.get("OSG_SITE_IAAS_CACHE"):
        return Path(environ["OSG_SITE_IAAS_CACHE"]).expanduser().absolute()
    base = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".cache")
    return Path(base).absolute() / "osg-site-iaas"


def home(environ: Optional[Mapping[str, str]] = None) -> Path:
    """The folder that sandboxes lie in unless they are told otherwise."""
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".local/state")
    return Path(base).absolute() / "osg-site-iaas" / "sandbox"


def make_private(folder: Path) -> None:
    """The folder and those above it that were missing, closed to others whatever the umask is."""
    for each in reversed((folder, *folder.parents)):
        if not each.exists():
            each.mkdir(mode=0o700, exist_ok=True)


def refuse_foreign(folder: Path) -> None:
    """Raise SandboxError for a folder that holds something and no sandbox: a reset would delete from it."""
    if not folder.exists() or (folder / SETTINGS).exists():
        return
    if not folder.is_dir():
        raise SandboxError("not a folder", where=str(folder), todo="name another one with --state")
    strange = sorted(each.name for each in folder.iterdir() if each.name != RUN)
    if strange:
        raise SandboxError(
            f"the folder holds other things than a sandbox: {strange[0]}",
            where=str(folder),
            todo="name one that is empty or not there yet with --state",
        )


def private(path: Union[str, Path], flags: int) -> int:
    """An opener for open(): a file that it makes is closed to others whatever the umask is."""
    return os.open(path, flags, 0o600)


def write_private(path: Path, text: str) -> None:
    """Put ``text`` there at once or not at all, readable by nobody else."""
    make_private(path.parent)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    fresh.replace(path)


@contextlib.contextmanager
def only_one(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Hold the lock file, after whoever holds it now; ``on_wait`` is called if that takes waiting."""
    make_private(path.parent)
    with open(path, "a", opener=private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(*paths: Path, extra: str = "") -> str:
    """A short name for the content of some files."""
    total = hashlib.sha256(extra.encode())
    for path in paths:
        total.update(path.read_bytes())
    return total.hexdigest()[:16]


def known_ports(register: Path, ours: Path) -> set[int]:
    """Ports that other sandboxes of this user have been given, whether they run or not."""
    taken: set[int] = set()
    for folder in known(register):
        if folder != ours:
            with contextlib.suppress(OSError, ValueError, KeyError):
                taken.update(json.loads((folder / SETTINGS).read_text())["ports"].values())
    return taken


def known(register: Path) -> list[Path]:
    """Folders of all sandboxes of this user that still exist."""
    try:
        listed = json.loads(register.read_text())
    except (OSError, ValueError):
        return []
    return [Path(folder) for folder in listed if (Path(folder) / SETTINGS).exists()]


def remember(register: Path, folder: Path) -> None:
    """Add a sandbox to the list; the caller holds its lock."""
    folders = {str(each) for each in known(register)} | {str(folder)}
    write_private(register, json.dumps(sorted(folders), indent=1))
