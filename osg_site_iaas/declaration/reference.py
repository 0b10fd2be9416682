"""The reference page of site.yml, made from its schema: ``python -m osg_site_iaas.declaration.reference``."""

from __future__ import annotations

import sys
from typing import Any, Iterator, Mapping

import yaml

from osg_site_iaas.declaration import migrate, schema

Part = Mapping[str, Any]

_TOP = """\
# site.yml

*Written from `osg_site_iaas/declaration/schema-v{version}.json` by `make docs`: change the schema, not this page.*

{description}

[examples/minimal.yml](../examples/minimal.yml) is the least that makes a site, and
[examples/complete.yml](../examples/complete.yml) shows every section. Only what is marked **required** must be
said; a VO needs three lines. What is not said is not managed, or has the default that the tables state.

```
osg-site-iaas check site.yml
```

reports everything that is wrong at once, each with file, line, column and what to do. A *problem* is certain:
OpenStack would refuse it, or it would do something else than it says; the exit code is then 2, and no other
command takes the file. A *warning* is what was probably not meant, and the file stays usable (`--strict` lets
warnings count). `--json` prints the same for a program.

## In an editor

`osg-site-iaas check --schema` prints where the JSON Schema is on this machine. An editor with the YAML language
server (VS Code with its YAML extension, Neovim, Emacs, Kate) completes keys, shows these descriptions and
underlines mistakes if the first line of site.yml names that path:

```yaml
# yaml-language-server: $schema=/usr/lib/python3.9/site-packages/osg_site_iaas/declaration/schema-v{version}.json
```

## How YAML is read

* The file is UTF-8, one document, at most 8 MiB.
* Words that YAML 1.1 and YAML 1.2 read differently are refused, so that the file means the same to every
  program: `yes`, `no`, `on` and `off`, numbers that begin with a zero or hold a point or an underscore, `12:30`.
  Write `true` or `false`, or put the word in quotes.
* A key that is there twice is refused. Anchors, aliases and `<<` are understood; tags (`!…`) are not.
* A section or an entry with nothing in it (`vos:` and no more) is an empty one.
* Relative paths start from the folder of site.yml.

## Kinds of values

| kind | what may be written |
|---|---|
"""

_BOTTOM = """\
## Older files

`osg-site-iaas migrate site.yml` prints the file in today's format, `--diff` what would change, and `--in-place`
replaces it and keeps the old one beside it (`site.yml.v0`). Comments and layout stay. Where the layout does not
allow that (a list of VOs behind an alias, say), the file is written anew without them, and the command says so.
A file that is newer than the software is refused.

| from version | what it was |
|---|---|
"""

_KINDS = (
    "text",
    "words",
    "name",
    "keystone_name",
    "vo_name",
    "bucket_name",
    "fqdn",
    "role",
    "mebibytes",
    "gibibytes",
    "limit",
    "limit_mebibytes",
    "limit_gibibytes",
    "limit_bytes",
    "secret",
    "properties",
    "options",
)
_TYPES = {
    "string": "text",
    "integer": "number",
    "boolean": "true or false",
    "object": "mapping",
    "array": "list",
}
_APART = ("quota",)  # shown once, wherever it may stand


def page() -> str:
    """The whole page, in Markdown."""
    whole = schema.load()
    lines = [_TOP.format(version=schema.VERSION, description=whole["description"]).rstrip("\n")]
    lines += [f"| {kind} | {what} |" for kind, what in _kinds(whole)]
    for name, part in whole["properties"].items():
        lines += _section(name, part)
    lines += _quota(whole["definitions"]["quota"])
    lines += ["", _BOTTOM.rstrip("\n")]
    lines += [f"| {version} | {_words(step.__doc__ or '')} |" for version, step in migrate.MIGRATIONS.items()]
    return "\n".join(lines) + "\n"


def _kinds(whole: Part) -> Iterator[tuple[str, str]]:
    """Title and description of each kind of value; kinds that share a title are one row."""
    rows: dict[str, str] = {}
    for name in _KINDS:
        described = whole["definitions"][name]
        title = (
            described["kind"].partition(" ")[2]
            if "name" in name and "kind" in described
            else described["title"]
        )
        rows.setdefault(title, described["description"])
    yield from rows.items()


