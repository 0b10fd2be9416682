"""What makes two records one, and what a record counts for."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from osg_site_iaas.sandbox.collector.content import Document, document
from osg_site_iaas.sandbox.collector.record import Fields

CASES = Path(__file__).parents[2] / "cases/accounting/collector"
NOW = datetime(2026, 11, 23, tzinfo=timezone.utc)
FULL: Fields = json.loads((CASES / "full.json").read_text())


def of(**changed: object) -> Document:
    return document({**FULL, **changed}, NOW)  # type: ignore[dict-item]


def test_the_checksum_is_that_of_graccs_own_rule() -> None:
    # computed once by Ruby's JSON and OpenSSL from the same fields, as GRACC's pipeline does
    assert of().checksum == "84573ce47a7850aa13b3db03a3ccb52a"


def test_the_checksum_of_text_that_is_not_plain() -> None:
    fields: Fields = {
        "JobName": 'é "q" <a&b> \\ /x\t\n\u2028 😀 \u007f', "Memory": "2048", "Network": "12.5",
        "Processors": "4.7", "WallDuration": 12.339999999, "CpuDuration": 0,
        "EndTime": "2026-11-22T07:00:00Z",
    }  # fmt: skip
    assert document(fields, NOW).checksum == "52eb76e28d4cf90e326863c72ab87be3"


@pytest.mark.parametrize(
    "name",
    ["RecordId", "CreateTime", "GlobalUsername", "LocalUserId", "VOName", "ReportableVOName", "CommonName",
     "SiteName", "Grid", "RawXML"],
)  # fmt: skip
def test_a_change_here_replaces_the_record(name: str) -> None:
    assert of(**{name: "other"}).checksum == of().checksum


@pytest.mark.parametrize(
    "name",
    [
        "GratiaVersion",
        "ProbeName",
        "Status",
        "DN",
        "Host_description",
        "ProjectName",
        "GlobalJobId",
        "Resource_new",
    ],
)
def test_a_change_here_makes_a_second_record(name: str) -> None:
    assert of(**{name: "other"}).checksum != of().checksum


def test_core_hours_are_wall_times_processors() -> None:
    assert of(WallDuration=5400, Processors="4").core_hours == 6.0
    assert of(WallDuration=5400, Processors="4.7").core_hours == 6.0  # a fraction of a processor is lost


def test_a_record_without_processors_counts_as_one() -> None:
    fields = {name: value for name, value in FULL.items() if name != "Processors"}
    assert document(fields, NOW).core_hours == 1.0


@pytest.mark.parametrize(
    "end, day",
    [("2026-11-21T23:59:59Z", "2026-11-21"), ("2026-11-22T00:00:00Z", "2026-11-22"),
     ("2026-11-22T01:00:00+02:00", "2026-11-21")],
)  # fmt: skip
def test_all_of_it_is_charged_to_the_utc_day_of_its_end(end: str, day: str) -> None:
    assert of(EndTime=end).day == day


def test_a_missing_end_is_start_and_wall() -> None:
    fields = {name: value for name, value in FULL.items() if name != "EndTime"}
    assert document(fields, NOW).fields["EndTime"] == "2026-11-22T07:00:00Z"


def test_a_missing_end_in_the_future_is_the_time_of_arrival() -> None:
    fields = {name: value for name, value in FULL.items() if name != "EndTime"}
    kept = document(fields, datetime(2026, 11, 22, 6, 30, tzinfo=timezone.utc)).fields
    assert (kept["StartTime"], kept["EndTime"]) == ("2026-11-22T05:30:00Z", "2026-11-22T06:30:00Z")


def test_quarantine() -> None:
    def without(*names: str) -> str | None:
        return document({k: v for k, v in FULL.items() if k not in names}, NOW).quarantine

    assert of().quarantine is None
    assert without("StartTime") == "MissingStartTime"
    assert without("StartTime", "EndTime") == "MissingEndTime"
    assert of(StartTime="1970-01-01T00:00:00Z").quarantine == "EpochStartTime"
