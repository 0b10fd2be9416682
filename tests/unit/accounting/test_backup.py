"""A backup as docs/watching.md says, and its restore after more was sent: nothing is lost, nothing counted twice."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from nova_history import expected
from test_run import END, HOUR, steady
from world import World

from osg_site_iaas.accounting.model import DAY
from osg_site_iaas.accounting.store import FILE, Store


def backup(source: Path, target: Path) -> None:
    """What ``sqlite3 SOURCE ".backup TARGET"`` does."""
    target.parent.mkdir(parents=True)
    with sqlite3.connect(source) as old, sqlite3.connect(target) as new:
        old.backup(new)


def test_a_copy_that_was_made_while_the_probe_wrote_goes_on_where_it_was(
    world: World, tmp_path: Path
) -> None:
    told = steady(20)
    world.live(told)
    assert world.run(END - 3 * DAY).ok
    with Store(world.settings.folder) as writing, writing.transaction() as db:
        db.execute("UPDATE server SET name = 'half'")
        backup(world.settings.folder / FILE, tmp_path / "restored" / FILE)
    assert world.run(END - DAY).ok  # after the backup more is sent, and then the state is lost
    with Store(tmp_path / "restored", readonly=True) as store:
        assert store.number("SELECT count(*) FROM server WHERE name = 'half'") == 0
    assert world.run(END + HOUR, folder=tmp_path / "restored").ok
    assert world.core_seconds() == dict(expected(told))
    assert world.collector.store.duplicates() == []
