"""The table in the forms that other software of a site reads, for services beside the cloud. Pure text.

All of them stop at the first line that fits, as the table does. Where a form cannot say what the table says, a
comment does: none of them lets in anybody whom the table does not. The accounts are Unix accounts, which the cloud
itself has no use for. Not tried with LCMAPS or HTCondor themselves: the forms are those that OSG documents.
"""

from __future__ import annotations

import re
from typing import Callable, Iterable, Iterator

from osg_site_iaas.declaration import fqan
from osg_site_iaas.mapping.bans import Bans
from osg_site_iaas.mapping.credential import usual_dn
from osg_site_iaas.mapping.table import Line, Table

SHUT = "osg-site-iaas-disabled"  # an account that must not exist: mapping to it refuses, and ends the search
Account = Callable[[Line], str]
_NO_BANS = Bans()

_LCMAPS = """\
# Written by osg-site-iaas. Bans, then persons, then VOs: the order of the site's own table.
verifyproxy = "lcmaps_verify_proxy.mod"
              "--allow-limited-proxy"
              " -certdir {folder}/certificates"
banfile     = "lcmaps_ban_dn.mod"
              "-banmapfile {folder}/ban-mapfile"
banvomsfile = "lcmaps_ban_fqan.mod"
              "-banmapfile {folder}/ban-voms-mapfile"
gridmapfile = "lcmaps_localaccount.mod"
              "-gridmap {folder}/grid-mapfile"
vomsmapfile = "lcmaps_voms_localaccount.mod"
              "-gridmap {folder}/voms-mapfile"
good        = "lcmaps_dummy_good.mod"
bad         = "lcmaps_dummy_bad.mod"

authorize_only:
verifyproxy -> banfile | bad
banfile -> banvomsfile | bad
banvomsfile -> gridmapfile | bad
gridmapfile -> good | vomsmapfile
vomsmapfile -> good | bad
"""


def vo_account(line: Line) -> str:
    """The Unix account that is called like the VO."""
    return line.vo.name


def grid_mapfile(table: Table, bans: Bans = _NO_BANS, account: Account = vo_account) -> str:
    """Persons: ``"DN" account``, one a line, each DN once. Those of a VO that is shut are in the ban-mapfile."""
    return _text(table, (_pair(dn, account(line)) for dn, line in _persons(table) if not _shut(line, bans)))


def ban_mapfile(table: Table, bans: Bans = _NO_BANS) -> str:
    """DNs that are banned, and those whose own line is of a VO that is shut: no FQAN may help them in."""
    banned = [usual_dn(ban.dn) for ban in bans.all if ban.dn is not None]
    shut = [dn for dn, line in _persons(table) if _shut(line, bans)]
    return _text(table, (_pair(dn, SHUT) for dn in dict.fromkeys([*banned, *shut])))


def voms_mapfile(table: Table, bans: Bans = _NO_BANS, account: Account = vo_account) -> str:
    """Members of VOs: ``"FQAN" account``, for LCMAPS and what reads its files. FQANs are in their long form."""
    lines = (
        (fqan.Pattern.of(line.access.fqan).long, line) for line in table.lines if line.access.fqan is not None
    )
    return _text(table, (_pair(name, SHUT if _shut(line, bans) else account(line)) for name, line in lines))


def ban_voms_mapfile(table: Table, bans: Bans = _NO_BANS) -> str:
    """FQANs that are banned: whoever has one, in whatever place, stays out."""
    names = (fqan.Pattern.of(ban.fqan).long for ban in bans.all if ban.fqan is not None)
    return _text(table, (_pair(name, SHUT) for name in names))


def scitokens_mapfile(table: Table, bans: Bans = _NO_BANS, account: Account = vo_account) -> str:
    """Tokens: ``SCITOKENS /^issuer,subject$/ account``, for ``/etc/condor-ce/mapfiles.d``.

    HTCondor sees issuer and subject only. A line that also wants a group or a scope is left out, and so are all
    later lines of its issuer, for they are not about those whom that line would have decided about.
    """
    return _text(table, _scitokens(table, bans, account))


def lcmaps_db(folder: str = "/etc/grid-security") -> str:
    """LCMAPS's own configuration, which reads the first four files above from ``folder``, in the table's order."""
    return _LCMAPS.format(folder=folder)


def _scitokens(table: Table, bans: Bans, account: Account) -> Iterator[str]:
    for ban in bans.all:
        if ban.issuer is not None:
            yield _token(ban.issuer, ban.subject, SHUT)
    unsaid: set[str] = set()
    for line in table.lines:
        access = line.access
        if access.issuer is None:
            continue
        name = SHUT if _shut(line, bans) else account(line)
        if access.group is not None or access.scope is not None or access.issuer in unsaid:
            unsaid.add(access.issuer)
            yield f"# left out, as HTCondor maps by issuer and subject alone: {line.says}"
        else:
            yield _token(access.issuer, access.subject, name)


def _token(issuer: str, subject: object, account: str) -> str:
    end = f"{_regex(str(subject))}$" if subject is not None else ""
    return f"SCITOKENS /^{_regex(issuer)},{end}/ {account}"


def _persons(table: Table) -> Iterator[tuple[str, Line]]:
    """Each DN once, with the line that decides about it."""
    first: dict[str, Line] = {}
    for line in table.lines:
        if line.access.dn is not None:
            first.setdefault(usual_dn(line.access.dn), line)
    yield from first.items()


def _shut(line: Line, bans: Bans) -> bool:
    return not line.vo.enabled or any(ban.vo == line.vo.name for ban in bans.all)


def _pair(who: str, account: str) -> str:
    """A line of a mapfile. A DN that holds a wildcard's character is left out: these readers would take it for one."""
    if who.startswith("/") and "=" in who.split("/")[1] and re.search(r"[*?\[]", who):
        return f"# left out, as * ? and [ stand for other letters in this file: {who}"
    quoted = who.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" {account}'


def _text(table: Table, lines: Iterable[str]) -> str:
    head = f"# Written by osg-site-iaas from {table.file.name}: change it there."
    return "".join(f"{line}\n" for line in (head, *lines))


def _regex(words: str) -> str:
    """A text as a regular expression between slashes that fits it and nothing else."""
    return re.sub(r"([^A-Za-z0-9_@:-])", r"\\\1", words)


FILES: dict[str, Callable[[Table, Bans], str]] = {
    "grid-mapfile": grid_mapfile,
    "voms-mapfile": voms_mapfile,
    "ban-mapfile": ban_mapfile,
    "ban-voms-mapfile": ban_voms_mapfile,
    "scitokens-mapfile": scitokens_mapfile,
    "lcmaps.db": lambda table, bans: lcmaps_db(),
}
