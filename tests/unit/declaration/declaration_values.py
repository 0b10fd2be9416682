"""Declarations with values of any kind in places where they may not belong."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Iterator

import yaml
from hypothesis import strategies as st

COMPLETE = (Path(__file__).resolve().parents[3] / "examples" / "complete.yml").read_text()
_DATA = yaml.safe_load(COMPLETE)

WORDS = st.sampled_from(
    [
        "",
        "cms",
        "member",
        "/cms/*",
        "40 GiB",
        "unlimited",
        "x509",
        "token",
        "10.0.0.0/8",
        "file:a",
        "a\n",
        "name",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 2**33), WORDS, st.text(max_size=5))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=3)),
    max_leaves=5,
)


def misfit(data: st.DataObject, most: int) -> Any:
    """The complete example with up to so many values replaced, removed or added."""
    site = copy.deepcopy(_DATA)
    for _ in range(data.draw(st.integers(1, most))):
        places = list(_places(site))
        if not places:
            break
        container, key = places[data.draw(st.integers(0, len(places) - 1))]
        how = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if how == "remove":
            del container[key]
        elif how == "add" and isinstance(container, dict):
            container[data.draw(WORDS)] = data.draw(VALUES)
        else:
            container[key] = data.draw(VALUES)
    return site


def _places(data: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of the data with each of its keys or indices."""
    for key in data if isinstance(data, dict) else range(len(data)) if isinstance(data, list) else ():
        yield data, key
        yield from _places(data[key])
