"""What one unquoted word of YAML means, refusing what YAML 1.1 and YAML 1.2 read differently.

A site.yml is read by us, by editors (YAML 1.2) and by other tools (YAML 1.1): it must mean one thing to all.
"""

from __future__ import annotations

import re
from typing import Optional, Union

Plain = Union[str, int, bool, None]

NULLS = frozenset({"", "~", "null", "Null", "NULL"})
BOOLEANS = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# No number we read is longer; Python itself refuses to read thousands of digits.
MAX_DIGITS = 20
MAX_WORD = 80  # nobody reads a longer one as a number

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_OTHERWISE = (
    (
        re.compile(r"(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF)"),
        "{word} is true or false to some programs and a word to others",
        "Write true or false; for the word itself, put it in quotes.",
    ),
    (
        re.compile(r"[-+]?0[0-9_]+"),
        "a number that begins with a zero is octal to some programs and decimal to others",
        "Leave the zero out; for a text, put it in quotes.",
    ),
    (
        re.compile(r"[-+]?0(?:o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+)"),
        "a number in another base is a number to some programs and a text to others",
        "Write the number in decimal; for a text, put it in quotes.",
    ),
    (
        re.compile(r"[-+]?[1-9][0-9]*_[0-9_]*"),
        "a number with an underscore is a number to some programs and a text to others",
        "Leave the underscore out; for a text, put it in quotes.",
    ),
    (
        re.compile(r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"),
        "digits with colons are a number in base 60 to some programs and a text to others",
        "Put it in quotes.",
    ),
    (
        re.compile(r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?"),
        "a number with a point belongs nowhere here, and would lose its last zeros (9.10 is 9.1)",
        "Write a whole number; for a text, such as the version of a distribution, put it in quotes.",
    ),
    (
        re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"),
        "this is not a finite number",
        "Write a whole number, or `unlimited` for a quota; for a text, put it in quotes.",
    ),
)


def meaning(word: str) -> tuple[Plain, Optional[tuple[str, str]]]:
    """The value of an unquoted word, and what is wrong with it and what to do, or None.

    A word that is refused keeps its text as its value, and is not repeated: it may be half of a secret.
    """
    first = word[:1]
    if first in "0123456789+-.":
        if _INTEGER.fullmatch(word):
            if len(word) <= MAX_DIGITS:
                return int(word), None
            return word, (
                f"a number of {len(word)} digits is too long",
                "Write a number that OpenStack can hold.",
            )
    elif first not in "yYnNoOtTfF~":
        return word, None
    if word in NULLS:
        return None, None
    if word in BOOLEANS:
        return BOOLEANS[word], None
    for pattern, what, todo in _OTHERWISE:
        if len(word) <= MAX_WORD and pattern.fullmatch(word):
            return word, (what.format(word=word), todo)
    return word, None
