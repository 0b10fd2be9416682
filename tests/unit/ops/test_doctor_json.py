"""The answer in JSON that docs/watching.md promises to programs."""

from __future__ import annotations

import json

import pytest

from osg_site_iaas.cli.main import main
from osg_site_iaas.ops import doctor


def test_the_answer_has_the_names_that_the_page_promises(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "/nope/site.yml", "--etc", "/nope", "--json"]) == 2
    told = json.loads(capsys.readouterr().out)
    assert set(told) == {"site", "results"}
    assert [one["check"] for one in told["results"]] == list(doctor.TABLE)
    for one in told["results"]:
        assert set(one) == {"check", "state", "said", "findings"}
        assert one["state"] in {"ok", "found", "skipped", "unknown"}
        assert all(set(finding) == {"what", "todo", "where"} for finding in one["findings"])
    (declaration,) = (one for one in told["results"] if one["check"] == "declaration")
    assert declaration["findings"][0]["where"] == "/nope/site.yml"
