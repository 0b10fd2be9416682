"""A known secret in whatever encoding: it is found, and taken out."""

from __future__ import annotations

import base64
import html
import json
from typing import Callable
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from osg_site_iaas.ops import encodings, redact

WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a URL": lambda word: quote(word, safe=""),
    "in a path": quote,
    "in a form": quote_plus,
    "in JSON": json.dumps,
    "in JSON as UTF-8": lambda word: json.dumps(word, ensure_ascii=False),
    "in HTML": html.escape,
    "in Python": repr,
    "in Python's ASCII": ascii,
    "in YAML": lambda word: "'" + word.replace("'", "''") + "'",
    "in base64": lambda word: base64.b64encode(word.encode()).decode(),
    "as a login of one letter": lambda word: base64.b64encode(b"u:" + word.encode()).decode(),
    "as a login of two": lambda word: base64.b64encode(b"us:" + word.encode() + b"?").decode(),
    "as a login in a URL's base64": lambda word: base64.urlsafe_b64encode(b"us:" + word.encode()).decode(),
}
SECRETS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x17F, exclude_categories=("Cc",)), min_size=6, max_size=40
).filter(lambda word: len(word.strip()) >= encodings.SHORTEST)
AROUND = st.text("ab ,:{}\"'=\n", max_size=12)


@settings(max_examples=100, deadline=None)
@given(SECRETS, st.sampled_from(list(WRITTEN)), st.sampled_from(list(WRITTEN)), AROUND, AROUND)
@example("it's &so \"odd\\", "in JSON", "in JSON", "{", "}")
@example("a+b/c d%41", "in a form", "in a URL", "?x=", "")
@example("S3cr3t/+x", "as a login of two", "in base64", "x ", "")
def test_no_known_secret_survives_in_one_encoding_over_another(
    secret: str, first: str, second: str, before: str, after: str
) -> None:
    secret = secret.strip()
    text = f"{before} {WRITTEN[second](WRITTEN[first](secret))} {after}"
    assert encodings.holds(text, [secret]) is not None  # who looks again does see it
    left = encodings.Forms([secret], lambda _: redact.GONE).replace(text)
    assert encodings.holds(redact.MARKS.sub("\n", left), [secret]) is None, left


@settings(max_examples=25, deadline=None)
@given(SECRETS, st.sampled_from(list(WRITTEN)), st.integers(0, 9), st.integers(0, 9))
def test_the_last_resort_takes_lines_away_until_nothing_is_seen(
    secret: str, way: str, above: int, below: int
) -> None:
    lines = ["~~" * above, *["harmless 1"] * above, WRITTEN[way](secret), *["harmless 2"] * below]
    left = encodings.without("\n".join(lines), [secret], "-")
    assert encodings.holds(left, [secret]) is None
    if all(encodings.holds(line, [secret]) is None for line in lines[:above]):
        assert left.count("harmless") == above + below


def test_the_last_resort_takes_what_is_only_there_over_two_lines() -> None:
    secret = "correct-horse-battery-staple"
    blob = base64.b64encode(b"user:" + secret.encode()).decode()
    left = encodings.without("\n".join(["one", blob[:20], blob[20:], "two"]), [secret], "-")
    assert encodings.holds(left, [secret]) is None
    assert left.startswith("one\n")


@pytest.mark.parametrize("word", ["", "short", "     x     "])
def test_what_is_too_short_is_not_looked_for(word: str) -> None:
    assert encodings.holds("short x and more", [word]) is None
    assert encodings.Forms([word], lambda _: "-").replace("short x and more") == "short x and more"


def test_each_part_of_a_long_word_is_looked_for() -> None:
    key = "".join(f"{number:04x}" for number in range(150))
    for cut in (key[:200], key[-200:]):
        assert encodings.holds(f"x {cut} y", [key])
        left = encodings.Forms([key], lambda _: "-").replace(f"x {cut} y")
        assert encodings.holds(left, [key]) is None
