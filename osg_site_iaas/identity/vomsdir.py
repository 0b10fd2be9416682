"""Who speaks for a VO: the ``.lsc`` files below ``/etc/grid-security/vomsdir/VO/``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Sequence

from osg_site_iaas.identity.names import usual

DEFAULT_DIRECTORY = Path("/etc/grid-security/vomsdir")
_NEXT = re.compile(r"-+\s*NEXT CHAIN\s*-+\Z", re.IGNORECASE)
# A VO and a host become parts of a path: nothing that could climb out of it.
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,250}\Z")
_LARGEST = 64 << 10


@dataclass
class VomsDirectory:
    """The directory; a file is read again when it changes. Safe to use from many threads."""

    path: Path = DEFAULT_DIRECTORY
    _read: dict[Path, tuple[int, int, tuple[tuple[str, ...], ...]]] = field(default_factory=dict, repr=False)

    def speaks_for(self, vo: str, host: str, chain: Sequence[str]) -> bool:
        """Whether ``host`` may speak for the VO with a certificate of that chain.

        ``chain`` is the server's DN, its CA's, and so on to the root; a file needs to list at least the first
        two, in order. Only the file named after the host counts, as for VOMS itself.
        """
        if not _SAFE.match(vo) or not _SAFE.match(host):
            return False
        wanted = tuple(usual(dn) for dn in chain)
        return any(
            len(listed) >= 2 and listed == wanted[: len(listed)]
            for listed in self._chains(self.path / vo / f"{host}.lsc")
        )

    def _chains(self, file: Path) -> tuple[tuple[str, ...], ...]:
        try:
            stat = file.stat()
            known = self._read.get(file)
            if known is not None and known[:2] == (stat.st_mtime_ns, stat.st_ino):
                return known[2]
            if stat.st_size > _LARGEST:
                return ()
            found = parse(file.read_text(encoding="utf-8", errors="replace"))
        except OSError:
            return ()
        self._read[file] = (stat.st_mtime_ns, stat.st_ino, found)
        return found


def parse(text: str) -> tuple[tuple[str, ...], ...]:
    """The chains of an ``.lsc`` file, each from the server's DN up."""
    chains: list[list[str]] = [[]]
    for line in map(str.strip, text.splitlines()):
        if _NEXT.match(line):
            chains.append([])
        elif line and not line.startswith("#"):
            chains[-1].append(usual(line))
    return tuple(tuple(chain) for chain in chains if chain)
