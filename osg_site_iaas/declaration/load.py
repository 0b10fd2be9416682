"""site.yml to a Site: ``load`` for those who need one, ``check`` and ``report`` for what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Iterable, Optional, Union

from osg_site_iaas.declaration import build, finder, parse, read, schema
from osg_site_iaas.declaration import check as rules
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.declaration.read import Document, Step
from osg_site_iaas.errors import DeclarationError, Problem


@dataclass(frozen=True)
class Report:
    """What a declaration says, or everything that is wrong with it: with one problem, ``site`` is None."""

    site: Optional[Site]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()  # probably not meant, and usable all the same


def load(path: Union[str, Path]) -> Site:
    """The declaration in a file; DeclarationError with every problem if it cannot be used."""
    found = report(path)
    if found.site is None:
        raise DeclarationError(found.problems)
    return found.site


def check(path: Union[str, Path]) -> list[Problem]:
    """Every problem of a declaration, in the order of its lines; an unreadable file is one. Never raises."""
    try:
        return list(report(path).problems)
    except DeclarationError as error:
        return list(error.problems)


def report(path: Union[str, Path]) -> Report:
    """The declaration with its problems and warnings; DeclarationError only if the file cannot be read."""
    path = Path(path)
    return report_bytes(str(path), read.read_bytes(path))


def report_bytes(file: str, raw: bytes) -> Report:
    """The same for bytes at hand; ``file`` is what problems call it, and what relative paths start from."""
    name = read.printable(file)
    text, unreadable = read.read_text(name, raw)
    if unreadable is not None:
        return Report(None, (unreadable,))
    document = _about_version(parse.parse(name, text))
    if document.data is None and document.problems:
        return _report(None, document.problems, ())
    other = _other_version(document)
    if other is not None:
        return Report(None, (other,))
    misshapen, unusable = schema.problems(document)
    problems = [*document.problems, *misshapen]
    if not isinstance(document.data, read.Entries) or () in unusable:
        return _report(None, problems, ())
    names = finder.names(document.data)
    _remove(document.data, unusable)
    site, unfit = build.site(document, Path(file))
    problems += unfit
    wrong, warnings = rules.findings(site, document, names, problems)
    return _report(site, [*problems, *wrong], warnings)


def _report(site: Optional[Site], problems: Iterable[Problem], warnings: Iterable[Problem]) -> Report:
    ordered = _in_order(problems)
    return Report(None if ordered else site, ordered, _in_order(warnings))


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems in the order of their lines; what several aliases share is said once."""
    once = {(found.line, found.column, found.what): found for found in sorted(problems, reverse=True)}
    return tuple(sorted(once.values()))


def _about_version(document: Document) -> Document:
    """The document, with a version like 1.0 told in words of its own."""
    problems = [
        replace(problem, what="the version is a whole number", todo=f"Write {schema.VERSION}.")
        if problem.path == "version" and "already there" not in problem.what
        else problem
        for problem in document.problems
    ]
    return replace(document, problems=tuple(problems))


def _other_version(document: Document) -> Optional[Problem]:
    """The one thing to say about a file in another format; else every line of it would be a problem."""
    data = document.data
    if not isinstance(data, read.Entries):
        return None
    version = data.get("version")
    if "version" not in data and ("flavors" in data or isinstance(data.get("vos"), list)):
        version = 0
    if isinstance(version, bool) or not isinstance(version, int):
        return None
    if version > schema.VERSION:
        what = f"the file has version {version}, and this osg-site-iaas reads version {schema.VERSION}"
        return document.problem(("version",), what, "Update osg-site-iaas.")
    if 0 <= version < schema.VERSION:
        todo = f"Run `osg-site-iaas migrate {document.file}`."
        return document.problem(("version",), f"the file has the older version {version}", todo)
    return None


def _remove(data: Any, paths: Iterable[tuple[Step, ...]]) -> None:
    """Take values out that do not fit the schema, keeping the places of their neighbours in a list."""
    for path in paths:
        inside: Any = data
        step: Any
        for step in path[:-1]:
            inside = inside[step] if isinstance(inside, list) or step in inside else None
            if inside is None:
                break
        if not path or inside is None:
            continue
        last: Any = path[-1]
        if isinstance(inside, list):
            inside[last] = None
        elif isinstance(inside, dict):
            inside.pop(last, None)
