"""The schema: that it agrees with the model, explains itself, and means the same to every reader of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Iterator

import jsonschema
import pytest
import yaml
from declaration_values import misfit
from hypothesis import given, settings
from hypothesis import strategies as st

from osg_site_iaas.declaration import accept, fqan, model, reference, schema
from osg_site_iaas.declaration import fields as conversions
from osg_site_iaas.declaration.model import UNSET

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
FLAT = schema.flat()
ACCEPTS = accept.accepts(FLAT)
SITE = FLAT["properties"]


def entries(section: dict[str, Any]) -> dict[str, Any]:
    """The schema of one entry of a section that is a mapping of names."""
    found: dict[str, Any] = section["additionalProperties"]
    return found


VO = entries(SITE["vos"])["properties"]
NETWORK = entries(SITE["networks"])["properties"]
# A class of the model, the schema of what it is made from, and what is called otherwise in the file.
PAIRS: list[tuple[type, dict[str, Any], dict[str, str]]] = [
    (model.Site, FLAT, {}),
    (model.Identity, SITE["site"], {}),
    (model.Cloud, SITE["cloud"], {}),
    (model.Defaults, SITE["defaults"], {}),
    (model.Quota, SITE["defaults"]["properties"]["quota"], {}),
    (model.Flavour, entries(SITE["flavours"]), {}),
    (model.Network, entries(SITE["networks"]), {}),
    (model.Subnet, entries(NETWORK["subnets"]), {}),
    (model.Router, entries(SITE["routers"]), {}),
    (model.SecurityGroup, entries(SITE["security_groups"]), {}),
    (model.Rule, entries(SITE["security_groups"])["properties"]["rules"]["items"], {}),
    (model.Image, entries(SITE["images"]), {}),
    (model.IdentityProvider, entries(SITE["identity_providers"]), {}),
    (model.VO, entries(SITE["vos"]), {}),
    (model.Access, VO["access"]["items"], {}),
    (model.ServiceUser, entries(VO["service_users"]), {}),
    (model.Bucket, entries(VO["buckets"]), {"quota_bytes": "quota"}),
    (model.Accounting, SITE["accounting"], {}),
    (model.Cache, entries(SITE["caches"]), {}),
]
NOT_WRITTEN = {"at", "positions", "file", "stated"}
IDS = [pair[0].__name__ for pair in PAIRS]


def fields(kind: Any, renamed: dict[str, str]) -> dict[str, dataclasses.Field[Any]]:
    """The fields of a class that are written in the file; a name is its entry's key, except a cloud's."""
    skipped = NOT_WRITTEN if kind is model.Cloud else NOT_WRITTEN | {"name"}
    return {renamed.get(f.name, f.name): f for f in dataclasses.fields(kind) if f.name not in skipped}


@pytest.mark.parametrize("kind, described, renamed", PAIRS, ids=IDS)
def test_the_model_has_what_the_file_can_say_and_nothing_else(
    kind: Any, described: dict[str, Any], renamed: dict[str, str]
) -> None:
    assert set(fields(kind, renamed)) == set(described["properties"])


@pytest.mark.parametrize("kind, described, renamed", PAIRS, ids=IDS)
def test_defaults_are_the_same_in_the_schema_and_in_the_model(
    kind: Any, described: dict[str, Any], renamed: dict[str, str]
) -> None:
    for name, field in fields(kind, renamed).items():
        stated = described["properties"][name].get("default")
        if stated is not None:
            default = field.default
            assert (name, str(default) if isinstance(default, Path) else default) == (name, stated)
        elif field.default is not dataclasses.MISSING:
            # What the schema does not state, the model leaves open, or another part of the file decides.
            open_ = (UNSET, None, (), model.Quota(), model.Accounting(), model.Defaults())
            decided = (kind, name) in {
                (model.Access, "role"),
                (model.Access, "ec2_keys"),
                (model.ServiceUser, "role"),
            }
            assert decided or field.default in open_, (name, field.default)


def test_only_what_has_no_default_is_required() -> None:
    required = {kind.__name__: set(described.get("required", [])) for kind, described, _ in PAIRS}
    must = {
        kind.__name__: {
            name
            for name, field in fields(kind, renamed).items()
            if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        }
        for kind, _, renamed in PAIRS
    }
    must["VO"].remove("project")  # the VO's name
    assert required == must


def parts(part: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema of a property, with its path."""
    if not isinstance(part, dict):
        return
    for key in ("properties", "patternProperties"):
        for name, inner in part.get(key, {}).items():
            yield f"{path}.{name}", inner
            yield from parts(inner, f"{path}.{name}")
    for key in ("additionalProperties", "items"):
        yield from parts(part.get(key), f"{path}.*")


