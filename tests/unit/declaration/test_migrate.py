"""Older declarations in today's format."""

from __future__ import annotations

import errno
import os
import stat
import textwrap
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.cli.main import main
from osg_site_iaas.declaration import edit, load
from osg_site_iaas.declaration.migrate import migrate
from osg_site_iaas.errors import DeclarationError

HEAD = "site: {resource: A, fqdn: a.example.org}\ncloud: {name: a}\n"


def migrated(text: str) -> str:
    """The text migrated, its comments being kept."""
    result = migrate("site.yml", textwrap.dedent(text).encode())
    assert result.comments_kept
    return result.text


def test_a_draft_keeps_its_comments_and_its_layout() -> None:
    before = """\
        # Our site.
        version: 0   # a draft
        flavors:     # sizes
          small: {vcpus: 1, ram: 2 GiB}

        vos:
          # The big one.
          - name: cms            # Compact Muon Solenoid
            access:
              - fqan: /cms/*     # everybody

          - name: "icecube"
          - {name: ligo, description: waves}   # token only
          - description: last
            name: dune
            enabled: false
        # The end.
        """
    after = """\
        # Our site.
        version: 1   # a draft
        flavours:     # sizes
          small: {vcpus: 1, ram: 2 GiB}

        vos:
          # The big one.
          cms:            # Compact Muon Solenoid
            access:
              - fqan: /cms/*     # everybody

          "icecube":
          ligo: {description: waves}   # token only
          dune:
            description: last
            enabled: false
        # The end.
        """
    assert migrated(before) == textwrap.dedent(after)


def test_a_list_that_is_not_indented_becomes_a_mapping_that_is() -> None:
    before = (
        "vos:\n- name: cms\n  description: |\n    two\n\n    lines\n"
        "# more\n- name: ligo\n  # why\naccounting: {}\n"
    )
    after = (
        "version: 1\nvos:\n  cms:\n    description: |\n      two\n\n      lines\n  # more\n"
        "  ligo:\n  # why\naccounting: {}\n"
    )
    assert migrated(before) == after


def test_a_whole_file_in_braces_stays_in_braces() -> None:
    before = "{flavors: {}, vos: [{name: cms}, {access: [], name: ligo}]}\n"
    assert migrated(before) == "{version: 1, flavours: {}, vos: {cms: {}, ligo: {access: []}}}\n"


def test_line_ends_stay_as_they_are() -> None:
    assert migrated("vos:\r\n  - description: x\r\n    name: cms\r\n") == (
        "version: 1\r\nvos:\r\n  cms:\r\n    description: x\r\n"
    )


def test_an_empty_list_becomes_an_empty_mapping() -> None:
    assert migrated("version: 0\nvos: []\n") == "version: 1\nvos: {}\n"


def test_a_file_of_today_is_not_touched() -> None:
    text = "version: 1\n# whatever\nvos: {cms: }\n"
    result = migrate("site.yml", text.encode())
    assert (result.text, result.version, result.comments_kept) == (text, 1, True)


def test_a_layout_that_cannot_be_followed_is_written_anew_and_that_is_said() -> None:
    text = "# lost\nlist: &vos\n  - name: cms\n    description: x\nvos: *vos\n"
    result = migrate("site.yml", text.encode())
    assert not result.comments_kept
    assert yaml.safe_load(result.text) == {
        "version": 1,
        "list": [{"name": "cms", "description": "x"}],
        "vos": {"cms": {"description": "x"}},
    }


@pytest.mark.parametrize(
    "text, place, what",
    [
        ("version: 2\n", (1, 10), "the file has version 2, and this osg-site-iaas knows 1 at most"),
        ("version: one\n", (1, 10), "the version is a whole number"),
        ("version: 0\nvos: [cms]\n", (2, 7), "this entry has no name"),
        ("vos:\n  - {name: cms}\n  - {name: cms}\n", (3, 5), "cms is there already"),
        ("flavors: {}\nflavours: {}\n", (1, 1), "there are both flavors and flavours"),
        ("vos: [\n", (2, 1), "not YAML: a value is missing, or a bracket is one too many or is not closed"),
        ("vos:\nvos:\n", (2, 1), "vos is already there, in line 1"),
        ("- a list\n", (1, 1), "this is no declaration"),
        ("", (0, 0), "it is empty"),
    ],
)
def test_what_cannot_be_migrated_is_told_with_its_place(text: str, place: tuple[int, int], what: str) -> None:
    with pytest.raises(DeclarationError) as raised:
        migrate("site.yml", text.encode())
    problem = raised.value.problems[0]
    assert ((problem.line, problem.column), problem.what.partition(";")[0]) == (place, what)
    assert problem.todo


