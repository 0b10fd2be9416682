from __future__ import annotations

import os

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Wishes, debian_root, releases, settings
from osg_site_iaas.sandbox.model import CURRENT, INSIDE, inside
from osg_site_iaas.sandbox.render import write_configuration
from osg_site_iaas.sandbox.service import choose, registry
from tests.unit.sandbox.boxes import box

APT = [
    "http://deb.example.org/other/ stable-backports",
    "http://deb.example.org/debian/ trixie",
    "http://deb.example.org/debian/ trixie-updates",
    "http://deb.example.org/debian-security/ trixie-security",
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSG_SITE_IAAS_CACHE", str(tmp_path / "cache"))


def test_the_mirrors_are_the_ones_that_apt_has():
    assert debian_root.mirrors(APT) == (
        "http://deb.example.org/debian/",
        "http://deb.example.org/debian-security/",
    )
    assert debian_root.mirrors(APT[:3]) == ("http://deb.example.org/debian/", None)


@pytest.mark.parametrize("said", [[], ["http://deb.example.org/ubuntu/ noble"], ["nonsense"], APT[:1]])
def test_without_a_debian_there_is_no_mirror(said):
    assert debian_root.mirrors(said) is None


def test_only_what_says_how_to_reach_a_mirror_is_taken_from_apt():
    said = [
        'Acquire "";',
        'Acquire::http::Proxy "http://proxy.example.org:3128";',
        'Acquire::IndexTargets::deb::Packages "";',
        'Acquire::Changelogs::URI "";',
        'Acquire::Check-Valid-Until "false";',
    ]
    assert debian_root.reach(said) == [said[1], said[4]]


def test_a_mirror_can_be_named(monkeypatch):
    monkeypatch.setenv(debian_root.MIRROR, "http://mirror.example.org/debian")
    assert debian_root._mirrors() == ("http://mirror.example.org/debian", None)


def test_who_is_not_root_is_told_so_before_anything_is_made(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SandboxError, match=r"zed needs root.*\n.*as root"):
        releases.ensure("zed", lambda message: None)
    assert not (tmp_path / "cache").exists()


def test_an_unknown_release_is_refused_with_those_there_are():
    with pytest.raises(SandboxError, match=r"'yoga'\n.*current, zed"):
        releases.python("yoga")


def test_releases_share_neither_python_nor_databases():
    assert releases.python("zed") != releases.python(CURRENT)
    assert releases.made_with("zed") != releases.made_with(CURRENT)


def test_a_release_has_its_own_programs_where_the_shared_ones_do_not_fit():
    assert inside("nova_all.py", "zed") == INSIDE / "zed/nova_all.py"
    assert inside("swift_all.py", "zed") == inside("swift_all.py", CURRENT) == INSIDE / "swift_all.py"
    assert inside("nova_all.py", CURRENT) == INSIDE / "nova_all.py"


def settle(folder, release, old=None):
    wishes = Wishes(services=("keystone",), release=release)
    return settings.settle(folder, folder / "python", name="unit", old=old, wishes=wishes)


def test_a_sandbox_stays_with_its_release(tmp_path):
    first = settle(tmp_path / "a", "zed")
    kept = settings.load(first.folder)
    assert (kept.release, kept.python) == ("zed", releases.python("zed"))
    assert settle(tmp_path / "a", None, kept).release == "zed"
    with pytest.raises(SandboxError, match=r"other releases.*\n.*sandbox reset"):
        settle(tmp_path / "a", CURRENT, kept)


def test_what_a_release_does_not_know_is_configured_otherwise(tmp_path):
    def methods(release):
        unit = box(tmp_path / release)
        unit = type(unit)(**{**vars(unit), "release": release})
        write_configuration(unit, choose(["keystone"], registry()))
        text = (unit.etc / "keystone/keystone.conf").read_text()
        return next(line for line in text.splitlines() if line.startswith("methods"))

    assert "ec2credential" in methods(CURRENT)
    assert methods("zed") == "methods = password,token,application_credential,mapped"


def test_a_release_of_which_not_all_runs_says_so():
    assert releases.services("zed", ()) == ()
    assert releases.services("epoxy", ()) == ("keystone", "swift")
    assert releases.services("epoxy", ("swift",)) == ("swift",)
    with pytest.raises(SandboxError, match="without nova"):
        releases.services("epoxy", ("keystone", "nova"))