def test_every_property_has_a_title_a_description_and_examples() -> None:
    lacking = [
        (path, word)
        for path, part in parts(FLAT)
        for word in ("title", "description", "examples")
        if word not in part and not (word == "examples" and path.count(".") == 1)
    ]
    assert lacking == []


def test_examples_and_defaults_fit_their_own_property() -> None:
    for path, part in parts(FLAT):
        for example in [*part.get("examples", []), *([part["default"]] if "default" in part else [])]:
            jsonschema.Draft7Validator(part).validate(example)
            assert accept.accepts(part)(example), path


def test_every_pattern_has_words_for_what_does_not_fit() -> None:
    texts = [part for _, part in parts(FLAT)] + list(schema.load()["definitions"].values())
    assert [part["title"] for part in texts if "pattern" in part and "patternErrorMessage" not in part] == []


def test_beside_a_reference_stand_words_only() -> None:
    def beside(part: Any) -> Iterator[str]:
        if isinstance(part, dict):
            if "$ref" in part:
                yield from (key for key in part if key not in ("$ref", *accept.WORDS))
            for inner in part.values():
                yield from beside(inner)
        elif isinstance(part, list):
            for inner in part:
                yield from beside(inner)

    assert list(beside(schema.load())) == []


def test_it_is_a_schema_of_draft_7() -> None:
    jsonschema.Draft7Validator.check_schema(dict(schema.load()))


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_any_validator_accepts_the_examples(example: Path) -> None:
    jsonschema.Draft7Validator(schema.load()).validate(yaml.safe_load(example.read_text()))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_the_quick_yes_is_jsonschemas_yes(data: st.DataObject) -> None:
    site = misfit(data, 2)
    if "a\n" not in json.dumps(site).replace("\\n", "\n"):  # Python's $ also fits before a last newline
        assert ACCEPTS(site) == jsonschema.Draft7Validator(schema.load()).is_valid(site)


@given(
    st.text("/ab.*=-_ \n", max_size=12)
    | st.from_regex(r"(/(ab|Role=|Capability=|\*|a\*|NULL)){1,4}", fullmatch=True)
)
@settings(max_examples=200, deadline=None)
def test_an_fqan_that_fits_is_one_that_the_mapping_takes(text: str) -> None:
    described = VO["access"]["items"]["properties"]["fqan"]
    assert accept.accepts(described)(text) == (fqan.problem(text) == "")


def test_an_unknown_keyword_is_not_passed_over() -> None:
    with pytest.raises(ValueError, match="multipleOf"):
        accept.accepts({"type": "integer", "multipleOf": 3})


def test_a_long_list_with_a_double_is_no_long_wait() -> None:
    assert accept.twice([*range(200_000), True, "7", 7]) == 7


def test_the_reference_page_is_current() -> None:
    page = (EXAMPLES.parent / "docs" / "declaration.md").read_text(encoding="utf-8")
    assert page == reference.page(), "run `make docs`"


def test_the_reference_page_shows_every_property_with_its_words() -> None:
    page = reference.page()
    lacking = [path for path, part in parts(FLAT) if part["description"].replace("|", "\\|") not in page]
    assert lacking == []


def test_a_limit_is_counted_in_the_unit_that_the_schema_says() -> None:
    units = {"limit_mebibytes": 2**10, "limit_gibibytes": 1, "limit_bytes": 2**30, "limit": 2**30}
    for service in schema.load()["definitions"]["quota"]["properties"].values():
        for name, part in {**service["properties"], **service.get("patternProperties", {})}.items():
            convert = conversions.limit(name.lstrip("^").replace("(volumes|snapshots)", "volumes"))
            assert (name, convert("1 GiB")) == (name, units[part["$ref"].rpartition("/")[2]])
