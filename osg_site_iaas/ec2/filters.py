"""EC2's filters and paging, for every Describe call alike."""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, Callable, Iterable, Mapping, Optional, Sequence, TypeVar, Union

from osg_site_iaas.ec2.errors import Ec2Error, combination, invalid_value

MAX_FILTERS = 50
MAX_VALUES = 200

T = TypeVar("T")
Value = Union[str, int, bool, None]
Reader = Callable[[Any], Union[Value, Iterable[Value]]]
Table = Mapping[str, Reader]


def _pattern(value: str) -> re.Pattern[str]:
    out, escaped = [], False
    for character in value:
        if escaped:
            out.append(re.escape(character))
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "*":
            out.append(".*")
        elif character == "?":
            out.append(".")
        else:
            out.append(re.escape(character))
    # Python's re backtracks: runs of stars, the costly case, are one star.
    text = re.sub(r"(?:\.\*)+", ".*", "".join(out))
    if text.count(".*") > 8:
        raise invalid_value("Filter", value[:100], "Too many wildcards")
    return re.compile(f"{text}\\Z", re.DOTALL)


def _matcher(values: Sequence[str]) -> Callable[[str], bool]:
    plain = {value for value in values if not set(value) & set("*?\\")}
    patterns = [_pattern(value) for value in values if value not in plain]
    return lambda text: text in plain or any(pattern.match(text) for pattern in patterns)


def _texts(found: Union[Value, Iterable[Value]]) -> list[str]:
    if found is None:
        return []
    many = [found] if isinstance(found, (str, int, bool)) else list(found)
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in many if one is not None]


def given_filters(parameters: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """(name, values) of the request's filters, checked in form."""
    filters = []
    for one in parameters.get("Filters") or ():
        name, values = one.get("Name"), one.get("Values") or []
        if not name:
            raise invalid_value("Filter", "", "A filter without a name")
        if not values:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name[:100]}' has no value")
        if len(values) > MAX_VALUES:
            raise Ec2Error("FilterLimitExceeded", f"The maximum number of filter values is {MAX_VALUES}")
        filters.append((name, values))
    if len(filters) > MAX_FILTERS:
        raise Ec2Error("FilterLimitExceeded", f"The maximum number of filters is {MAX_FILTERS}")
    return filters


def compile_filters(
    parameters: Mapping[str, Any], table: Table, tags: Optional[Callable[[Any], Mapping[str, str]]] = None
) -> Callable[[Any], bool]:
    """Whether an element passes all the request's filters. A filter that is not in ``table`` is an error."""
    checks: list[tuple[Reader, Callable[[str], bool]]] = []
    for name, values in given_filters(parameters):
        reader = table.get(name)
        if reader is None and tags is not None:
            reader = _tag_reader(name, tags)
        if reader is None:
            raise Ec2Error("InvalidParameterValue", f"The filter '{name[:100]}' is invalid")
        checks.append((reader, _matcher(values)))

    def passes(element: Any) -> bool:
        return all(any(match(text) for text in _texts(reader(element))) for reader, match in checks)

    return passes


def _tag_reader(name: str, tags: Callable[[Any], Mapping[str, str]]) -> Optional[Reader]:
    if name == "tag-key":
        return lambda element: list(tags(element))
    if name == "tag-value":
        return lambda element: list(tags(element).values())
    if name.startswith("tag:"):
        key = name[4:]
        return lambda element: tags(element).get(key)
    return None


def page(
    parameters: Mapping[str, Any], elements: Sequence[T], identity: Callable[[T], str], *, floor: int = 5
) -> tuple[Sequence[T], Optional[str]]:
    """The asked page of ``elements``, which have an order that does not change, and the next token."""
    limit, token = parameters.get("MaxResults"), parameters.get("NextToken")
    if limit is not None and not floor <= limit <= 1000:
        raise Ec2Error(
            "InvalidParameterValue",
            f"Value ( {limit} ) for parameter maxResults is invalid. Expecting a value from {floor} to 1000.",
        )
    start = 0
    if token:
        after = _read_token(token)
        start = next((at for at, one in enumerate(elements) if identity(one) > after), len(elements))
    if limit is None:
        return elements[start:], None
    chosen = elements[start : start + limit]
    more = start + limit < len(elements)
    return chosen, _write_token(identity(chosen[-1])) if more else None


def _write_token(last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"after": last}).encode()).decode("ascii")


def _read_token(token: str) -> str:
    try:
        after = json.loads(base64.urlsafe_b64decode(token.encode()))["after"]
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise Ec2Error("InvalidNextToken", "The NextToken is not one that this call has given") from None
    if not isinstance(after, str):
        raise Ec2Error("InvalidNextToken", "The NextToken is not one that this call has given")
    return after


def no_paging_with_ids(parameters: Mapping[str, Any], ids: str) -> None:
    """EC2 refuses a page of a list of ids."""
    if parameters.get("MaxResults") is not None and parameters.get(ids):
        raise combination(f"The parameter {ids} cannot be used with the parameter MaxResults")
