"""Files that are not what they should be, from their bytes to their nesting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from osg_site_iaas.declaration import load, parse, read
from osg_site_iaas.errors import DeclarationError, Problem

HEAD = b"version: 1\nsite: {resource: A, fqdn: a.example.org}\ncloud: {name: a}\n"


def only(raw: bytes) -> Problem:
    """The one problem of a file's bytes."""
    problems = load.report_bytes("site.yml", raw).problems
    assert len(problems) == 1, problems
    return problems[0]


@pytest.mark.parametrize(
    "raw, line, column, what",
    [
        (b"", 0, 0, "it is empty"),
        (b"  \n\n", 0, 0, "it is empty"),
        (b"\x7fELF\x02\x01\x00\x00", 0, 0, "it is binary, not text"),
        ("version: 1".encode("utf-16"), 0, 0, "it is written in UTF-16"),
        (b"version: 1\nsite: \xe9t\xe9\n", 2, 7, "byte 0xe9 is not UTF-8"),
        (b"version: 1\n# d\xc3\xa9j\xe0\n", 2, 6, "byte 0xe0 is not UTF-8"),
        (b"version: 1\nsite: a\x07b\n", 2, 8, "there is a control character (U+0007)"),
        (b"version: 1\n# \xc2\x85x\x1b\n", 3, 2, "there is a control character (U+001B)"),
        (b"x" * (read.MAX_BYTES + 1), 0, 0, "it is larger than 8 MiB"),
        (b"just words", 1, 1, "should be a mapping (name: value), not a text"),
        (b"# a comment only\n", 1, 1, "should be a mapping (name: value), not nothing"),
        (b"- a list", 1, 1, "should be a mapping (name: value), not a list"),
        (b"[" * 900, 1, 41, "it is nested more than 40 deep"),
        (b"{a: " * 100_000, 1, 161, "it is nested more than 40 deep"),
        (b"- " * 100_000, 1, 81, "it is nested more than 40 deep"),
        (b"a: " + b"b." * 40_000, 1, 4, "a text of 80,000 characters is too long"),
        (b"&a [*a]", 1, 5, "*a stands inside &a itself"),
    ],
    ids=lambda value: value[:12] if isinstance(value, bytes) else None,
)
def test_a_file_that_is_none_is_told_in_one_sentence(raw: bytes, line: int, column: int, what: str) -> None:
    problem = only(raw)
    assert (problem.line, problem.column, problem.what) == (line, column, what)
    assert problem.todo


@pytest.mark.parametrize("opened", [b"[", b"{a: ", b"- ", b"? ", b"[{a: "])
def test_however_deep_it_is_the_words_are_the_same(opened: bytes) -> None:
    """libyaml from 0.2.6 on stops at 1,000 itself, and may get there before the parser is handed the first bracket."""
    problem = only(opened * 100_000)
    assert (problem.line, problem.what) == (1, "it is nested more than 40 deep")


def test_a_byte_order_mark_is_no_part_of_the_first_word() -> None:
    assert load.report_bytes("site.yml", b"\xef\xbb\xbf" + HEAD).problems == ()


def test_line_ends_of_every_kind_are_counted() -> None:
    raw = HEAD.replace(b"\n", b"\r\n") + b"vos:\r  cms: 5\r\n"
    assert (only(raw).line, only(raw).column) == (5, 8)


def test_an_alias_bomb_is_stopped_while_it_is_small() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    problem = only("\n".join(lines).encode())
    assert problem.what == "it holds more than 500,000 values, aliases included"
    assert problem.line == 6


def test_nesting_by_aliases_counts_as_nesting() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [*a{n - 1}]" for n in range(1, 100)]
    problem = only("\n".join(lines).encode())
    assert problem.what == "with its aliases it is nested more than 40 deep"


