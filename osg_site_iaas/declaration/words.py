"""What jsonschema found, in sentences for an administrator: what was found, and what to do."""

from __future__ import annotations

import difflib
import json
from typing import Any, Iterator, Mapping, Sequence

from osg_site_iaas.declaration.accept import twice, whole_match
from osg_site_iaas.declaration.read import Step, printable

Path = tuple[Step, ...]
Finding = tuple[Path, bool, str, str]  # path, whether its key is meant, what, what to do

_TYPES = {
    "object": "a mapping (name: value)",
    "array": "a list",
    "string": "a text",
    "integer": "a whole number",
    "boolean": "true or false",
}
_HOW = {
    "object": "Write `name: value` lines below it, further in.",
    "array": "Write the items below it, each after a hyphen, or between [ and ].",
}
_LONGEST = 60


def explain(error: Any, described: Mapping[str, Any]) -> Iterator[Finding]:
    """The findings that a ValidationError stands for; ``described`` is the schema of the value it is about."""
    path: Path = tuple(error.absolute_path)
    schema_path = list(error.absolute_schema_path)
    if len(schema_path) > 1 and schema_path[-2] == "propertyNames":
        path = (*path, error.instance)
        yield path, True, f"{shown(error.instance)} cannot be a name here", _todo(error)
        return
    if error.validator == "additionalProperties":
        yield from _unknown(error, path)
    elif error.validator == "required":
        yield from _missing(error, path, described.get("properties", {}))
    elif error.validator == "oneOf":
        yield from _who(error, path)
    elif error.validator == "dependencies":
        yield from _narrows(error, path)
    else:
        what, todo = _wrong(error)
        yield path, False, what, todo


def unusable(error: Any) -> Iterator[Path]:
    """The paths of the values that the checks which follow must not look at."""
    path: Path = tuple(error.absolute_path)
    if len(error.absolute_schema_path) > 1 and list(error.absolute_schema_path)[-2] == "propertyNames":
        yield (*path, error.instance)
    elif error.validator == "additionalProperties":
        yield from ((*path, key) for key in _unknown_keys(error))
    elif error.validator not in ("required", "uniqueItems"):
        yield path


def shown(value: object) -> str:
    """The value as a person finds it in the file, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "a list"
    text = printable(str(value))
    return f"'{text[:_LONGEST]}…'" if len(text) > _LONGEST else f"'{text}'"


def near(word: str, known: Sequence[str]) -> str:
    """The known word that this one was probably meant to be, or an empty text."""
    lowered = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word[:64].lower(), list(lowered), n=1, cutoff=0.7)
    return lowered[close[0]] if close else ""


def listed(names: Sequence[str], most: int = 12) -> str:
    """The names in a sentence."""
    text = ", ".join(names[:most])
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def _kind(value: object) -> str:
    """The kind of a value, without the value: what stands in the wrong place may be a secret."""
    if isinstance(value, str):
        return "a text"
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f"the number {value}"
    return shown(value)


def _unknown_keys(error: Any) -> list[str]:
    known, patterns = error.schema.get("properties", {}), error.schema.get("patternProperties", {})
    return [
        key
        for key in error.instance
        if key not in known and not any(whole_match(pattern).search(key) for pattern in patterns)
    ]


def _unknown(error: Any, path: Path) -> Iterator[Finding]:
    known = list(error.schema.get("properties", {}))
    for key in _unknown_keys(error):
        meant = near(key, known)
        todo = f"Did you mean {meant}?" if meant else f"Known here: {listed(known)}."
        if meant in error.instance:
            todo = f"Did you mean {meant}? It is there already: put the two together."
        yield (*path, key), True, f"{shown(key)} is not known here", todo


def _missing(error: Any, path: Path, properties: Mapping[str, Any]) -> Iterator[Finding]:
    meant = {near(key, list(properties)) for key in error.instance if key not in properties}
    for name in error.validator_value:
        if name in error.instance or name in meant:  # a slip of the pen is told as one
            continue
        described = properties.get(name, {})
        example = described.get("examples", [""])[0]
        sample = f"{name}: {example if isinstance(example, str) else json.dumps(example)}"
        about = f" ({_first_sentence(described).rstrip('.')})" if described else ""
        yield path, True, f"{name} is missing", f"Add `{sample}`{about}."


def _who(error: Any, path: Path) -> Iterator[Finding]:
    if not isinstance(error.instance, Mapping):
        return  # told already
    names = [part["required"][0] for part in error.validator_value]
    given = [name for name in names if name in error.instance]
    if given:
        yield path, True, f"one line gives {' and '.join(given)}", "Write a line of its own for each."
    elif not any(key not in error.schema["properties"] for key in error.instance):
        yield path, True, "the line does not say whom it lets in", f"Give it one of {listed(names)}."


def _narrows(error: Any, path: Path) -> Iterator[Finding]:
    for name, needed in error.validator_value.items():
        if name in error.instance and any(other not in error.instance for other in needed):
            yield (
                (*path, name),
                True,
                f"{name} narrows an issuer, and the line has none",
                f"Add {listed(needed)}.",
            )


def _wrong(error: Any) -> tuple[str, str]:
    secret = error.schema.get("writeOnly", False)
    value, wanted = error.instance, error.validator_value
    if error.validator == "type":
        kinds = [wanted] if isinstance(wanted, str) else [kind for kind in wanted if kind != "null"]
        expected = " or ".join(_TYPES.get(kind, kind) for kind in kinds)
        found = "something else" if secret else _kind(value)
        return f"should be {expected}, not {found}", _HOW.get(kinds[0]) or _todo(error)
    if error.validator == "enum":
        meant = near(value, wanted) if isinstance(value, str) else ""
        hint = f"Did you mean {meant}?" if meant else _first_sentence(error.schema)
        return f"{shown(value)} is not one of {listed(wanted)}", hint
    if error.validator == "const":
        return f"should be {wanted}, not {shown(value)}", f"Write {wanted}."
    if error.validator == "pattern":
        if secret:
            return "this is not a place where a secret is kept", _todo(error)
        return f"{shown(value)} is not {error.schema.get('kind', 'in the right form')}", _todo(error)
    if error.validator in ("minimum", "maximum"):
        limit = "least" if error.validator == "minimum" else "most"
        return f"{value} is out of bounds", f"Write {wanted} at {limit}."
    if error.validator in ("maxLength", "minLength"):
        if error.validator == "minLength":
            return "the text is empty", "Write something, or leave the line out."
        return f"the text has {len(value)} characters, {wanted} at most are allowed", "Shorten it."
    if error.validator == "uniqueItems":
        return f"{shown(twice(value))} is in the list twice", "Remove one."
    if error.validator in ("minItems", "maxItems"):
        limit = "least" if error.validator == "minItems" else "most"
        return f"the list has {len(value)} items", f"Give {wanted} at {limit}."
    return "this is not in the right form", _todo(error)


def _todo(error: Any) -> str:
    message = error.schema.get("patternErrorMessage")
    if message:
        return str(message)
    examples = error.schema.get("examples")
    if examples and isinstance(examples[0], (str, int)):
        return f"Write it like this: {' or '.join(shown(example).strip(chr(39)) for example in examples)}."
    return _first_sentence(error.schema)


def _first_sentence(described: Mapping[str, Any]) -> str:
    return f"{described.get('description', '').partition('. ')[0].rstrip('.')}."
