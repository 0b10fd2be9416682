"""What a YAML parser's complaint means, in words. Its own snippet is never shown: it could hold a secret."""

from __future__ import annotations

import re
from typing import Any

from osg_site_iaas.errors import Problem

# (in the parser's words, what, what to do); libyaml and PyYAML's own parser word the same things differently.
_MEANINGS = (
    (r"tab character|'\\t'", "a tab stands where YAML takes only spaces", "Replace it by spaces."),
    (
        r"scanning an? alias",
        "a * that no name follows",
        'Put a text that begins with * in quotes: "*".',
    ),
    (
        r"scanning an? anchor",
        "an & that no name follows",
        "Put a text that begins with & in quotes.",
    ),
    (
        r"(scanning|parsing) an? tag|tag handle",
        "a word that begins with ! is a tag, which has no meaning here",
        "Put a text that begins with ! in quotes.",
    ),
    (
        r"mapping values are not allowed",
        "a colon stands where none can",
        "Indent the line like its neighbours; end a name in the line above with a colon of its own; "
        "put a text with a colon and a space in quotes.",
    ),
    (
        r"quoted scalar.*(end of stream|document)",
        "the quote that is opened here is never closed",
        "Close it.",
    ),
    (
        r"unknown escape|escape sequence|hexa?decimal",
        "a backslash in double quotes begins something that YAML does not know",
        "Use single quotes, in which a backslash is only itself.",
    ),
    (
        r"flow sequence",
        "the brackets [ ] are not closed, or a comma is missing",
        "Close it with ], or add the comma.",
    ),
    (
        r"flow mapping",
        "the brackets { } are not closed, or a comma is missing",
        "Close it with }, or add the comma.",
    ),
    (
        r"node content|flow node",
        "a value is missing, or a bracket is one too many or is not closed",
        "Write the value, or look for the bracket's other half.",
    ),
    (r"unexpected ':'", "no space follows the colon", "Write `name: value`, with the space."),
    (
        r"simple key",
        "a name without a colon",
        "Write `name: value`; indent what continues the line above.",
    ),
    (
        r"block scalar",
        "what follows | or > is not understood",
        "Begin the text on the next line, further in.",
    ),
    (
        r"block (mapping|collection|sequence)|sequence entries|block end",
        "the indentation does not fit the lines above",
        "Indent alike what belongs together.",
    ),
    (r"cannot start any token", "a text cannot begin with this character", "Put the text in quotes."),
    (r"directive", "a line that begins with % is not understood", "Remove it."),
    (r"document start", "this does not belong to what stands above", "Keep one mapping in the file."),
)
# libyaml from 0.2.6 on reads no deeper, and reads ahead of what the parser has been handed
_TOO_DEEP = re.compile("maximum nesting depth")
MAX_DEPTH = 40  # the format needs eight
TOO_DEEP = (f"it is nested more than {MAX_DEPTH} deep", "Is this the right file?")
_OPENED_HERE = re.compile("quoted scalar")
_BRACKETS = re.compile("flow|node content")


def problem(file: str, text: str, error: Any, bracket: int = 0) -> Problem:
    """What a parser's error about a text stands for; ``bracket`` is the line of the last one left open."""
    words = " ".join(
        str(part) for part in (getattr(error, "context", ""), getattr(error, "problem", "")) if part
    )
    mark, opened = getattr(error, "problem_mark", None), getattr(error, "context_mark", None)
    if opened is not None and _OPENED_HERE.search(words) and "end of stream" in words:
        mark = opened
    if mark is None:
        return Problem(file, 0, 0, "", "not YAML", "Compare it with examples/complete.yml.")
    if "cannot start any token" in words and _char(text, mark) == "\t":
        words = "tab character"
    if _TOO_DEEP.search(words):
        return Problem(file, mark.line + 1, mark.column + 1, "", *TOO_DEEP)
    for pattern, what, todo in _MEANINGS:
        if re.search(pattern, words):
            if bracket and _BRACKETS.search(words):
                what += f"; one was opened in line {bracket}"
            return Problem(file, mark.line + 1, mark.column + 1, "", f"not YAML: {what}", todo)
    what = "not YAML: this cannot be understood"
    return Problem(file, mark.line + 1, mark.column + 1, "", what, "Compare it with examples/complete.yml.")


def _char(text: str, mark: Any) -> str:
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    line = lines[mark.line] if mark.line < len(lines) else ""
    return line[mark.column : mark.column + 1]
