"""What the probe tells of itself: status, metrics, audit, replay, exports and statements."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from histories import BASE
from nova_history import expected
from test_run import END, HOUR, steady
from world import World, owners

from osg_site_iaas.accounting import egi, export, metrics
from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.audit import Audit, audit, unknown
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.model import DAY, iso, moment
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.replay import Replayed, replay
from osg_site_iaas.accounting.send import Direct
from osg_site_iaas.accounting.statement import Month, day_rows, statements
from osg_site_iaas.accounting.statement_html import page
from osg_site_iaas.accounting.status import status
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.errors import AccountingError
from osg_site_iaas.sandbox.collector.faults import Fault

LATE = END + 2 * DAY


@pytest.fixture
def told(world: World) -> World:
    """A world in which everything was told and sent."""
    world.live(steady())
    assert world.run(END + HOUR).ok
    return world


def ledger(world: World) -> tuple[Store, Observed, Ledger]:
    store = Store(world.settings.folder)
    observed = Observed(store)
    return store, observed, Ledger(store, observed)


def audited(world: World, start: int = BASE, end: int = END) -> Audit:
    store, observed, slices = ledger(world)
    with store:
        return audit(store, observed, slices, Archive(world.settings.folder), start, end, LATE)


def test_the_status_of_a_probe_that_is_well(told: World) -> None:
    with Store(told.settings.folder, readonly=True) as store:
        found = status(store, moment(END + 2 * HOUR))
    assert (found.findings, found.failure) == ((), "")
    assert (found.pending, found.lag, found.success) == (0, HOUR, END + HOUR)
    assert found.sent == told.collector.store.totals()["documents"]
    assert (found.servers, found.running) == (len(told.nova.lives), 0)


def test_the_status_of_a_probe_that_is_not(world: World) -> None:
    world.live(steady())
    world.vos = ("cms", "icecube")
    world.collector.faults.switch(Fault("unavailable", count=-1))
    world.run(END + HOUR)
    with Store(world.settings.folder, readonly=True) as store:
        found = status(store, moment(END + 3 * DAY))
    words = " | ".join(found.findings)
    assert "no run has ended without an error yet" in words
    assert "records wait, the oldest for" in words
    assert found.failure.startswith(f"{iso(END + HOUR)} collector http://{world.collector.address}/")
    assert "held: project ligo (domain osg) belongs to no VO of site.yml" in words


def test_metrics_are_what_prometheus_reads(told: World, tmp_path: Path) -> None:
    file = tmp_path / "accounting.prom"
    told.run(END + 2 * HOUR, metrics=file)
    lines = file.read_text().splitlines()
    values = dict(line.split(" ") for line in lines if not line.startswith("#"))
    assert values["osg_site_iaas_accounting_last_run_failed"] == "0"
    assert values["osg_site_iaas_accounting_records_sent"] == str(told.collector.store.totals()["documents"])
    assert all(line.endswith(" gauge") for line in lines if line.startswith("# TYPE"))
    assert list(tmp_path.glob(".*")) == []


def test_metrics_that_cannot_be_written_fail_the_run_and_lose_nothing(world: World, tmp_path: Path) -> None:
    world.live(steady())
    report = world.run(END + HOUR, metrics=tmp_path / "none" / "file")
    assert "cannot write the metrics" in report.errors[0]
    assert world.core_seconds() == dict(expected(list(world.nova.lives.values())))
    assert metrics.text(status(Store(world.settings.folder), moment(END)), failed=True)


def test_an_audit_finds_nothing_where_all_is_well(told: World) -> None:
    found = audited(told)
    assert found.findings == ()
    assert found.servers == len(told.nova.lives)
    assert found.charged == {"sent": found.nova_core_seconds, "idle": 0}
    assert found.nova_core_seconds == sum(expected(list(told.nova.lives.values())).values())


@pytest.mark.parametrize(
    "harm, kind",
    [
        ("DELETE FROM slice WHERE id = 7", "missing"),
        (
            "UPDATE slice SET start = start - 600 WHERE id = (SELECT max(id) FROM slice WHERE start % 86400 = 0)",
            "twice",
        ),
        ("UPDATE slice SET wall = wall - 60 WHERE id = (SELECT id FROM slice WHERE wall > 60)", "differs"),
        ("UPDATE slice SET bundle = 99 WHERE id = (SELECT id FROM slice WHERE wall > 0)", "unarchived"),
        ("UPDATE slice SET state = 'new' WHERE id = (SELECT id FROM slice WHERE wall > 0)", "pending"),
        (
            "UPDATE slice SET state = 'poison', why = 'x' WHERE id = (SELECT id FROM slice WHERE wall > 0)",
            "poison",
        ),
    ],
)
def test_an_audit_names_what_is_wrong(told: World, harm: str, kind: str) -> None:
    with Store(told.settings.folder) as store, store.transaction() as db:
        assert db.execute(harm).rowcount == 1
    assert kind in {finding.kind for finding in audited(told).findings}


def test_an_audit_finds_a_server_that_was_never_read(told: World) -> None:
    (stranger,) = steady(9, seed=77)[:1]
    told.live([stranger])
    told.nova.now = END + 2 * HOUR
    with Store(told.settings.folder) as store:
        (found,) = unknown(store, told.nova, BASE)
    assert (found.kind, found.uuid) == ("unknown", stranger.uuid)


def test_a_replay_sends_the_archived_bytes_and_counts_nothing_twice(told: World) -> None:
    before = told.collector.store.totals()
    summary = told.collector.store.summary()
    store, _, slices = ledger(told)
    with store, Direct(told.settings.collector, "p", 100) as sender:
        done = replay(slices, Archive(told.settings.folder), sender, BASE, END, bundle_size=10)
        again = replay(
            slices, Archive(told.settings.folder), sender, BASE + DAY, BASE + 2 * DAY, bundle_size=10
        )
    assert done == Replayed(int(str(before["documents"])), -(-int(str(before["documents"])) // 10), 0)
    assert 0 < again.records < done.records
    assert told.collector.store.summary() == summary
    assert (
        told.collector.store.totals()["arrivals"]
        == int(str(before["arrivals"])) + done.records + again.records
    )


def test_a_replay_after_an_edit_of_the_mapping_and_a_new_name_still_counts_nothing_twice(told: World) -> None:
    summary = told.collector.store.summary()
    told.vos = ("icecube",)
    with Store(told.settings.folder) as store, store.transaction() as db:
        db.execute("UPDATE server SET name = 'renamed', project = 'p1'")
    store, _, slices = ledger(told)
    with store, Direct(told.settings.collector, "p", 100) as sender:
        replay(slices, Archive(told.settings.folder), sender, BASE, END, bundle_size=100)
    assert told.collector.store.summary() == summary


def test_a_replay_says_what_was_pruned(told: World) -> None:
    archive = Archive(told.settings.folder)
    assert archive.prune(moment(END + 500 * DAY), 13) == ["2026-11"]
    store, _, slices = ledger(told)
    with store, Direct(told.settings.collector, "p", 100) as sender:
        done = replay(slices, archive, sender, BASE, END, bundle_size=10)
    assert (done.records, done.missing) == (0, told.collector.store.totals()["documents"])


def test_the_archive_is_kept_for_as_long_as_was_said(told: World) -> None:
    archive = Archive(told.settings.folder)
    assert archive.prune(moment(END + 390 * DAY), 13) == []


def test_exports_have_every_slice_and_its_fate(told: World) -> None:
    store, _, slices = ledger(told)
    with store:
        rows = list(export.rows(slices.slices(0, END), {"p0": "cms"}, {"user-p0": "Ann"}))
    text, data = io.StringIO(), io.StringIO()
    assert export.write_csv(text, rows) == export.write_json(data, rows) == len(rows)
    parsed = list(csv.DictReader(io.StringIO(text.getvalue())))
    assert json.loads(data.getvalue()) == rows
    assert sum(int(row["core_seconds"]) for row in parsed) == sum(told.core_seconds().values())
    assert {row["record"] for row in parsed} == {"sent", "idle"}
    assert {row["project"] for row in parsed} == {"cms", "p1", "p2"}


def test_an_export_of_nothing_is_still_a_document() -> None:
    data = io.StringIO()
    assert export.write_json(data, []) == 0
    assert json.loads(data.getvalue()) == []


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1", "-1", "@x"])
def test_a_servers_name_is_no_formula(name: str) -> None:
    assert export.harmless(name) == f"'{name}"
    assert export.harmless("worker-1") == "worker-1"
    assert export.harmless(-1) == -1


def test_egi_records_tell_all_since_the_creation(told: World) -> None:
    store, observed, slices = ledger(told)
    with store:
        found = list(egi.machines(observed, slices, lambda users: owners(), END - 3 * DAY, END))
    assert 0 < len(found) < len(told.nova.lives)
    for machine in found:
        life = told.nova.lives[machine.uuid]
        assert machine.wall == sum(life.used.values())
        assert machine.core_seconds == sum(seconds * size.vcpus for (_, size), seconds in life.used.items())
        assert (machine.created, machine.ended) == (life.created, life.ended)


def test_egi_records_before_a_servers_end_are_of_a_server_that_goes_on(told: World) -> None:
    life = next(
        life for life in told.nova.lives.values() if life.ended and life.ended // DAY > life.created // DAY
    )
    store, observed, slices = ledger(told)
    midnight = (life.created // DAY + 1) * DAY
    with store:
        found = {m.uuid: m for m in egi.machines(observed, slices, lambda users: owners(), BASE, midnight)}
    machine = found[life.uuid]
    assert machine.ended is None
    assert machine.wall == sum(seconds for (day, _), seconds in life.used.items() if day * DAY < midnight)
    fields = egi.fields(machine, "SITE", "https://cloud.example.org")
    assert "EndTime" not in fields
    assert fields["Status"] in {"started", "suspended"}


# the keys of a cloud usage record v0.4, and what their values are
EGI = {
    **dict.fromkeys(
        (
            "VMUUID", "SiteName", "MachineName", "LocalUserId", "LocalGroupId", "GlobalUserName", "FQAN",
            "NetworkType", "StorageRecordId", "ImageId", "CloudComputeService", "CloudType", "BenchmarkType",
        ),
        r"\S(.*\S)?",
    ),
    "Status": "started|completed|suspended",
    **dict.fromkeys(
        (
            "StartTime", "EndTime", "SuspendDuration", "WallDuration", "CpuDuration", "CpuCount", "NetworkInbound",
            "NetworkOutbound", "PublicIPCount", "Memory", "Disk",
        ),
        r"\d+",
    ),
    "Benchmark": r"\d+(\.\d+)?",
}  # fmt: skip


def test_egi_records_keep_to_the_format(told: World) -> None:
    store, observed, slices = ledger(told)
    with store:
        found = egi.machines(observed, slices, lambda users: owners(), BASE, END)
        text = "".join(egi.messages(egi.fields(one, "SITE", "https://cloud.example.org") for one in found))
    head, _, body = text.partition("\n")
    assert head == "APEL-cloud-message: v0.4"
    records = [dict(line.split(": ", 1) for line in part.splitlines()) for part in body.split("%%\n") if part]
    assert len(records) > 20
    for record in records:
        assert {"VMUUID", "SiteName", "StartTime", "CpuDuration", "FQAN"} <= set(record)
        assert all(re.fullmatch(EGI[name], value) for name, value in record.items()), record
        assert int(record["WallDuration"]) * int(record["CpuCount"]) >= int(record["CpuDuration"]) or (
            "resize" in {step.name for step in told.nova.lives[record["VMUUID"]].steps}
        )
        lived = int(record.get("EndTime", END)) - int(record["StartTime"])
        assert int(record["WallDuration"]) + int(record["SuspendDuration"]) <= lived


def test_servers_of_no_vo_are_in_no_egi_record(told: World) -> None:
    store, observed, slices = ledger(told)
    with store:
        found = list(egi.machines(observed, slices, lambda users: owners(("cms",)), BASE, END))
    assert {machine.project for machine in found} == {"cms"}


def test_egi_messages_are_cut_at_a_thousand_records() -> None:
    record = {"VMUUID": "u", "SiteName": "S"}
    first, second = egi.messages([record] * 1001)
    assert first.startswith("APEL-cloud-message: v0.4\nVMUUID: u\nSiteName: S\n%%\n")
    assert (first.count("%%\n"), second.count("%%\n")) == (1000, 1)


def test_a_statement_adds_up_to_what_the_collector_counts(told: World) -> None:
    store, _, slices = ledger(told)
    month = Month.of("2026-11")
    with store:
        found = statements(slices.slices(month.start, month.end), month, {})
    counted: dict[str, float] = {}
    for row in told.collector.store.summary():
        counted[str(row["vo"])] = counted.get(str(row["vo"]), 0) + float(str(row["core_hours"]))
    assert {vo: round(s.total.core / HOUR, 6) for vo, s in found.items()} == {
        vo: round(hours, 6) for vo, hours in counted.items()
    }
    for statement in found.values():
        assert statement.reported == statement.total.core
        rows = day_rows(statement)
        assert len(rows) == 30
        assert sum(float(str(row["core_hours"])) for row in rows) == pytest.approx(
            statement.total.core / HOUR, abs=0.01
        )


def test_a_statement_as_html_is_whole_and_safe(told: World) -> None:
    store, _, slices = ledger(told)
    month = Month.of("2026-11")
    with store:
        found = statements(
            slices.slices(month.start, month.end), month, {"user-p0": "<script>alert(1)</script>"}
        )
    statement = dataclasses.replace(found["cms"], vo="<b>cms", waiting=3600, refused=7200)
    html = page(statement, site="A & B", collector="gracc.example.org:80", closed=month.end - 3600)
    assert "so far, as counted up to 2026-11-30T23:00:00Z" in html
    assert "so far" not in page(statement, site="A", collector="c", closed=month.end)
    assert "<script" not in html
    assert "<title>&lt;b&gt;cms at A &amp; B, November 2026</title>" in html
    assert "http" not in html.replace("http-equiv", "")  # nothing is loaded from elsewhere
    assert html.count('class="bar"') == 30
    assert "1 core-hours wait to be sent" in html
    chart = html[html.index("<svg") : html.index("</svg>") + 6]
    assert ElementTree.fromstring(chart).tag == "svg"


@pytest.mark.parametrize("text", ["2026", "2026-13", "November"])
def test_a_month_is_a_month(text: str) -> None:
    with pytest.raises(AccountingError, match="is not a month"):
        Month.of(text)


def test_february_of_a_leap_year() -> None:
    month = Month.of("2028-02")
    assert (month.days, (month.end - month.start) // DAY, str(month)) == (29, 29, "2028-02")
