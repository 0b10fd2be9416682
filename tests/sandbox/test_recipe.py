"""The recipe of docs/architecture.md for adding a kind works on the real thing."""

import sys
import uuid
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "consistency"))
from test_docs import recipe

from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.cloud.kind import Ids, Work
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.diff import diff

pytestmark = pytest.mark.sandbox


def test_a_kind_written_by_the_recipe_creates_what_is_missing_and_then_has_nothing_to_do(
    cloud, tmp_path, monkeypatch
):
    role = f"recipe-{uuid.uuid4().hex[:8]}"
    file = tmp_path / "site.yml"
    file.write_text(
        "version: 1\nsite: {resource: Recipe, fqdn: cloud.example.org}\ncloud: {name: sandbox, domain: recipe}\n"
        f"vos:\n  cms:\n    access:\n      - {{fqan: /cms/*, role: {role}}}\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(cloud.clouds_yaml))
    site = load(file)
    kind = recipe()
    session = connect("sandbox")

    def plan():
        with Reader(session, site) as reader:
            return diff(list(kind.desired(site)), list(kind.observe(reader)), {"role": kind.rule})

    (change,) = plan().changes
    made = kind.create(Work(session, site, Ids(), {}), change)
    try:
        assert plan().changes == ()
    finally:
        session.request("DELETE", "identity", f"/roles/{made}")