@pytest.mark.parametrize("make", ["folder", "missing", "forbidden", "loop", "device"])
def test_a_file_that_cannot_be_read_is_told_with_its_name(make: str, tmp_path: Path) -> None:
    path = tmp_path / "site.yml"
    if make == "folder":
        path.mkdir()
    elif make == "forbidden":
        path.write_text("version: 1")
        path.chmod(0)
        if os.access(path, os.R_OK):
            pytest.skip("this user may read every file")
    elif make == "loop":
        path.symlink_to(path)
    elif make == "device":
        path = Path("/proc/self/mem")  # opens, and cannot be read
    with pytest.raises(DeclarationError) as raised:
        load.report(path)
    (problem,) = raised.value.problems
    assert (problem.file, problem.line, problem.path) == (str(path), 0, "")
    assert problem.todo
    assert load.check(path) == [problem]


def test_a_name_that_no_terminal_could_show_is_escaped() -> None:
    problem = load.check("no\x1b[31m\udcff.yml")[0]
    assert problem.file == r"no\x1b[31m\udcff.yml"


def test_a_null_in_a_name_is_no_traceback() -> None:
    assert load.check("a\0b")[0].what.startswith("it cannot be read: ")


def test_the_parser_without_libyaml_reads_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    examples = Path(__file__).resolve().parents[3] / "examples"
    texts = {path.name: path.read_text() for path in examples.glob("*.yml")}
    quick = {name: parse.parse(name, text) for name, text in texts.items()}
    monkeypatch.setattr(parse, "_LOADER", yaml.SafeLoader)
    for name, text in texts.items():
        slow = parse.parse(name, text)
        assert slow == quick[name]
        assert dict(read.Positions(slow.data)) == dict(read.Positions(quick[name].data))


def test_a_merged_key_does_not_hide_the_mappings_own() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc: {y: 5, <<: [*a, *b]}\nd: {<<: [*b, *a]}\ne: {<<: 5}\n"
    document = parse.parse("site.yml", text)
    assert isinstance(document.data, dict)
    assert document.data["c"] == {"y": 5, "x": 1, "z": 4}
    assert document.data["d"] == {"y": 3, "z": 4, "x": 1}
    assert [problem.what for problem in document.problems] == ["<< takes a mapping, or a list of mappings"]


def test_every_value_is_where_its_position_says() -> None:
    text = (Path(__file__).resolve().parents[3] / "examples" / "complete.yml").read_text()
    lines = text.splitlines()
    data = parse.parse("site.yml", text).data
    positions = read.Positions(data)
    for path, position in positions.items():
        value, name = data, ""
        for step in steps(data, path):
            name, value = str(step), value[step]  # type: ignore[index]
        there = lines[position.line - 1][position.column - 1 :].lstrip("\"'")
        if isinstance(value, (dict, list)):
            assert there.startswith(name if not path.endswith("]") else ""), path
        else:
            assert there.startswith(str(value).lower() if isinstance(value, bool) else str(value)), path
    assert len(positions) > 100


def steps(data: object, path: str) -> list[str | int]:
    """The steps of a dotted path, names being allowed to hold dots."""
    if not path:
        return []
    if isinstance(data, dict):
        for key, value in data.items():
            rest = path.removeprefix(key)
            if rest != path and (not rest or rest[0] in ".["):
                return [key, *steps(value, rest.removeprefix("."))]
    if isinstance(data, list) and path.startswith("["):
        index, _, rest = path[1:].partition("]")
        return [int(index), *steps(data[int(index)], rest.removeprefix("."))]
    raise AssertionError(path)


@pytest.mark.parametrize(
    "raw",
    [
        b"version: 1\n" * 10_000,
        HEAD + b"vos:\n" + b"".join(b"  vo%d: 5\n" % n for n in range(10_000)),
        HEAD + b"vos:\n" + b"".join(b"  vo%d: {acess%d: }\n" % (n, n) for n in range(10_000)),
        HEAD + b"vos: {a: {%s}}\n" % b", ".join(b"x%d: no" % n for n in range(10_000)),
    ],
    ids=["keys", "types", "unknown", "words"],
)
def test_a_list_of_problems_ends_where_nobody_would_read_on(raw: bytes) -> None:
    problems = load.report_bytes("site.yml", raw).problems
    assert problems[0].what == "there are more than 5,000 problems, and these are some"
    assert 5_000 <= len(problems) <= 10_002
