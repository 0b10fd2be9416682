"""Sites made of values: the mapping needs no file."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable

import pytest

from osg_site_iaas.declaration.model import VO, Access, Cloud, Identity, IdentityProvider, Position, Site

CASES = Path(__file__).resolve().parents[2] / "cases" / "mapping"
SiteOf = Callable[..., Site]


def site_of(vos: dict[str, Any], providers: dict[str, Any] | None = None) -> Site:
    """A site with these VOs: a list of access lines, or the VO's own fields. Lines are numbered from 1."""
    line = 0
    found = []
    for name, entry in vos.items():
        fields = dict(entry) if isinstance(entry, dict) else {"access": entry}
        access = []
        for words in fields.pop("access", []):
            line += 1
            access.append(Access(**words, at=Position(line, 1)))
        found.append(VO(name=name, project=fields.pop("project", name), access=tuple(access), **fields))
    idps = []
    for name, fields in (providers or {}).items():
        tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        idps.append(IdentityProvider(name=name, **tuples))
    return Site(
        file=Path("site.yml"),
        version=1,
        site=Identity("Example-Cloud", "cloud.example.org"),
        cloud=Cloud("example"),
        vos=tuple(found),
        identity_providers=tuple(idps),
    )


@pytest.fixture(name="site_of", scope="session")
def _site_of() -> SiteOf:
    return site_of
