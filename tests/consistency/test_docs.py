"""Pages that come from the code are current, and what they say can be run."""

import re
import subprocess
import sys
from pathlib import Path

from osg_site_iaas.cli.main import COMMANDS, build_parser
from osg_site_iaas.cloud.kind import Kind
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.model import Ref

ROOT = Path(__file__).parents[2]


def recipe():
    """The kind that docs/architecture.md shows, as its reader would have written it."""
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    block = re.search(r"   ```python\n(.*?)   ```\n", text, re.DOTALL).group(1)
    space = {}
    exec(compile(re.sub(r"^   ", "", block, flags=re.MULTILINE), "docs/architecture.md", "exec"), space)
    return next(value for value in space.values() if isinstance(value, type) and value.__name__ == "Role")()


def test_generated_pages_are_current():
    check = [sys.executable, str(ROOT / "scripts/generate_docs.py"), "--check"]
    found = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, "")


def test_the_recipe_for_a_kind_makes_one():
    kind = recipe()
    site = load(ROOT / "examples/complete.yml")
    assert isinstance(kind, Kind)
    assert [item.ref for item in kind.desired(site)] == [Ref("role", ("manager",)), Ref("role", ("member",))]


def test_every_command_has_a_help_that_teaches():
    for name in COMMANDS:
        commands = next(a for a in build_parser(only=name)._actions if hasattr(a, "choices") and a.choices)
        assert len(commands.choices[name].description or "") > 80, f"{name}: its help says too little"


def test_every_link_between_pages_leads_somewhere():
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
