"""The page about the door holds the table that the code makes, and every setting."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from osg_site_iaas.ec2.actions import load_actions
from osg_site_iaas.ec2.conformance import BEGIN, END, table
from osg_site_iaas.ec2.protocol.model import load_model
from osg_site_iaas.ec2.settings import Settings

PAGE = Path(__file__).parents[3] / "docs" / "ec2.md"


def test_the_table_in_the_page_is_the_one_that_the_code_makes():
    text = PAGE.read_text(encoding="utf-8")
    written = text.partition(f"{BEGIN}\n")[2].partition(f"\n{END}")[0]
    served = [name for name, action in load_actions().items() if action.service == "ec2"]
    made = table(load_model(served)).rstrip("\n")
    # What is refused grows with EC2's model, and so with the botocore that is installed.
    made_lines, written_lines = (
        [line for line in text.splitlines() if not line.startswith("- refused")] for text in (made, written)
    )
    assert made_lines == written_lines, "run `osg-site-iaas-ec2 --table` and put its output into docs/ec2.md"


def test_every_setting_is_explained():
    text = PAGE.read_text(encoding="utf-8")
    for one in fields(Settings):
        if one.name != "strict":  # for tests only
            assert f"`{one.name}`" in text, one.name
