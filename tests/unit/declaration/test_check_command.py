"""`osg-site-iaas check`, as a person and as a program see it."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.declaration import schema

HEAD = "version: 1\nsite: {resource: A, fqdn: a.example.org}\ncloud: {name: a}\n"
Capture = pytest.CaptureFixture[str]


def site(folder: Path, rest: str) -> str:
    path = folder / "site.yml"
    path.write_text(HEAD + rest)
    return str(path)


def test_a_file_in_order_is_said_to_be(tmp_path: Path, capsys: Capture) -> None:
    file = site(tmp_path, "vos: {cms: }\n")
    assert main(["check", file]) == 0
    assert capsys.readouterr().out == f"{file}: no problems\n"


def test_every_problem_has_its_place_and_the_exit_code_is_2(tmp_path: Path, capsys: Capture) -> None:
    file = site(tmp_path, "vos: {cms: {acess: []}}\nflavours: {a: {vcpus: 1}}\n")
    assert main(["check", file]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{file}:4:13: vos.cms.acess: 'acess' is not known here",
        "  -> Did you mean access?",
        f"{file}:5:12: flavours.a: ram is missing",
        "  -> Add `ram: 8 GiB` (Memory).",
        f"{file}: 2 problems, 0 warnings",
    ]


def test_warnings_alone_let_the_file_pass_unless_it_is_strict(tmp_path: Path, capsys: Capture) -> None:
    file = site(tmp_path, "networks: {lonely: }\n")
    assert main(["check", file]) == 0
    assert f"{file}:4:12: warning: networks.lonely: no VO can use" in capsys.readouterr().out
    assert main(["check", "--strict", file]) == 2


def test_an_image_file_that_is_not_here_is_a_warning(tmp_path: Path, capsys: Capture) -> None:
    file = site(tmp_path, "images:\n  here: {source: file:here.raw}\n  gone: {source: file:gone.raw}\n")
    (tmp_path / "here.raw").write_bytes(b"x")
    assert main(["check", file]) == 0
    out = capsys.readouterr().out
    assert f"{file}:6:3: warning: images.gone: the file {tmp_path}/gone.raw is not on this machine" in out
    assert "0 problems, 1 warning" in out


def test_a_flavour_for_everybody_and_for_one_is_a_problem_and_a_vo_under_itself_a_warning(
    tmp_path: Path, capsys: Capture
) -> None:
    rest = "flavours: {a: {vcpus: 1, ram: 1 GiB, public: true, vos: [x]}}\n"
    rest += "vos:\n  x: {parent: y}\n  y: {parent: x}\n  z: {parent: z}\n"
    file = site(tmp_path, rest)
    assert main(["check", file]) == 2
    out = capsys.readouterr().out
    assert "flavours.a.public: a public flavour cannot be for single VOs" in out
    assert "warning: vos.x.parent: x is under y is under x" in out
    assert "warning: vos.z.parent: z is under z" in out
    assert "1 problem, 3 warnings" in out


def test_a_line_that_can_never_decide_is_a_warning(tmp_path: Path, capsys: Capture) -> None:
    rest = "vos:\n  cms: {access: [{fqan: /cms/*}, {fqan: /cms/Role=pilot}]}\n  uscms: {access: [{fqan: /cms/*}]}\n"
    assert main(["check", site(tmp_path, rest)]) == 0
    out = capsys.readouterr().out
    assert ":5:34: warning: vos.cms.access: fqan /cms/Role=pilot never decides" in out
    assert ":6:20: warning: vos.uscms.access: fqan /cms/* never decides" in out


def test_two_vos_whose_groups_would_share_a_name_are_a_problem(tmp_path: Path, capsys: Capture) -> None:
    rest = "vos:\n  a: {access: [{fqan: /a/*, role: b-c}]}\n  a-b: {access: [{fqan: /a-b/*, role: c}]}\n"
    assert main(["check", site(tmp_path, rest)]) == 2
    assert "share a group" in capsys.readouterr().out


def test_a_program_gets_the_same(tmp_path: Path, capsys: Capture) -> None:
    file = site(tmp_path, "vos: {cms: 5}\nnetworks: {lonely: }\n")
    assert main(["check", "--json", file]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], len(found["problems"]), len(found["warnings"])) == (False, 1, 1)
    assert found["problems"][0] == {
        "file": file,
        "line": 4,
        "column": 12,
        "path": "vos.cms",
        "what": "should be a mapping (name: value), not the number 5",
        "todo": "Write `name: value` lines below it, further in.",
    }


def test_standard_input_can_be_checked(monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"version: 3\n")))
    assert main(["check", "-"]) == 2
    assert capsys.readouterr().out.startswith("<stdin>:1:10: version: ")


@pytest.mark.parametrize("name", ["missing.yml", ".", "a\nb\x1b[2J.yml"])
def test_a_file_that_cannot_be_read_exits_with_1(name: str, tmp_path: Path, capsys: Capture) -> None:
    assert main(["check", str(tmp_path / name)]) == 1
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("osg-site-iaas check: ")
    assert "\x1b" not in shown.err


def test_thousands_of_problems_do_not_flood_the_screen(tmp_path: Path, capsys: Capture) -> None:
    rest = "vos:\n" + "".join(f"  vo{n}: 5\n" for n in range(1200))
    assert main(["check", site(tmp_path, rest)]) == 2
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2002
    assert lines[-2] == "... and 200 more"
    assert lines[-1].endswith(": 1200 problems, 0 warnings")


def test_no_secret_is_shown_wherever_it_was_written(tmp_path: Path, capsys: Capture) -> None:
    secrets = [
        "hunter2",
        "0777123",
        "12.5e7",
        "1:23:45",
        "&hunter2",
        "!hunter2",
        "[hunter2]",
        "yes hunter2",
        '"hunter2',
    ]
    for secret in secrets:
        rest = f"vos: {{cms: {{service_users: {{a: {{password: {secret}}}, b: {secret}}}}}}}\n"
        assert main(["check", site(tmp_path, rest)]) == 2
        shown = capsys.readouterr().out
        for word in ("hunter2", "0777123", "12.5e7", "1:23:45"):
            assert word not in shown, shown


def test_editors_are_told_where_the_schema_is(capsys: Capture) -> None:
    assert main(["check", "--schema"]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert json.loads(path.read_text()) == schema.load()
