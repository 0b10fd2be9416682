"""Servers of a real Nova, from their creation to core-hours in the collector."""

from __future__ import annotations

import os
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from accounting_fixtures import Probe, Servers

from osg_site_iaas.accounting.diagnostics import Diagnostics
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.nova import NovaApi, instant
from osg_site_iaas.accounting.nova_database import NovaDatabase
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.accounting.traffic import Target
from osg_site_iaas.cloud.connect import Cloud

pytest_plugins = ("accounting_fixtures",)
NAMED = "OSG_SITE_IAAS_TEST_SANDBOX"


def test_a_server_that_does_everything_counts_as_by_hand(servers: Servers, probe: Probe) -> None:
    server = servers.create("does <everything> & é")
    launched = instant(servers.row(server)["OS-SRV-USG:launched_at"])
    assert probe.run().ok  # which sees the flavour that a resize makes Nova forget
    servers.act(server, "resize", "VERIFY_RESIZE", flavorRef=servers.flavours["large"])
    servers.act(server, "confirmResize", "ACTIVE")
    servers.act(server, "os-stop", "SHUTOFF")
    time.sleep(2)
    servers.act(server, "os-start", "ACTIVE")
    servers.act(server, "suspend", "SUSPENDED")
    time.sleep(2)
    servers.act(server, "resume", "ACTIVE")
    servers.act(server, "shelve", "SHELVED", "SHELVED_OFFLOADED")
    time.sleep(2)
    servers.act(server, "unshelve", "ACTIVE")
    servers.delete(server)
    done = servers.actions(server)
    small = done["resize"] - launched
    large = (
        (done["stop"] - done["resize"])
        + (done["suspend"] - done["start"])
        + (done["shelve"] - done["resume"])
        + (servers.ended(server) - done["unshelve"])
    )
    assert small > 0 < large
    assert probe.run().ok
    assert probe.core_seconds(server) == small + 4 * large
    stopped = sum(
        int(str(row["fields"].get("TimeDuration_Stopped", 0)))  # type: ignore[attr-defined]
        for row in probe.collector.store.records(job=server)
    )
    assert stopped == done["start"] - done["stop"]
    assert probe.collector.store.duplicates() == []


def test_a_run_again_sends_nothing_and_asks_little(servers: Servers, probe: Probe) -> None:
    servers.delete(servers.create("one"))
    probe.run()
    documents = probe.collector.store.totals()
    report = probe.run()
    assert report.delivered.sent == 0
    assert probe.collector.store.totals() == documents


def test_a_server_that_never_started_is_not_charged(servers: Servers, probe: Probe) -> None:
    server = servers.create("nowhere", "nowhere", until=("ERROR",))
    servers.delete(server)
    assert probe.run().ok
    assert probe.collector.store.records(job=server) == []


def test_whose_it_was(servers: Servers, probe: Probe, domain_name: str) -> None:
    server = servers.create("mine")
    time.sleep(2)  # so that it was active for a second
    servers.delete(server)
    probe.run()
    (row, *_) = probe.collector.store.records(job=server)
    fields: Any = row["fields"]
    assert (fields["VOName"], fields["ReportableVOName"], fields["ProjectName"]) == (
        "/cms/Role=NULL",
        "cms",
        "cms",
    )
    assert fields["LocalUserId"] == "ann"
    assert fields["SiteName"] == "Example-Cloud"
    assert fields["Queue"] == f"{domain_name}.small"


def test_network_traffic_is_what_the_hypervisor_counts(servers: Servers, probe: Probe) -> None:
    assert probe.run(traffic=True).ok  # what is created from now on is counted from its first byte
    server = servers.create("talks")
    stopped = servers.create("stopped")
    servers.act(stopped, "os-stop", "SHUTOFF")
    now = datetime.now(timezone.utc)
    both = [Target(stopped, "a"), Target(server, "b")]
    readings, why, go_on = Diagnostics(probe.cloud, now)(both)
    assert ([one.uuid for one in readings], why, go_on) == ([server], "", True)
    readings, why, go_on = Diagnostics(servers.cloud, now)(both)  # a member may not
    assert (readings, go_on) == ([], False)
    assert "needs the admin role" in why
    first = probe.run(traffic=True)
    assert first.ok
    assert first.metered is not None
    assert first.metered.told >= 1
    again = probe.run(traffic=True)
    assert again.ok
    servers.delete(server)
    servers.delete(stopped)
    assert probe.run(traffic=True).ok
    with Store(probe.settings.folder, readonly=True) as store:
        found = list(Ledger(store, Observed(store)).slices(0, 1 << 40))
    received = {u: [one.found.received for one in found if one.found.uuid == u] for u in (server, stopped)}
    known = [count for count in received[server] if count is not None]
    assert (
        sum(known) == 2_070_139
    )  # Nova's fake driver counts so much at any time: once, and nothing to add since
    assert set(received[stopped]) <= {None}
    assert len(servers.actions(server)) == 2  # create and delete: to ask has left no trace


def test_both_readers_see_the_same(servers: Servers, cloud: Any, admin_cloud: Cloud, tmp_path: Path) -> None:
    servers.create("open")
    ended = servers.create("ended")
    servers.act(ended, "os-stop", "SHUTOFF")
    servers.delete(ended)
    mine = set(servers.made)
    api = NovaApi(admin_cloud, datetime.now(timezone.utc))
    folder = cloud.sandbox.box().folder / "db"
    files = []
    for name in ("nova", "nova_cell0"):
        (tmp_path / name).write_text(f"sqlite:///{folder / name}.db")
        files.append(str(tmp_path / name))
    wanted = [(server, 0) for server in sorted(mine)]
    with NovaDatabase(files) as database:
        told = {one.uuid: one for page in database.changed(0) for one in page.servers if one.uuid in mine}
        assert told == {one.uuid: one for page in api.changed(0) for one in page.servers if one.uuid in mine}
        assert len(told) == 2
        assert [sorted(found or ()) for found in database.actions(wanted)] == [
            sorted(found or ()) for found in api.actions(wanted)
        ]
        assert [database.find(server) for server, _ in wanted] == [api.find(server) for server, _ in wanted]


@pytest.mark.skipif(NAMED in os.environ, reason="it archives what others have deleted in a shared sandbox")
def test_an_archive_between_runs(servers: Servers, probe: Probe, cloud: Any, tmp_path: Path) -> None:
    kept, forgotten = servers.create("kept"), servers.create("forgotten")
    probe.run()
    time.sleep(3)
    servers.delete(kept)
    probe.run()
    charged = probe.core_seconds(kept)
    assert charged > 0
    launched = instant(servers.row(forgotten)["OS-SRV-USG:launched_at"])
    servers.delete(forgotten)
    ended = servers.ended(forgotten)
    archive(cloud)
    box = cloud.sandbox.box()
    (tmp_path / "cell").write_text(f"sqlite:///{box.folder / 'db' / 'nova.db'}")
    assert probe.run(reader="database", databases=(str(tmp_path / "cell"),)).ok
    assert probe.core_seconds(kept) == charged
    assert probe.core_seconds(forgotten) == ended - launched  # the shadow tables alone still knew


def archive(cloud: Any) -> None:
    """What an operator's cron job does."""
    box = cloud.sandbox.box()
    config = ("--config-file", str(box.etc / "nova" / "nova.conf"))
    command = box.manage("nova.cmd.manage:main", *config, "db", "archive_deleted_rows", "--all-cells")
    done = subprocess.run(command.argv, env={**os.environ, **command.env}, capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr  # 1: something was archived