NAMES = st.lists(st.sampled_from(["cms", "ligo", "no", "a b", "5"]), unique=True, max_size=4)
REST = st.fixed_dictionaries(
    {},
    optional={
        "description": st.text(max_size=8),
        "access": st.just([{"fqan": "/cms/*"}]),
        "quota": st.none(),
    },
)


@given(st.data(), NAMES, st.booleans(), st.sampled_from([None, True, False]))
@settings(max_examples=40, deadline=None)
def test_text_and_data_come_to_the_same(
    data: st.DataObject, names: list[str], last: bool, style: bool | None
) -> None:
    vos = []
    for name in names:
        rest = data.draw(REST)
        vos.append({**rest, "name": name} if last else {"name": name, **rest})
    draft = {"flavors": {"small": {"vcpus": 1}}, "vos": vos}
    text = yaml.safe_dump(draft, sort_keys=False, default_flow_style=style, allow_unicode=True)
    result = yaml.safe_load(migrate("site.yml", text.encode()).text)
    # PyYAML does not read every text as it wrote it, so what was meant is what it reads.
    read = yaml.safe_load(text)["vos"]
    wanted = {vo["name"]: {key: vo[key] for key in vo if key != "name"} or None for vo in read}
    assert {name: rest or None for name, rest in result["vos"].items()} == wanted
    assert (result["version"], result["flavours"]) == (1, draft["flavors"])


def test_a_change_that_loses_something_is_never_believed() -> None:
    """A text change is compared with the data change; here it cannot be followed, and says so."""
    with pytest.raises(edit.Unforeseen):
        edit.Rename(("a",), "b").to_text("? a\n: 1\n? a\n: 2\n")


def draft(folder: Path) -> Path:
    path = folder / "site.yml"
    path.write_text(f"version: 0\n{HEAD}vos:\n  - name: cms  # big\n")
    return path


def test_the_command_replaces_the_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    path = draft(tmp_path)
    before = path.read_bytes()
    path.chmod(0o640)
    link = tmp_path / "link.yml"
    link.symlink_to(path)
    assert main(["migrate", "--in-place", str(link)]) == 0
    assert link.is_symlink()
    assert load.check(path) == []
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert (tmp_path / "site.yml.v0").read_bytes() == before
    path.write_bytes(before)
    assert main(["migrate", "--in-place", str(path)]) == 0
    assert (tmp_path / "site.yml.v0.2").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "link.yml",
        "site.yml",
        "site.yml.v0",
        "site.yml.v0.2",
    ]


def test_a_file_of_today_is_not_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "site.yml"
    path.write_text(f"version: 1\n{HEAD}")
    assert main(["migrate", "--in-place", str(path)]) == 0
    assert "nothing to do" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["site.yml"]


def test_the_command_prints_the_file_or_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path)
    assert main(["migrate", str(path)]) == 0
    assert capsys.readouterr().out == f"version: 1\n{HEAD}vos:\n  cms:  # big\n"
    assert main(["migrate", "--diff", str(path)]) == 2
    assert "-  - name: cms  # big\n+  cms:  # big\n" in capsys.readouterr().out
    path.write_text(f"version: 1\n{HEAD}")
    assert main(["migrate", "--diff", str(path)]) == 0


def test_a_full_disk_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = draft(tmp_path)
    before = path.read_bytes()

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    assert main(["migrate", "--in-place", str(path)]) == 1
    assert "it cannot be replaced: No space left on device" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["site.yml", "site.yml.v0"]
