from __future__ import annotations

import json

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import Sandbox, Wishes, folders, settings
from osg_site_iaas.sandbox.settings import settle
from tests.unit.sandbox.boxes import box


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("OSG_SITE_IAAS_CACHE", str(tmp_path / "cache"))


def test_a_box_is_read_back_as_it_was_and_by_its_owner_only(tmp_path):
    kept = box(tmp_path / "it")
    settings.save(kept)
    assert settings.load(kept.folder, kept.python) == kept
    assert (kept.folder / settings.FILE).stat().st_mode & 0o777 == 0o600


def test_no_settings_is_no_sandbox(tmp_path):
    assert settings.load(tmp_path, tmp_path) is None


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"name": 3}'])
def test_settings_that_cannot_be_read_are_named(text, tmp_path):
    (tmp_path / settings.FILE).write_text(text)
    with pytest.raises(SandboxError, match=rf"{settings.FILE}: not a sandbox's settings"):
        settings.load(tmp_path, tmp_path)


def make(folder, old=None, **wishes):
    return settle(folder, folder / "python", name="unit", old=old, wishes=Wishes(**wishes))


def test_what_was_settled_stays_until_it_is_asked_otherwise(tmp_path):
    first = make(tmp_path / "a", services=("glance",), computes=7, overrides={"f": {"s": {"o": "v"}}})
    assert first.services == ("keystone", "glance")
    assert make(tmp_path / "a", old=first) == first
    second = make(tmp_path / "a", old=first, services=("swift",), computes=2)
    assert second.services == ("keystone", "swift")
    assert (second.computes, second.overrides) == (2, first.overrides)
    assert second.ports["keystone"] == first.ports["keystone"]
    assert second.secrets["glance"] == first.secrets["glance"]


def test_two_sandboxes_share_no_port_and_no_secret(tmp_path):
    one, two = make(tmp_path / "one"), make(tmp_path / "two")
    assert not set(one.ports.values()) & set(two.ports.values())
    assert not set(one.secrets.values()) & set(two.secrets.values())
    assert folders.known(tmp_path / "cache/sandboxes.json") == [tmp_path / "one", tmp_path / "two"]


def test_databases_of_other_releases_are_not_used(tmp_path):
    first = make(tmp_path / "a", services=("keystone",))
    kept = json.loads((first.folder / settings.FILE).read_text())
    (first.folder / settings.FILE).write_text(json.dumps({**kept, "made_with": "another"}))
    old = settings.load(first.folder, first.python)
    with pytest.raises(SandboxError, match=r"other releases.*\n.*sandbox reset"):
        make(tmp_path / "a", old=old)


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "with space", "-x", "a\nb"])
def test_a_name_that_could_be_a_path_is_refused(name):
    if name:
        with pytest.raises(SandboxError, match="cannot be a sandbox's name"):
            Sandbox.open(name)
    else:
        assert Sandbox.open(name).name == "default"


@pytest.mark.parametrize("folder", ["/x/a b", "/x/$HOME", "/x/%d", "/x/a?b", "/x/a#b", "/x/ä"])
def test_a_path_that_configuration_files_cannot_hold_is_refused(folder):
    with pytest.raises(SandboxError, match=r"cannot hold this path|cannot be a sandbox's name"):
        Sandbox.open(state=folder)