def _section(name: str, part: Part) -> list[str]:
    if "properties" not in part and "additionalProperties" not in part:
        return [
            "",
            f"## {name}",
            "",
            f"{part['title']}: {part['description']}",
            "",
            f"Required: `{name}: 1`.",
        ]
    return ["", f"## {name}", "", f"{part['title']}. {part['description']}", *_tables(name, part)]


def _tables(path: str, part: Part) -> list[str]:
    """The table of a mapping's keys, then those of the mappings inside it, each under its path."""
    entry = part.get("additionalProperties")
    if isinstance(entry, dict):
        return [*_table(f"{path}.NAME", entry), *_inner(f"{path}.NAME", entry)]
    return [*_table(path, part), *_inner(path, part)]


def _table(path: str, part: Part) -> list[str]:
    if "properties" not in part:
        return []
    lines = ["", f"`{path}`", "", "| key | value | default | meaning | example |", "|---|---|---|---|---|"]
    for key, described in [*part["properties"].items(), *part.get("patternProperties", {}).items()]:
        needed = key in part.get("required", ())
        lines.append(_row(key, described, needed))
    return lines


def _row(key: str, described: Part, needed: bool) -> str:
    key = key.strip("^$").replace("[^\\s]+", "TYPE")
    default = "**required**" if needed else _flow(described["default"]) if "default" in described else ""
    example = _flow(described["examples"][0]) if described.get("examples") else ""
    cells = (f"`{key}`", _kind(described), default, described["description"], example)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _inner(path: str, part: Part) -> list[str]:
    lines = []
    for key, described in part.get("properties", {}).items():
        resolved = _resolved(described)
        if _name(described) in _APART:
            continue
        if "items" in resolved:
            item = _resolved(resolved["items"])
            if "properties" in item:
                lines += ["", f"### {item['title']}", "", str(item["description"])]
                lines += _table(f"{path}.{key}[]", item)
        elif "properties" in resolved or "properties" in _entry(resolved):
            shown = _entry(resolved) or resolved
            lines += ["", f"### {shown['title']}", "", str(shown["description"])]
            lines += _tables(f"{path}.{key}", resolved)
    return lines


def _quota(part: Part) -> list[str]:
    lines = [
        "",
        "## Quota",
        "",
        str(part["description"]),
        "",
        "It may stand under `defaults` and under each VO.",
    ]
    for name, service in part["properties"].items():
        lines += [
            "",
            f"### {service['title']}",
            "",
            str(service["description"]),
            *_table(f"quota.{name}", service),
        ]
    return lines


def _kind(described: Part) -> str:
    """What kind of value a property takes, in a few words."""
    name = _name(described)
    if name in _APART:
        return f"[{name}](#{name})"
    resolved = _resolved(described)
    if "enum" in resolved:
        return ", ".join(f"`{choice}`" for choice in resolved["enum"])
    if "const" in resolved:
        return f"`{resolved['const']}`"
    if "items" in resolved:
        item = _resolved(resolved["items"])
        return f"list of {'entries' if 'properties' in item else str(item['title']) + 's'}"
    if "properties" in _entry(resolved):
        return "entries, by name"
    if name:
        return str(schema.load()["definitions"][name]["title"])
    if "kind" in resolved:
        return str(resolved["kind"].partition(" ")[2])
    types = resolved["type"]
    kinds = [types] if isinstance(types, str) else [kind for kind in types if kind != "null"]
    return " or ".join(_TYPES[kind] for kind in kinds)


def _name(described: Part) -> str:
    return str(described.get("$ref", "")).rpartition("/")[2]


def _resolved(described: Part) -> Part:
    name = _name(described)
    return {**schema.load()["definitions"][name], **described} if name else described


def _entry(part: Part) -> Part:
    entry = part.get("additionalProperties")
    return entry if isinstance(entry, dict) else {}


def _flow(value: Any) -> str:
    """A value as it is written in YAML, on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=10_000)
    return f"`{text.replace(chr(10) + '...', '').strip()}`"


def _words(docstring: str) -> str:
    return " ".join(docstring.split()).replace("``", "`")


if __name__ == "__main__":
    sys.stdout.write(page())
