"""A quick yes: whether data fits a schema, and nothing about why not.

jsonschema says why, and takes three times as long as reading the YAML did; a declaration in order, which is
nearly every one that is loaded, needs none of that. Tests hold the two to the same answer.
"""

from __future__ import annotations

import re
from typing import Any, Callable, Mapping

Accept = Callable[[Any], bool]

_TYPES: dict[str, Accept] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
# What a keyword speaks of; it says nothing about a value of another type.
_OF_OBJECTS = ("required", "dependencies", "propertyNames")
_OF_TEXTS = ("minLength", "maxLength", "pattern")
_OF_NUMBERS = ("minimum", "maximum")
_OF_LISTS = ("items", "minItems", "maxItems", "uniqueItems")
_PROPERTIES = ("properties", "patternProperties", "additionalProperties")
_OF_ALL = ("type", "enum", "const", "oneOf", "if", "then")
WORDS = (
    "$schema",
    "$id",
    "title",
    "description",
    "default",
    "examples",
    "kind",
    "patternErrorMessage",
    "writeOnly",
)
KEYWORDS = (*_OF_OBJECTS, *_OF_TEXTS, *_OF_NUMBERS, *_OF_LISTS, *_PROPERTIES, *_OF_ALL, *WORDS)


def accepts(schema: Mapping[str, Any]) -> Accept:
    """A function that is true of what fits the schema, for the keywords in KEYWORDS; ValueError for others."""
    unknown = sorted(set(schema) - set(KEYWORDS))
    if unknown:
        raise ValueError(f"keywords that are not known here: {', '.join(unknown)}")
    always = [_always(name, schema) for name in _OF_ALL if name in schema and name != "then"]
    by_type: dict[type, list[Accept]] = {
        dict: [_of_objects(name, schema[name]) for name in _OF_OBJECTS if name in schema],
        str: [_of_texts(name, schema[name]) for name in _OF_TEXTS if name in schema],
        int: [_of_numbers(name, schema[name]) for name in _OF_NUMBERS if name in schema],
        list: [_of_lists(name, schema[name]) for name in _OF_LISTS if name in schema],
    }
    if any(name in schema for name in _PROPERTIES):
        by_type[dict].append(_properties(schema))
    return _all(always, {kind: checks for kind, checks in by_type.items() if checks})


def _all(always: list[Accept], by_type: dict[type, list[Accept]]) -> Accept:
    def accept(value: Any) -> bool:
        for check in always:
            if not check(value):
                return False
        if isinstance(value, bool):
            return True
        for kind, checks in by_type.items():
            if isinstance(value, kind):
                return all(check(value) for check in checks)
        return True

    return accept


def _always(name: str, schema: Mapping[str, Any]) -> Accept:
    wanted = schema[name]
    if name == "type":
        kinds = [_TYPES[kind] for kind in ([wanted] if isinstance(wanted, str) else wanted)]
        return kinds[0] if len(kinds) == 1 else lambda value: any(kind(value) for kind in kinds)
    if name == "enum":
        return lambda value: isinstance(value, str) and value in wanted
    if name == "const":
        return lambda value: type(value) is type(wanted) and value == wanted
    if name == "oneOf":
        choices = [accepts(choice) for choice in wanted]
        return lambda value: sum(choice(value) for choice in choices) == 1
    condition, then = accepts(wanted), accepts(schema["then"])
    return lambda value: not condition(value) or then(value)


def _of_objects(name: str, wanted: Any) -> Accept:
    if name == "required":
        return lambda value: all(key in value for key in wanted)
    if name == "dependencies":
        return lambda value: all(
            other in value for key, others in wanted.items() if key in value for other in others
        )
    fits = accepts(wanted)
    return lambda value: all(fits(key) for key in value)


def _properties(schema: Mapping[str, Any]) -> Accept:
    known = {key: accepts(part) for key, part in schema.get("properties", {}).items()}
    patterns = [
        (whole_match(pattern), accepts(part)) for pattern, part in schema.get("patternProperties", {}).items()
    ]
    other = schema.get("additionalProperties", True)
    rest: Accept = accepts(other) if isinstance(other, dict) else lambda _: bool(other)

    def accept(value: Any) -> bool:
        for key, item in value.items():
            check = known.get(key)
            if check is None:
                checks = [fits for pattern, fits in patterns if pattern.search(key)] or [rest]
                if not all(fits(item) for fits in checks):
                    return False
            elif not check(item):
                return False
        return True

    return accept


def _of_texts(name: str, wanted: Any) -> Accept:
    if name == "pattern":
        search = whole_match(wanted).search
        return lambda value: search(value) is not None
    if name == "minLength":
        return lambda value: len(value) >= wanted
    return lambda value: len(value) <= wanted


def _of_numbers(name: str, wanted: Any) -> Accept:
    return (lambda value: value >= wanted) if name == "minimum" else (lambda value: value <= wanted)


def _of_lists(name: str, wanted: Any) -> Accept:
    if name == "items":
        fits = accepts(wanted)
        return lambda value: all(fits(item) for item in value)
    if name == "minItems":
        return lambda value: len(value) >= wanted
    if name == "maxItems":
        return lambda value: len(value) <= wanted
    return lambda value: twice(value) is None


def twice(items: list[Any]) -> Any:
    """The first text or number that is in the list a second time, or None; in time linear in its length."""
    seen = set()
    for item in items:
        if isinstance(item, (str, int)):
            mark = (type(item), item)
            if mark in seen:
                return item
            seen.add(mark)
    return None


def whole_match(pattern: str) -> re.Pattern[str]:
    """The pattern as ECMA reads it: Python's ``$`` would also fit before a last newline."""
    return re.compile(re.sub(r"\$(?=\)|\Z)", r"\\Z", pattern))
