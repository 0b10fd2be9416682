"""One apply at a time for a site, on this host."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Callable, Iterator, Optional

from osg_site_iaas.errors import Locked, SiteError


@contextmanager
def held(folder: Path, *, patience: float, say: Optional[Callable[[str], None]] = None) -> Iterator[None]:
    """Hold the lock kept in ``folder``; it is free again when the holder ends, however that happens.

    Raises Locked, naming the holder, if it is not free within ``patience`` seconds.
    """
    path = folder / ".apply.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SiteError(
            f"cannot lock {path}: {error.strerror}",
            todo="cloud.secrets in site.yml must be a folder of yours",
        ) from error
    try:
        _take(handle, patience, say)
        os.truncate(handle, 0)
        os.pwrite(handle, json.dumps(_me()).encode(), 0)
        try:
            yield
        finally:
            os.truncate(handle, 0)
    finally:
        os.close(handle)


def _take(handle: int, patience: float, say: Optional[Callable[[str], None]]) -> None:
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = _holder(handle)
        if time.monotonic() >= deadline:
            raise Locked(
                f"another apply of this site is running: {holder}",
                todo="wait for it, or give --wait SECONDS",
            )
        if say and not told:
            say(f"waiting for another apply of this site: {holder}")
            told = True
        time.sleep(0.2)


def _me() -> dict[str, object]:
    since = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {"pid": os.getpid(), "host": socket.gethostname(), "uid": os.getuid(), "since": since}


def _holder(handle: int) -> str:
    try:
        who = json.loads(os.pread(handle, 4096, 0))
        return f"process {who['pid']} on {who['host']}, uid {who['uid']}, since {who['since']}"
    except (ValueError, KeyError):
        return "it has only just started"
