"""The collector's door answers as the real one was seen to answer."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from osg_site_iaas.sandbox.collector.protocol import FORM_LIMIT, Reply, answer, form

REPLIES = json.loads((Path(__file__).parents[2] / "cases/accounting/collector/replies.json").read_text())


@pytest.mark.parametrize("case", REPLIES, ids=[case["case"] for case in REPLIES])
def test_reply(case: dict[str, object]) -> None:
    reply = answer(form(urlencode(case["form"]).encode()))  # type: ignore[arg-type]
    expected = (case["status"], case["text"], case.get("records", 0), case.get("unknown", 0))
    assert (reply.status, reply.text, len(reply.records), reply.unknown) == expected


def test_a_form_beyond_ten_megabytes_has_no_fields_at_all() -> None:
    body = urlencode({"command": "multiupdate", "from": "p", "arg1": "<RecordEnvelope/>"}).encode()
    padded = body + b"&x=" + b"y" * (FORM_LIMIT - len(body) - 3)
    assert answer(form(padded)) == Reply(200, "OK")
    assert answer(form(padded + b"y")).text == 'Error handling request: missing key "command"'


def test_a_form_in_the_url_is_read_too() -> None:
    assert answer(form(b"", "command=update&arg1=xxx&from=p")).text == "OK"
