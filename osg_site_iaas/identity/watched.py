"""A file that is read again when it changes."""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Callable, Generic, Optional, TypeVar

from osg_site_iaas.errors import SiteError

log = logging.getLogger(__name__)
T = TypeVar("T")
Mark = Optional[tuple[int, int, int]]


class Watched(Generic[T]):
    """What a file says now. A version that cannot be used is logged, and the last good one stays in force."""

    def __init__(self, file: Path, load: Callable[[Path], T]) -> None:
        self.file = file
        self._load = load
        self._lock = threading.Lock()
        self._seen: Mark = None
        self._read = False
        self._value: Optional[T] = None
        self._error: Optional[SiteError] = None

    def current(self) -> T:
        """The file's value; SiteError if it never had one that could be used."""
        mark = self._mark()
        if not self._read or mark != self._seen:
            with self._lock:
                if not self._read or mark != self._seen:
                    self._update(mark)
        if self._value is None:
            raise self._error or SiteError("it was never read", where=str(self.file))
        return self._value

    def _update(self, mark: Mark) -> None:
        try:
            self._value = self._load(self.file)
            if self._read:
                log.info("%s was read again", self.file)
            self._error = None
        except SiteError as error:
            self._error = error
            kept = "its last good version stays in force" if self._value is not None else "nobody can log in"
            log.error("%s cannot be used, %s: %s", self.file, kept, error)
        self._seen, self._read = mark, True

    def _mark(self) -> Mark:
        try:
            stat = self.file.stat()
        except OSError:
            return None
        return (stat.st_ino, stat.st_size, stat.st_mtime_ns)
