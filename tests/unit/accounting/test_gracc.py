"""Records in the hands of the real GRACC collector, where one is at hand; without it these tests are skipped.

OSG_SITE_IAAS_GRACC names the program (gracc-collector, built from its sources) and OSG_SITE_IAAS_GRACC_AMQP the
host:port of a RabbitMQ in which guest may log in; the pika package reads what the collector hands on. The sandbox's
stand-in is given the same records, so that what the other tests hold of it is held of GRACC.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Iterator

import pytest
from histories import BASE
from nova_history import expected
from test_crash import in_child, killing_at
from test_run import END, HOUR, lives, steady
from world import World

from osg_site_iaas.accounting.archive import Archive
from osg_site_iaas.accounting.ledger import Ledger
from osg_site_iaas.accounting.observed import Observed
from osg_site_iaas.accounting.replay import replay
from osg_site_iaas.accounting.send import Direct
from osg_site_iaas.accounting.store import Store
from osg_site_iaas.sandbox.collector.content import document

PROGRAM, BROKER = os.environ.get("OSG_SITE_IAAS_GRACC"), os.environ.get("OSG_SITE_IAAS_GRACC_AMQP")
pytestmark = pytest.mark.skipif(
    not (PROGRAM and BROKER), reason="OSG_SITE_IAAS_GRACC and OSG_SITE_IAAS_GRACC_AMQP name no real collector"
)


class Gracc:
    """The collector, and what it hands on to GRACC."""

    def __init__(self, folder: Path, broker: str) -> None:
        import pika

        host, _, port = broker.partition(":")
        self.exchange = f"gracc-{secrets.token_hex(4)}"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        told = {
            "ADDRESS": "127.0.0.1", "PORT": self.address.partition(":")[2], "AMQP_HOST": host, "AMQP_PORT": port,
            "AMQP_EXCHANGE": self.exchange, "AMQP_AUTODELETE": "false",
        }  # fmt: skip
        self._log = open(folder / "gracc.log", "w")  # noqa: SIM115 - closed with the collector
        self._program = subprocess.Popen(
            [str(PROGRAM)], env={f"GRACC_{name}": value for name, value in told.items()},
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        wait_for(self.address)
        self._channel = pika.BlockingConnection(pika.ConnectionParameters(host, int(port))).channel()
        self.queue = self._channel.queue_declare("", exclusive=True).method.queue
        self.listen()

    def listen(self) -> None:
        self._channel.queue_bind(self.queue, self.exchange)

    def ignore(self) -> None:
        """Nobody takes messages any more: the collector answers 503."""
        self._channel.queue_unbind(self.queue, self.exchange)

    def taken(self) -> list[dict[str, Any]]:
        """The messages since this was last asked."""
        found = []
        while (body := self._channel.basic_get(self.queue, auto_ack=True)[2]) is not None:
            found.append(json.loads(body))
        return found

    def close(self) -> None:
        self._channel.connection.close()
        self._program.kill()
        self._program.wait()
        self._log.close()


def wait_for(address: str) -> None:
    host, _, port = address.partition(":")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            socket.create_connection((host, int(port)), 5).close()
            return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"nothing listens at {address}")


@pytest.fixture
def gracc(tmp_path: Path) -> Iterator[Gracc]:
    found = Gracc(tmp_path, str(BROKER))
    yield found
    found.close()


def contents(messages: list[dict[str, Any]]) -> set[str]:
    """What GRACC's checksum, as its operators describe it, makes of messages."""
    return {document(one, datetime.now(timezone.utc)).checksum for one in messages}


def core_seconds(messages: list[dict[str, Any]]) -> dict[int, int]:
    """By day since the epoch, as GRACC counts: every content once."""
    once = {document(one, datetime.now(timezone.utc)).checksum: one for one in messages}
    days: dict[int, int] = {}
    for one in once.values():
        day = int(datetime.fromisoformat(one["EndTime"].replace("Z", "+00:00")).timestamp()) // 86400
        days[day] = days.get(day, 0) + one["WallDuration"] * int(one["Processors"])
    return {day: seconds for day, seconds in days.items() if seconds}


