"""The database reader: the same values as the API's, of archived servers too, and never a write."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path
from typing import Callable

import nova_tables
import pytest
from histories import BASE
from nova_history import Life, TellingNova, expected
from test_run import END, HOUR, lives, steady
from world import World, owners

from osg_site_iaas.accounting.model import moment
from osg_site_iaas.accounting.nova_database import NovaDatabase, floating_ips
from osg_site_iaas.accounting.observed import Seen
from osg_site_iaas.accounting.reading import Source
from osg_site_iaas.accounting.run import Parts, perform
from osg_site_iaas.errors import AccountingError

pytest.importorskip("sqlalchemy", reason="SQLAlchemy is not installed")
NOW = BASE + 3 * 86400
Cell = Callable[..., NovaDatabase]


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    """Makes a reader of a database with these servers in it, and these in its shadow tables."""

    def make(told: list[Life], archived: list[Life] = [], now: int = NOW) -> NovaDatabase:  # noqa: B006
        file = tmp_path / "cell1.db"
        db = nova_tables.create(file)
        nova_tables.write(db, told, now)
        nova_tables.write(db, archived, now, archived=True)
        db.close()
        return NovaDatabase(list(nova_tables.url_files(tmp_path, [file])))

    return make


def all_of(source: Source, since: int = 0) -> dict[str, Seen]:
    return {one.uuid: one for page in source.changed(since) for one in page.servers}


def test_both_readers_see_the_same_servers_and_actions(cell: Cell) -> None:
    told = [life for life in lives(40, seed=8) if life.created < NOW]
    nova = TellingNova(told, NOW)
    wanted = [(life.uuid, 0) for life in told]
    with cell(told) as database:
        assert all_of(database) == all_of(nova)
        assert [sorted(found or ()) for found in database.actions(wanted)] == [
            sorted(found or ()) for found in nova.actions(wanted)
        ]
        (existing, _), *_ = database.existing()
        assert existing == {
            u for u, _ in wanted if nova.lives[u].ended is None or (nova.lives[u].ended or 0) > NOW
        }


def test_both_readers_make_the_same_slices(cell: Cell, world: World, tmp_path: Path) -> None:
    told = [life for life in lives(40, seed=8) if life.created < NOW]
    world.live(told)
    world.run(END + HOUR)
    with cell(told, now=END + HOUR) as database:
        settings = replace(world.settings, folder=tmp_path / "other")
        parts = Parts(Later(database, END + HOUR), lambda users: owners())
        assert perform(settings, parts, moment(END + HOUR)).ok
    totals = world.collector.store.totals()
    assert totals["arrivals"] == 2 * int(
        str(totals["documents"])
    )  # each arrived twice, and is one to the collector


def test_what_was_archived_is_still_charged(cell: Cell, world: World, tmp_path: Path) -> None:
    told = steady()
    half = len(told) // 2
    with cell(told[:half], archived=told[half:], now=END) as database:
        assert set(all_of(database)) == {life.uuid for life in told}
        parts = Parts(Later(database, END + HOUR), lambda users: owners())
        assert perform(world.settings, parts, moment(END + HOUR)).ok
    assert world.core_seconds() == dict(expected(told))


def test_only_what_has_changed_is_read(cell: Cell) -> None:
    told = steady()
    nova = TellingNova(told, END)
    middle = sorted(seen.sighting.at for seen in all_of(nova).values())[len(told) // 2]
    with cell(told, now=END) as database:
        assert all_of(database, middle) == all_of(nova, middle)


def test_one_server_is_found_wherever_it_is(cell: Cell) -> None:
    first, second, third = steady()[:3]
    with cell([first], archived=[second], now=END) as database:
        assert database.find(first.uuid) == first.seen(END)
        assert database.find(second.uuid) == second.seen(END)
        assert database.find(third.uuid) is None


def test_the_database_keeps_it_from_writing(cell: Cell) -> None:
    with cell(steady()[:1]) as database, pytest.raises(AccountingError, match="readonly"):
        database._rows(database._engines[0], "DELETE FROM instances RETURNING id", {})


def test_what_is_around_a_server(cell: Cell, tmp_path: Path) -> None:
    life = next(life for life in steady(80) if life.ended and life.created < NOW < life.ended)
    reader = cell([life])
    with sqlite3.connect(tmp_path / "cell1.db") as db:
        network = '[{"network": {"subnets": [{"ips": [{"floating_ips": [{}, {}]}, {"floating_ips": []}]}]}}]'
        db.execute("INSERT INTO instance_info_caches VALUES (?, ?)", (life.uuid, network))
        db.executemany(
            "INSERT INTO block_device_mapping VALUES (?, ?, ?)",
            [(life.uuid, 0, "volume"), (life.uuid, 7, "volume"), (life.uuid, 0, "local")],
        )
    with reader as database:
        place = all_of(database)[life.uuid].sighting.place
    assert (place.public_ips, place.volumes) == (2, 1)


@pytest.mark.parametrize(
    "text", [None, "[]", '[{"network": {}}]', '[{"network": {"subnets": [{"ips": [{}]}]}}]']
)
def test_a_server_without_an_address(text: str | None) -> None:
    assert floating_ips(text) == 0


@pytest.mark.parametrize(
    "url, words",
    [("nonsense", "no database URL"), ("mysql+nodriver://u:secret@h/d", "no database URL|not installed"),
     ("sqlite:////nowhere/at/all.db", "does not answer")],
)  # fmt: skip
def test_what_is_wrong_is_told_without_the_password(tmp_path: Path, url: str, words: str) -> None:
    (tmp_path / "url").write_text(url)
    with pytest.raises(AccountingError, match=words) as error:
        list(NovaDatabase([str(tmp_path / "url")]).changed(0))
    assert "secret" not in str(error.value)


def test_no_database_at_all_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccountingError, match="needs databases"):
        NovaDatabase([])
    with pytest.raises(AccountingError, match="cannot read"):
        NovaDatabase([str(tmp_path / "none")])


class Later:
    """A database whose clock is set: SQLite's own is this machine's."""

    def __init__(self, database: NovaDatabase, now: int) -> None:
        database._clock = lambda: now  # type: ignore[method-assign]
        self.changed, self.existing = database.changed, database.existing
        self.find, self.actions = database.find, database.actions
