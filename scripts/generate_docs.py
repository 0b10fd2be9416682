"""Writes the pages, and the parts of pages, that come from the code. With --check, says which are not current.

A page's generator is a function from the text that is there to the text that should be.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Callable

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def between(text: str, name: str, body: str) -> str:
    """The text with what stands between a page's markers replaced."""
    begin, end = f"<!-- {name}: begin (written by `make docs`) -->\n", f"<!-- {name}: end -->"
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    return f"{head}{begin}{body}{end}{tail}"


def kinds(text: str) -> str:
    from osg_site_iaas.cloud.kinds import KINDS

    rows = ["| kind | service | it is ours if | no longer declared |", "|---|---|---|---|"]
    for kind in KINDS:
        stage = ", disabled first" if kind.rule.disable else ""
        rows.append(f"| {kind.name} | {kind.service} | {kind.ownership} | {kind.rule.removal.value}{stage} |")
    return between(text, "kinds", "\n".join(rows) + "\n")


def declaration(_text: str) -> str:
    from osg_site_iaas.declaration.reference import page

    return page()


def arguments(role: str) -> Callable[[str], str]:
    """The table of a role's arguments, from its argument_specs."""

    def generate(text: str) -> str:
        import yaml

        specs = yaml.safe_load(
            (ROOT / "roles" / role / "meta/argument_specs.yml").read_text(encoding="utf-8")
        )
        rows = ["| variable | type | default | meaning |", "|---|---|---|---|"]
        for name, option in specs["argument_specs"]["main"]["options"].items():
            kind = option["type"] if "elements" not in option else f"list of {option['elements']}"
            default = "**required**" if option.get("required") else ""
            if "default" in option:
                value = option["default"]
                default = f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"
            choices = f" One of {', '.join(option['choices'])}." if "choices" in option else ""
            meaning = re.sub(r"[COV]\(([^)]*)\)", r"`\1`", " ".join(option["description"].split()))
            rows.append(f"| `{name}` | {kind} | {default} | {meaning}{choices} |".replace("  ", " "))
        return between(text, "arguments", "\n".join(rows) + "\n")

    return generate


PAGES: dict[str, Callable[[str], str]] = {
    "docs/architecture.md": kinds,
    "docs/declaration.md": declaration,
    **{
        f"roles/{folder.name}/README.md": arguments(folder.name)
        for folder in sorted((ROOT / "roles").iterdir())
    },
}


def main() -> int:
    stale = []
    for name, generate in PAGES.items():
        path = ROOT / name
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        after = generate(before)
        if after != before:
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(after, encoding="utf-8")
    if stale:
        print(("not current, run `make docs`: " if "--check" in sys.argv else "written: ") + ", ".join(stale))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
