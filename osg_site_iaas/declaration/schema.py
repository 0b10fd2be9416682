"""The shape of site.yml: schema-v1.json, its one source, and what a document says that does not fit it."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, Iterable, Iterator, Mapping, Optional

from osg_site_iaas.declaration import accept, words
from osg_site_iaas.declaration.read import MAX_PROBLEMS, Document, Step, too_many
from osg_site_iaas.errors import Problem

VERSION = 1
PATH = Path(__file__).with_name(f"schema-v{VERSION}.json")

Schema = Mapping[str, Any]


@functools.cache
def load() -> Schema:
    """The schema as it is written."""
    loaded: Schema = json.loads(PATH.read_text(encoding="utf-8"))
    return loaded


@functools.cache
def flat() -> Schema:
    """The schema with every ``$ref`` replaced by what it names: quicker, and alike for every jsonschema."""
    definitions = load()["definitions"]

    def flatten(part: Any) -> Any:
        if isinstance(part, list):
            return [flatten(item) for item in part]
        if not isinstance(part, dict):
            return part
        whole = {key: flatten(value) for key, value in part.items() if key not in ("$ref", "definitions")}
        if "$ref" in part:
            whole = {**flatten(definitions[part["$ref"].rpartition("/")[2]]), **whole}
        return whole

    whole: Schema = flatten(load())
    return whole


@functools.cache
def _accept() -> accept.Accept:
    return accept.accepts(flat())


@functools.cache
def _validator() -> Any:
    # Imported late: a declaration in order never needs it.
    from jsonschema import Draft7Validator, ValidationError, validators

    extend: Any = validators.extend  # untyped in some releases

    def pattern(_: Any, wanted: str, instance: Any, __: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not accept.whole_match(wanted).search(instance):
            yield ValidationError("pattern")

    def unique(_: Any, wanted: bool, instance: Any, __: Any) -> Iterator[Any]:
        # jsonschema compares every pair of a mixed list, which a long one would make last for hours.
        if wanted and isinstance(instance, list) and accept.twice(instance) is not None:
            yield ValidationError("uniqueItems")

    return extend(Draft7Validator, {"pattern": pattern, "uniqueItems": unique})(flat())


def problems(document: Document) -> tuple[list[Problem], list[tuple[Step, ...]]]:
    """What does not fit the schema, in words, and the paths of the values that cannot be used further.

    With more than MAX_PROBLEMS the list ends early, and nothing can be used further.
    """
    if _accept()(document.data):
        return [], []
    found: dict[Problem, None] = {}  # without repetition: one value can break several rules in the same words
    unusable: list[tuple[Step, ...]] = []
    for error in _validator().iter_errors(document.data):
        for path, key, what, todo in words.explain(error, at(error.absolute_path) or {}):
            if document.place(path, key=key) in document.refused:
                continue  # it is a problem already, for a better reason
            found[document.problem(path, what, todo, key=key)] = None
            if len(found) >= MAX_PROBLEMS:
                return [*found, too_many(document.file)], [()]
        unusable.extend(words.unusable(error))
    return list(found), unusable


def at(path: Iterable[Step]) -> Optional[Schema]:
    """The part of the schema that describes a path of a declaration, or None."""
    part: Optional[Schema] = flat()
    for step in path:
        if part is None:
            return None
        if isinstance(step, int):
            part = part.get("items")
            continue
        part = (
            part.get("properties", {}).get(step)
            or _by_pattern(part, step)
            or part.get("additionalProperties")
            or None
        )
    return part


def _by_pattern(part: Schema, key: str) -> Optional[Schema]:
    for pattern, described in part.get("patternProperties", {}).items():
        if accept.whole_match(pattern).search(key):
            chosen: Schema = described
            return chosen
    return None
