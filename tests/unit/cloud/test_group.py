"""Access lines in a group's description: what Keystone keeps of them, and what of it the bound counts."""

from pathlib import Path
from typing import Any

import pytest

from osg_site_iaas.cloud.kinds.group import LONGEST, Group
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.diff import diff
from osg_site_iaas.plan.model import Seen


def site(tmp_path: Path, lines: list[str]) -> Any:
    text = "version: 1\nsite: {resource: Test, fqdn: cloud.example.org}\ncloud: {name: here}\n"
    text += "vos:\n  cms:\n    access:\n"
    file = tmp_path / "site.yml"
    file.write_text(text + "".join(f"      - {line}\n" for line in lines))
    return load(file)


class Lists:
    """What Keystone answers."""

    def __init__(self, site: Any, description: str) -> None:
        self.site = site
        self.groups = [{"id": "1", "name": "cms-member", "description": description}]


class Work:
    def __init__(self, site: Any) -> None:
        self.site = site


def kept(site: Any) -> tuple[Any, Seen]:
    """The group as it is wanted, and as it is seen once that was written."""
    kind = Group()
    (wanted,) = kind.desired(site)
    (change,) = diff([wanted], [], {"group": kind.rule}).changes
    (seen,) = kind.observe(Lists(site, kind.body(Work(site), change)["description"]))  # type: ignore[arg-type]
    return wanted, seen


@pytest.mark.parametrize(
    "lines",
    [
        ['fqan: "/cms/*"'],
        ['fqan: "/cms/*"', 'dn: "/DC=org/CN=A; B of cms"', 'dn: "/DC=org/CN=[osg-site-iaas osg]"'],
        [f'dn: "/DC=org/DC=example/OU=People/CN=Somebody {n}"' for n in range(500)],
    ],
)
def test_what_is_written_is_read_again_as_it_is_wanted(tmp_path, lines):
    wanted, seen = kept(site(tmp_path, lines))
    assert {name: seen.attrs[name] for name in wanted.attrs} == wanted.attrs
    assert (seen.ours, seen.vo) == (True, "cms")


def test_long_lists_are_known_by_their_digest_and_number(tmp_path):
    many = [f'dn: "/DC=org/DC=example/OU=People/CN=Somebody {n}"' for n in range(500)]
    wanted, seen = kept(site(tmp_path, many))
    (said,) = seen.attrs["access"]
    assert said.startswith("500 lines, sha256 ")
    assert len(said) < 100 < LONGEST
    other, _ = kept(site(tmp_path, [*many[:-1], 'dn: "/DC=org/CN=Other"']))
    assert other.attrs["access"] != wanted.attrs["access"]


@pytest.mark.parametrize(
    "before,after,taken", [(500, 499, 1), (500, 200, 300), (200, 500, 0), (3, 1, 2), (1, 3, 0)]
)
def test_a_line_that_goes_is_taken_away_from_somebody(tmp_path, before, after, taken):
    lines = [f'dn: "/DC=org/DC=example/OU=People/CN=Somebody {n}"' for n in range(500)]
    kind = Group()
    _, seen = kept(site(tmp_path, lines[:before]))
    (wanted,) = kind.desired(site(tmp_path, lines[:after]))
    plan = diff([wanted], [seen], {"group": kind.rule})
    assert [change.takes_away for change in plan.changes] == [taken]
    assert plan.managed == {"group": before}
