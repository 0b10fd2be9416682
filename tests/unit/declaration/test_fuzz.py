"""Whatever the file holds, there is a Site or there are problems, and never anything else."""

from __future__ import annotations

import json

import pytest
from declaration_values import COMPLETE, misfit
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.declaration import load

SIGNS = st.sampled_from(
    [
        *"{}[]:,-&*!|>'\"%@`#?~ \n\t0aA/\\\x85\u2028é",
        "<<",
        "---\n",
        "...\n",
        ": ",
        "- ",
        "&a ",
        "*a",
        "!!str ",
    ]
)


def judge(raw: bytes) -> None:
    """Hold the report to what it promises."""
    report = load.report_bytes("site.yml", raw)
    assert (report.site is None) == bool(report.problems)
    assert list(report.problems) == sorted(report.problems)
    lines = len(raw.decode("utf-8", "replace").splitlines())
    for problem in (*report.problems, *report.warnings):
        assert problem.what
        assert problem.todo
        assert 0 <= problem.line <= lines + 1
        assert str(problem).isprintable() or "\n" in str(problem)


@given(st.binary(max_size=200))
@settings(max_examples=80, deadline=None)
def test_any_bytes(raw: bytes) -> None:
    judge(raw)


@given(st.text(max_size=200) | st.lists(SIGNS, max_size=60).map("".join))
@settings(max_examples=80, deadline=None)
def test_any_text(text: str) -> None:
    judge(text.encode("utf-8", "surrogatepass"))


def mutate(data: st.DataObject) -> str:
    """The complete example with some characters and lines put in, taken out or moved."""
    text = COMPLETE
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        end = min(len(text), at + data.draw(st.integers(0, 30)))
        how = data.draw(st.sampled_from(["insert", "cut", "double", "move"]))
        if how == "insert":
            text = text[:at] + "".join(data.draw(st.lists(SIGNS, min_size=1, max_size=4))) + text[at:]
        elif how == "cut":
            text = text[:at] + text[end:]
        elif how == "double":
            text = text[:end] + text[at:end] + text[end:]
        else:
            lines = text.splitlines(keepends=True)
            lines.insert(
                data.draw(st.integers(0, len(lines))), lines.pop(data.draw(st.integers(0, len(lines) - 1)))
            )
            text = "".join(lines)
    return text


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_valid_file_with_slips_of_the_hand(data: st.DataObject) -> None:
    judge(mutate(data).encode())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_a_valid_file_with_values_of_any_kind(data: st.DataObject) -> None:
    judge(json.dumps(misfit(data, 3)).encode())


@pytest.mark.long
@given(st.data())
@settings(max_examples=5000, deadline=None)
def test_many_files_with_slips_and_misfits(data: st.DataObject) -> None:
    judge(json.dumps(misfit(data, 5)).encode() if data.draw(st.booleans()) else mutate(data).encode())
