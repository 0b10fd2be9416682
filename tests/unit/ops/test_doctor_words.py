"""What doctor says: places without line 0, each line a line, and a wrong name with the right ones."""

from __future__ import annotations

import pytest

from osg_site_iaas.cli import main as cli
from osg_site_iaas.cli.doctor import _show
from osg_site_iaas.errors import DeclarationError, Problem, SiteError
from osg_site_iaas.ops.finding import Finding, Result, findings_of


def test_a_wrong_check_is_an_error_and_not_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["doctor", "--only", "keystone", "clok"]) == 1
    said = capsys.readouterr().err
    assert "there is no check 'clok'" in said
    assert "clock? The checks are declaration, keystone," in said


@pytest.mark.parametrize(
    ("problem", "finding"),
    [
        (Problem("/x/site.yml", 0, 0, "", "there is no such file", "write it"),
         Finding("there is no such file", "write it", "/x/site.yml")),
        (Problem("site.yml", 7, 3, "vos.cms", "is no mapping"),
         Finding("vos.cms: is no mapping", "mend it", "site.yml:7")),
    ],
)  # fmt: skip
def test_a_problem_of_a_file_is_a_finding_at_its_place(problem: Problem, finding: Finding) -> None:
    assert Finding.of(problem) == finding
    assert list(findings_of(DeclarationError([problem]))) == [finding]


def test_each_problem_of_a_file_is_a_finding_and_another_error_is_one() -> None:
    problems = [Problem("bans.yml", line, 1, "", f"wrong {line}", "mend") for line in (1, 2)]
    assert [one.where for one in findings_of(DeclarationError(problems))] == ["bans.yml:1", "bans.yml:2"]
    assert list(findings_of(SiteError("no", where="x"))) == [
        Finding("no", "mend it, then run doctor again", "x")
    ]


def test_words_of_several_lines_are_shown_as_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _show(
        Result(
            "declaration", "found", findings=(Finding("one\n  -> write it\ntwo", "mend\x1b[2J", "site.yml"),)
        )
    )
    assert capsys.readouterr().out.splitlines()[1:] == [
        "       site.yml: one", "       -> write it", "       two", "         -> mend\\x1b[2J",
    ]  # fmt: skip
