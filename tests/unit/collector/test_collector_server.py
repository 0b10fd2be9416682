"""The collector over a real connection: what it counts, and its faults."""

from __future__ import annotations

import http.client
import json
from pathlib import Path
from typing import Iterator
from urllib.parse import urlencode

import pytest

from osg_site_iaas.sandbox.collector.server import Collector

RECORD = """<JobUsageRecord><JobIdentity><GlobalJobId>{job}</GlobalJobId></JobIdentity>
<UserIdentity><VOName>/cms/Role=NULL</VOName><ReportableVOName>{vo}</ReportableVOName></UserIdentity>
<StartTime>2026-11-22T06:00:00Z</StartTime><EndTime>{end}</EndTime><WallDuration>PT1H</WallDuration>
<Processors>4</Processors><Njobs>1</Njobs></JobUsageRecord>"""


def record(job: str = "a", vo: str = "cms", end: str = "2026-11-22T07:00:00Z") -> str:
    return RECORD.format(job=job, vo=vo, end=end)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with Collector(tmp_path, idle=1) as running:
        yield running


def post(collector: Collector, *records: str, path: str = "/gratia-servlets/rmi") -> tuple[int, str]:
    arg1 = f"<RecordEnvelope>{''.join(records)}</RecordEnvelope>"
    form = urlencode({"command": "multiupdate", "arg1": arg1, "from": "p"})
    return ask(collector, "POST", path, form)


def ask(collector: Collector, method: str, path: str, body: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def query(collector: Collector, path: str) -> object:
    return json.loads(ask(collector, "GET", path)[1])


def test_core_hours_by_day_and_vo(collector: Collector) -> None:
    assert post(collector, record("a"), record("b"), record("c", vo="icecube")) == (200, "OK")
    assert post(collector, record("d", end="2026-11-23T00:00:00Z"))[0] == 200
    rows = [(row["day"], row["vo"], row["core_hours"]) for row in collector.store.summary()]
    assert rows == [("2026-11-22", "cms", 8.0), ("2026-11-22", "icecube", 4.0), ("2026-11-23", "cms", 4.0)]
    assert query(collector, "/query/summary") == collector.store.summary()


def test_the_same_content_again_is_one_record(collector: Collector) -> None:
    post(collector, record("a"), record("a"))
    post(collector, record("a", vo="icecube"))
    assert collector.store.totals() == {"documents": 1, "arrivals": 3, "core_hours": 4.0, "quarantined": 0}
    assert [row["vo"] for row in collector.store.summary()] == ["icecube"]
    assert collector.store.duplicates() == []


def test_other_content_under_the_same_job_is_counted_twice_and_shown(collector: Collector) -> None:
    post(collector, record("a"), record("a", end="2026-11-22T07:00:01Z"))
    assert query(collector, "/query/duplicates") == [{"job": "a", "documents": 2, "core_hours": 8.0}]


def test_a_bundle_with_one_bad_record_leaves_nothing(collector: Collector) -> None:
    assert post(collector, record("a"), record("b", end="tomorrow"))[0] == 400
    assert collector.store.totals()["documents"] == 0


def test_records_survive_a_restart(tmp_path: Path) -> None:
    with Collector(tmp_path) as first:
        post(first, record("a"))
    with Collector(tmp_path) as second:
        (row,) = second.store.records(job="a")
    assert row["fields"]["Processors"] == 4  # type: ignore[index]


def test_the_counters_are_those_of_gracc(collector: Collector) -> None:
    post(collector, record("a"), "<ProbeDetails/>")
    post(collector, "<")
    assert query(collector, "/stats") == {"Records": 2, "RecordErrors": 1, "Requests": 2, "RequestErrors": 1}
    assert "gracc_record_errors_total 1" in ask(collector, "GET", "/metrics")[1]


def test_the_page_shows_text_as_text(collector: Collector) -> None:
    post(collector, record("&lt;script&gt;"))
    status, html = ask(collector, "GET", "/")
    assert status == 200
    assert "&lt;script&gt;" in html
    assert "<script>" not in html


@pytest.mark.parametrize(
    "kind, status, text, kept",
    [
        ("unavailable", 503, "Service unavailable right now", 0),
        ("html", 200, "Error report", 0),
        ("error", 200, "Error", 0),
        ("poison", 400, "error unmarshalling xml", 0),
        ("slow", 200, "OK", 1),
    ],
)
def test_a_fault_that_answers(collector: Collector, kind: str, status: int, text: str, kept: int) -> None:
    assert ask(collector, "POST", "/faults", json.dumps({"kind": kind, "count": 1}))[0] == 200
    got_status, got_text = post(collector, record("a"))
    assert got_status == status
    assert text in got_text
    assert collector.store.totals()["documents"] == kept
    assert post(collector, record("a")) == (200, "OK")  # once only


@pytest.mark.parametrize("kind, kept", [("drop", 0), ("lost", 1), ("half", 1)])
def test_a_fault_that_breaks_the_connection(collector: Collector, kind: str, kept: int) -> None:
    ask(collector, "POST", "/faults", json.dumps({"kind": kind}))
    with pytest.raises((http.client.HTTPException, ConnectionError)):
        post(collector, record("a"))
    assert collector.store.totals()["documents"] == kept


def test_a_fault_can_be_for_some_bundles_only(collector: Collector) -> None:
    ask(collector, "POST", "/faults", json.dumps({"kind": "poison", "count": -1, "match": "job-13"}))
    assert post(collector, record("job-1"))[0] == 200
    assert post(collector, record("job-13"))[0] == 400
    assert post(collector, record("job-13"))[0] == 400
    assert query(collector, "/faults") == [{"kind": "poison", "count": -1, "seconds": 0, "match": "job-13"}]
    ask(collector, "DELETE", "/faults")
    assert post(collector, record("job-13"))[0] == 200


@pytest.mark.parametrize("body", ['{"kind": "fire"}', '{"count": 1}', "[]", "{"])
def test_a_fault_that_does_not_exist_is_refused(collector: Collector, body: str) -> None:
    assert ask(collector, "POST", "/faults", body)[0] == 400


def test_an_idle_connection_is_closed(collector: Collector) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", collector.port, timeout=10)
    connection.request("GET", "/stats")
    connection.getresponse().read()
    connection.sock.settimeout(30)
    assert connection.sock.recv(1) == b""  # closed from the other side, not timed out here
    connection.close()


def test_too_large_a_form_is_refused_in_words(collector: Collector) -> None:
    status, text = ask(
        collector, "POST", "/gratia-servlets/rmi", "command=multiupdate&arg1=" + "x" * (11 << 20)
    )
    assert (status, text) == (400, 'Error handling request: missing key "command"')