def test_it_reads_of_a_record_what_the_stand_in_reads(either_world: World, gracc: Gracc) -> None:
    world = either_world
    stand_in = world.collector.address
    world.live(lives(60, seed=2, moves=8))
    for life in world.nova.lives.values():
        life.project = "p0"
    world.aim(gracc.address)
    for now in range(BASE + HOUR, END + HOUR, 8 * HOUR):
        assert world.run(now).ok
    world.aim(stand_in)
    for now in range(BASE + HOUR, END + HOUR, 8 * HOUR):
        assert world.run(now, folder=world.settings.folder / "again").ok
    messages = [one for one in gracc.taken() if one.get("GlobalJobId")]
    assert len(messages) > 30
    by_job = {row["job"]: row["fields"] for row in world.collector.store.records(limit=10**6)}
    assert {one["GlobalJobId"] for one in messages} == set(by_job)
    for one in messages:
        known: Any = by_job[one["GlobalJobId"]]
        told = document(one, datetime.now(timezone.utc)).fields
        assert {name: value for name, value in told.items() if name != "RawXML"} == {
            name: value for name, value in known.items() if name != "RawXML"
        }


def test_it_counts_every_core_second_once_whatever_happens(
    world: World, gracc: Gracc, tmp_path: Path
) -> None:
    told = steady()
    world.live(told)
    world.aim(gracc.address)
    assert world.run(BASE + 2 * 86400).ok
    gracc.ignore()
    report = world.run(BASE + 3 * 86400)
    assert any("503" in text and "nothing is lost" in text for text in report.errors)
    gracc.listen()
    for line in (2000, 4000, 6000, 8000):
        in_child(world, killing_at(line, lambda: world.run(END + HOUR, bundle_size=7)))
    assert world.run(END + HOUR).ok
    messages = gracc.taken()
    assert core_seconds(messages) == dict(expected(told))
    with Store(world.settings.folder) as store:
        archive = Archive(world.settings.folder)
        with Direct(world.settings.collector, world.settings.probe.probe_name, 50) as sender:
            done = replay(Ledger(store, Observed(store)), archive, sender, BASE, END + HOUR, bundle_size=50)
        archive.close()
    again = gracc.taken()
    assert len(again) == done.records > 0
    assert contents(again) == contents(messages)


@pytest.mark.parametrize("name", ["<&>\"'", "é ü 漢字 😀", "a\x00b\x0bc", "]]>", "x" * 400, "  ", "\ud800"])
def test_it_reads_whatever_a_user_calls_a_server(world: World, gracc: Gracc, name: str) -> None:
    from osg_site_iaas.accounting.model import Size, Slice
    from osg_site_iaas.accounting.record import Origin, Owner, render

    found = Slice("6f1c7f0c-0000-4000-8000-000000000001", BASE, BASE + HOUR, Size("m1", 4, 2048, 20), HOUR)
    record = render(
        found, Origin(name), Owner("cms", "/cms/Role=NULL", "cms", "p0", "ann"), world.settings.probe
    )
    world.aim(gracc.address)
    with Direct(world.settings.collector, world.settings.probe.probe_name, 50) as sender:
        assert sender.send([record], 0).fate.name == "TAKEN"
    (one,) = gracc.taken()
    assert (one["WallDuration"], one["Processors"], one["VOName"]) == (HOUR, "4", "/cms/Role=NULL")
    assert len(one.get("JobName", "")) <= 255


def test_a_record_that_it_refuses_keeps_no_other_back(world: World, gracc: Gracc) -> None:
    told = steady()
    world.live(told)
    world.aim(gracc.address)
    assert world.run(END + HOUR, enabled=False).ok
    with Store(world.settings.folder) as store, store.transaction() as db:
        harm = "UPDATE slice SET record = replace(record, '<StartTime>', '<StartTime>about ') WHERE id = "
        assert db.execute(f"{harm}(SELECT max(id) - 5 FROM slice WHERE state = 'new')").rowcount == 1
        waiting = db.execute("SELECT count(*) FROM slice WHERE state = 'new'").fetchone()[0]
    report = world.run(END + HOUR)
    assert (report.delivered.sent, report.delivered.refused) == (waiting - 1, 1)
    messages = [one for one in gracc.taken() if one.get("GlobalJobId")]
    assert len(contents(messages)) == waiting - 1
