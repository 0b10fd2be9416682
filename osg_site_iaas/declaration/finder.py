"""What the checks of a whole declaration share: where findings go, and the names that are declared."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.declaration.model import Site
from osg_site_iaas.declaration.read import Document, Step, dotted
from osg_site_iaas.declaration.words import near
from osg_site_iaas.errors import Problem

Names = Mapping[str, Optional[frozenset[str]]]
_MOST_HINTS = 200  # to look for the nearest name takes a while where there are many
_SECTIONS = ("vos", "networks", "security_groups")


def names(data: Any) -> Names:
    """The names declared in each section that others refer to; None where the section cannot be read.

    Taken before values that do not fit the schema are dropped, so that a VO with a mistake in it still exists.
    """
    found: dict[str, Optional[frozenset[str]]] = {section: _keys(data.get(section)) for section in _SECTIONS}
    subnets: set[str] = set()
    networks = data.get("networks")
    for network in networks.values() if isinstance(networks, Mapping) else ():
        subnets |= _keys(network.get("subnets") if isinstance(network, Mapping) else None) or frozenset()
    found["subnets"] = None if found["networks"] is None else frozenset(subnets)
    return found


def _keys(section: Any) -> Optional[frozenset[str]]:
    if section is None:
        return frozenset()
    return frozenset(section) if isinstance(section, Mapping) else None


def broken(problems: Iterable[Problem]) -> frozenset[str]:
    """The paths of problems and of everything around them."""
    found: set[str] = set()
    for problem in problems:
        path = problem.path
        while path and path not in found:
            found.add(path)
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
    return frozenset(found)


@dataclass
class Finder:
    """Collects what checks find: what is wrong, and what was probably not meant."""

    site: Site
    document: Document
    names: Names
    broken: frozenset[str] = frozenset()
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def wrong(self, path: Sequence[Step], what: str, todo: str, *, key: bool = False) -> None:
        self.problems.append(self.document.problem(path, what, todo, key=key))

    def doubt(self, path: Sequence[Step], what: str, todo: str, *, key: bool = False) -> None:
        self.warnings.append(self.document.problem(path, what, todo, key=key))

    def sound(self, path: Sequence[Step]) -> bool:
        """Whether nothing at or below the path was wrong before; else it is not all there to be judged."""
        return dotted(path) not in self.broken

    def exists(self, path: Sequence[Step], name: Optional[str], section: str, kind: str) -> bool:
        """Whether a name is declared; reports it if not. No name, or a section nobody can read, is no problem."""
        known = self.names[section]
        if name is None or known is None or name in known:
            return True
        meant = near(name, sorted(known)) if len(self.problems) < _MOST_HINTS else ""
        todo = f"Did you mean {meant}?" if meant else f"Add it under {section}, or remove it here."
        if section == "subnets" and not meant:
            todo = "Add it to a network, or remove it here."
        self.wrong(path, f"there is no {kind} {name} in this file", todo)
        return False

    def items(self, path: Sequence[Step]) -> Iterator[tuple[tuple[Step, ...], Any]]:
        """Path and value of each usable item of the list at a path."""
        found: Any = self.document.data
        for step in path:
            found = found.get(step) if isinstance(found, Mapping) else None
        for index, item in enumerate(found if isinstance(found, list) else ()):
            if item is not None:
                yield (*path, index), item

    def line(self, path: Sequence[Step]) -> int:
        """The line that a path begins in."""
        return self.document.problem(path, "", key=True).line
