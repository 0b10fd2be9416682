"""Walks a site and says what is wrong: a table of checks, each a function that yields findings."""

from __future__ import annotations

import logging
from typing import Callable, Iterable, Iterator, Mapping, Optional, Sequence

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.refused import printable
from osg_site_iaas.ops.checks import cloud, doors, grid, local, tls
from osg_site_iaas.ops.finding import (
    FOUND,
    OK,
    SKIPPED,
    UNKNOWN,
    Finding,
    NotHere,
    NotKnown,
    Result,
    findings_of,
)
from osg_site_iaas.ops.subject import Subject

log = logging.getLogger(__name__)
Check = Callable[[Subject], Iterable[Finding]]
Progress = Callable[[str, int, int], None]

TABLE: Mapping[str, Check] = {
    "declaration": local.declaration,
    "keystone": cloud.keystone,
    "clock": cloud.clock,
    "services": cloud.services,
    "mapping": cloud.mapping,
    "strangers": cloud.strangers,
    "quotas": cloud.quotas,
    "certificates": grid.certificates,
    "authorities": grid.authorities,
    "revocation": grid.revocation,
    "issuers": grid.issuers,
    "front": doors.front,
    "ec2": doors.ec2,
    "ec2-tls": tls.ec2_tls,
    "metadata": doors.metadata,
    "caches": doors.caches,
    "accounting": doors.accounting,
    "drift": local.drift,
    "units": local.units,
    "page": local.page,
    "secrets": local.secrets,
    "disk": local.disk,
}


def examine(
    subject: Subject, only: Optional[Sequence[str]] = None, progress: Optional[Progress] = None
) -> Iterator[Result]:
    """Each check's result, in the order of the table. No check that fails keeps the others from being made."""
    names = [name for name in TABLE if only is None or name in only]
    for done, name in enumerate(names):
        if progress:
            progress(name, done, len(names))
        yield _result(name, TABLE[name], subject)


def says(name: str) -> str:
    """What a check makes sure of, in a sentence."""
    return str(TABLE[name].__doc__).splitlines()[0]


def _result(name: str, check: Check, subject: Subject) -> Result:
    findings: list[Finding] = []
    try:
        findings.extend(check(subject))
    except NotHere as error:
        if not findings:
            return Result(name, UNKNOWN if isinstance(error, NotKnown) else SKIPPED, str(error))
    except SiteError as error:
        findings.extend(findings_of(error))
    except PermissionError as error:
        state = FOUND if findings else UNKNOWN
        return Result(name, state, f"{error.filename} may not be read: run this as root", tuple(findings))
    except Exception as error:  # of one check: the others are made all the same
        log.debug("%s failed", name, exc_info=True)
        what = f"this could not be examined: {type(error).__name__}: {printable(str(error), 300)}"
        findings.append(
            Finding(what, "look at what it names; if that is in order, report this with doctor --bundle")
        )
    if findings:
        return Result(name, FOUND, findings=tuple(findings))
    return Result(name, OK, says(name))
