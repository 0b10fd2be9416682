"""Keystone groups: where the mapping puts those who enter with a proxy or a token."""

from __future__ import annotations

import hashlib
import re
from typing import AbstractSet as Set
from typing import Any, Iterable, Sequence

from osg_site_iaas.cloud.kind import Work, described, vo_in
from osg_site_iaas.cloud.kinds.keystone import KeystoneKind, domain_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.mapping import keystone as grid
from osg_site_iaas.plan.model import Attrs, Change, KindRule, Ref, Removal, Seen, Wanted, is_marked, marked

BETWEEN = "; "
LONGEST = (
    8000  # characters of access lines before their digest stands for them: a database may cut off at 64 KiB
)
_DIGEST = re.compile(r"(\d+) lines, sha256 [0-9a-f]{16}")


def group_ref(name: str) -> Ref:
    """The reference to a group of the site's domain."""
    return Ref("group", (name,))


def _lines(attrs: Attrs) -> Set[str]:
    """What the bound counts: each line that lets somebody in; of a digest no more is known than how many there are."""
    lines: Sequence[str] = attrs.get("access", ())
    found = _DIGEST.fullmatch(lines[0]) if len(lines) == 1 else None
    return {f"line {number}" for number in range(int(found.group(1)))} if found else set(lines)


class Group(KeystoneKind):
    """One for each VO and role that some line of its access gives. It holds no data, so it simply goes.

    The lines themselves are for the door; they stand in the description so that a plan can say which are new or gone.
    """

    rule = KindRule("group", Removal.WITHDRAW, marks=("description",), parts=_lines)
    ownership = "its description carries our mark"
    path = "/groups"
    member = "group"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for group in grid.groups(site):
            yield Wanted(
                group_ref(group.name),
                {
                    "description": marked(f"{group.role} of {group.vo}", site.cloud.domain),
                    "access": _split(_joined(group.lines)),
                },
                needs=(domain_ref(site.cloud.domain),),
                vo=group.vo,
                at=site.vo(group.vo).at,
            )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        for item in reader.groups:
            text = described(item)
            ours = is_marked(text, reader.site.cloud.domain)
            lines, _, own = text.rpartition(BETWEEN) if ours else ("", "", text)
            yield Seen(
                group_ref(item["name"]),
                item["id"],
                {"description": own, "access": _split(lines)},
                ours=ours,
                vo=vo_in(own) if ours else None,
            )

    def body(self, work: Work, change: Change) -> dict[str, Any]:
        """Keystone's one description, of which a change may be about a part."""
        whole = change.after
        if not {"description", "access"} <= set(whole):
            whole = next(item.attrs for item in self.desired(work.site) if item.ref == change.ref)
        lines = _joined(whole["access"])
        return {"description": (lines + BETWEEN if lines else "") + whole["description"]}


def _joined(lines: Sequence[str]) -> str:
    text = BETWEEN.join(lines)
    if len(text) > LONGEST:
        return f"{len(lines)} lines, sha256 {hashlib.sha256(text.encode()).hexdigest()[:16]}"
    return text


def _split(text: str) -> list[str]:
    """The lines; a DN with a separator in it becomes two, whoever looks."""
    return text.split(BETWEEN) if text else []
