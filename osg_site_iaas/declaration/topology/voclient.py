"""vo-client: the VOMS attributes that OSG's compute elements accept, and the VOMS servers they trust."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Iterable

from osg_site_iaas.declaration import fqan
from osg_site_iaas.errors import SiteError

_LINE = re.compile(r'"(?P<quoted>(?:[^"\\]|\\.)*)"\s+(?P<account>\S+)|(?P<plain>[^\s"]+)\s+(?P<other>\S+)')
_VO = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class MapLine:
    """A line of a voms-mapfile: whoever has an FQAN that fits is that Unix account."""

    pattern: str
    account: str
    line: int


@dataclass(frozen=True)
class VOClient:
    """What vo-client says; empty where it is not at hand."""

    lines: tuple[MapLine, ...] = ()
    voms: tuple[str, ...] = ()  # names of the VOMS VOs that have servers in vomsdir
    strange: tuple[str, ...] = ()  # lines that were left out, each with its place and the reason


def read(mapfile: bytes, vomsdir: Iterable[str], where: str) -> VOClient:
    """The lines of a voms-mapfile, in order, and the names of a vomsdir's folders."""
    try:
        words = mapfile.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        todo = "point --vo-client at a folder with voms-mapfile-default and vomsdir"
        raise SiteError("it is not text", where=where, todo=todo) from error
    lines, strange = [], []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", words), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _LINE.fullmatch(stripped)
        pattern = re.sub(r"\\(.)", r"\1", found["quoted"]) if found and found["quoted"] is not None else ""
        pattern = pattern or (found["plain"] or "" if found else "")
        wrong = fqan.problem(pattern) if found else "it is not a pattern and an account"
        if wrong or found is None:
            strange.append(f"{where}:{number}: {wrong}")
            continue
        lines.append(MapLine(pattern, found["account"] or found["other"], number))
    return VOClient(tuple(lines), tuple(sorted(vo for vo in vomsdir if _VO.fullmatch(vo))), tuple(strange))
