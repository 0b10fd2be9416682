"""What a YAML parser's complaint means, in words. Its own snippet is never shown: it could hold a secret."""

from __future__ import annotations

import re

import yaml

from osg_site_iaas.errors import Problem

# (in the parser's words, what, what to do); libyaml and PyYAML's own parser word the same things differently.
_MEANINGS = (
    (r"tab", "a tab stands where YAML allows only spaces", "Replace it by spaces."),
    (
        r"scanning an? alias|undefined alias",
        "a * begins an alias here, and there is no such alias",
        'Put a text that begins with * in quotes: "*".',
    ),
    (
        r"scanning an? anchor",
        "an & begins an anchor here, and it has no name",
        "Put a text that begins with & in quotes.",
    ),
    (
        r"scanning (a|an) tag|tag handle|parsing a tag",
        "YAML tags (words that begin with !) have no meaning here",
        "Put it in quotes.",
    ),
    (
        r"mapping values are not allowed",
        "a colon stands here where none can",
        "Indent the line like its neighbours; put a text with a colon and a space in quotes.",
    ),
    (
        r"quoted scalar.*(end of stream|document (separator|indicator))",
        "a quote is opened and never closed",
        "Close it.",
    ),
    (
        r"unknown escape|escape sequence|hexadecimal",
        "a backslash in double quotes begins an escape that YAML does not know",
        "Use single quotes, or write \\\\.",
    ),
    (
        r"flow sequence",
        "a list in [ ] is not closed, or a comma is missing in it",
        "Close it with ], or add the comma.",
    ),
    (
        r"flow mapping",
        "a mapping in { } is not closed, or a comma is missing in it",
        "Close it with }, or add the comma.",
    ),
    (
        r"simple key",
        "a line has a name and no colon",
        "Write `name: value`; indent what continues the line above.",
    ),
    (
        r"block (mapping|collection|sequence|end)|block entr|sequence entries|block key",
        "the indentation does not fit the lines above",
        "Indent what belongs together alike.",
    ),
    (r"cannot start any token", "a text cannot begin with this character", "Put the text in quotes."),
    (
        r"control characters|special characters|unacceptable character",
        "there is a control character",
        "Remove it; most editors can show it.",
    ),
    (
        r"directive|<document start>",
        "a line that begins with %, or what follows it, is not understood",
        "Remove the line.",
    ),
)


def problem(file: str, error: yaml.YAMLError) -> Problem:
    """The problem that a parser's error stands for."""
    parts = [getattr(error, name, None) for name in ("context", "problem", "reason")]
    words = " ".join(str(part) for part in parts if part) or type(error).__name__
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
    opened = getattr(error, "context_mark", None)
    for pattern, what, todo in _MEANINGS:
        if re.search(pattern, words):
            if opened and opened.line + 1 != line and "flow" in words + "quoted" and "block" not in words:
                what += f" (opened in line {opened.line + 1})"
            return Problem(file, line, column, "", f"not YAML: {what}", todo)
    return Problem(
        file,
        line,
        column,
        "",
        "not YAML: the parser cannot go on here",
        "Compare the line with examples/complete.yml.",
    )
