"""How long the table takes to decide about a credential, in microseconds: ``python benchmarks/mapping.py``.

The bound is 1 ms with 1,000 lines. The last column is `whois`, which looks at every line.
"""

from __future__ import annotations

import time
from pathlib import Path

from osg_site_iaas.declaration.model import VO, Access, Cloud, Identity, Site
from osg_site_iaas.mapping.credential import Certificate, Credential, Token
from osg_site_iaas.mapping.table import Table

ISSUER = "https://issuer.example.org"
LINES = 1000


def table(*vos: tuple[Access, ...]) -> Table:
    made = tuple(VO(f"vo{number}", f"vo{number}", access=access) for number, access in enumerate(vos))
    return Table.of(Site(Path("site.yml"), 1, Identity("Example", "example.org"), Cloud("example"), vos=made))


def fqans(*patterns: str) -> tuple[Access, ...]:
    return tuple(Access(fqan=pattern) for pattern in patterns)


CASES: dict[str, tuple[Table, Credential]] = {
    "500 VOs of two lines": (
        table(*(fqans(f"/vo{n}/Role=production", f"/vo{n}/*") for n in range(LINES // 2))),
        Certificate("/CN=x", ("/vo499/Role=pilot",)),
    ),
    "one VO, 1,000 groups, the last": (
        table(fqans(*(f"/cms/g{n}/*/Role=pilot*" for n in range(LINES)))),
        Certificate("/CN=x", ("/cms/g999/a/Role=pilot",)),
    ),
    "one VO, 1,000 lines that begin alike, none fits": (
        table(fqans(*(f"/cms/*/Role=pilot{n}" for n in range(LINES)))),
        Certificate("/CN=x", ("/cms/g/Role=production",)),
    ),
    "the same with 10 FQANs": (
        table(fqans(*(f"/cms/*/Role=pilot{n}" for n in range(LINES)))),
        Certificate("/CN=x", tuple(f"/cms/g{n}/Role=production" for n in range(10))),
    ),
    "the same, and they end alike too": (
        table(fqans(*(f"/cms/*g{n}x*/Role=pilot" for n in range(LINES)))),
        Certificate("/CN=x", tuple(f"/cms/group-of-some-length-{n}/sub/Role=pilot" for n in range(10))),
    ),
    "the same, and share their longest part": (
        table(fqans(*(f"/cms/*sub-group*{n}x*/Role=pilot" for n in range(LINES)))),
        Certificate("/CN=x", tuple(f"/cms/sub-group-{n}/sub/Role=pilot" for n in range(10))),
    ),
    "1,000 DNs, the last": (
        table(tuple(Access(dn=f"/DC=org/CN=Person {n}") for n in range(LINES))),
        Certificate("/DC=org/CN=Person 999"),
    ),
    "one issuer, 1,000 subjects, the last": (
        table(tuple(Access(issuer=ISSUER, subject=f"s{n}") for n in range(LINES))),
        Token(ISSUER, "s999"),
    ),
    "one issuer, 1,000 groups, ten that none fits": (
        table(tuple(Access(issuer=ISSUER, group=f"/cms/g{n}/*") for n in range(LINES))),
        Token(ISSUER, "s", tuple(f"/cms/h{n}" for n in range(10))),
    ),
    "one issuer, 1,000 scopes, ten that none fits": (
        table(tuple(Access(issuer=ISSUER, scope=f"compute.create cms.{n}") for n in range(LINES))),
        Token(ISSUER, "s", scopes=("compute.create", *(f"dune.{n}" for n in range(9)))),
    ),
}


def main(rounds: int = 1000) -> None:
    for name, (asked, credential) in CASES.items():
        taken = []
        for _ in range(rounds):
            start = time.perf_counter()
            asked.who(credential)
            taken.append((time.perf_counter() - start) * 1e6)
        taken.sort()
        start = time.perf_counter()
        assert next(iter(asked.fitting(credential)), None) == asked.decide(credential).match
        loop = (time.perf_counter() - start) * 1e6
        middle, late = taken[rounds // 2], taken[rounds * 99 // 100]
        print(f"{name:50} median {middle:7.1f}   99 % {late:7.1f}   every line {loop:9.0f}")


if __name__ == "__main__":
    main()
