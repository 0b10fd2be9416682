"""Declarations with something wrong in them, each with all that a person is told about it.

A case is a site.yml whose last comment lines are the findings: line, column and path, what, and what to do.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from osg_site_iaas.declaration import load
from osg_site_iaas.errors import Problem

CASES = Path(__file__).resolve().parents[2] / "cases" / "declaration"
MARK = "# expected:\n"


@pytest.mark.parametrize("case", sorted(CASES.glob("*.yml")), ids=lambda path: path.stem)
def test_everything_is_told(case: Path) -> None:
    text, _, expected = case.read_text().partition(MARK)
    report = load.report_bytes("site.yml", text.encode())
    told = [*_lines(report.problems, ""), *_lines(report.warnings, "warning: ")]
    assert expected == "\n".join(told or ["# nothing"]) + "\n"


def _lines(problems: tuple[Problem, ...], kind: str) -> list[str]:
    lines = []
    for problem in problems:
        place = f"{problem.line}:{problem.column} {problem.path}".strip()
        lines += [f"# {place}: {kind}{problem.what}", f"#   -> {problem.todo}"]
    return lines


def test_every_case_says_what_to_expect() -> None:
    assert [path.name for path in CASES.glob("*.yml") if path.read_text().count(MARK) != 1] == []
    assert len(list(CASES.glob("*.yml"))) > 50
