"""People are forgotten with the month of their last servers; what is still to be accounted for keeps its own."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from nova_history import expected
from test_run import END, HOUR, steady
from world import World

from osg_site_iaas.accounting.archive import months_before
from osg_site_iaas.accounting.model import DAY, moment
from osg_site_iaas.accounting.people import forget
from osg_site_iaas.accounting.store import Store


def names(store: Store) -> set[str]:
    return {row["id"] for row in store.rows("SELECT id FROM user")}


def test_who_has_nothing_left_is_forgotten_and_the_rest_stays(world: World) -> None:
    told = steady(30)
    world.live(told)
    assert world.run(END + HOUR).ok
    with Store(world.settings.folder) as store:
        with store.transaction() as db:
            db.execute("INSERT OR IGNORE INTO user SELECT user, 'Jane', 'osg' FROM server")
            db.execute(
                "UPDATE server SET user = 'alive', ended = NULL WHERE id = (SELECT max(id) FROM server)"
            )
            db.execute(
                "UPDATE server SET user = 'held' WHERE id = (SELECT server FROM slice ORDER BY id LIMIT 1)"
            )
            db.execute(
                "UPDATE slice SET state = 'held' WHERE server IN (SELECT id FROM server WHERE user = 'held')"
            )
            db.executemany("INSERT INTO user VALUES (?, 'Jane', 'osg')", [("alive",), ("held",)])
        everybody = names(store)
        assert forget(store, moment(END - 1000 * DAY)) == 0
        assert names(store) == everybody
        assert forget(store, moment(END + DAY)) == len(everybody) - 2
        assert names(store) == {"alive", "held"}
        ended = "SELECT count(*) FROM server WHERE name != '' AND ended IS NOT NULL AND user != 'held'"
        assert store.number(ended) == 0
        assert store.number("SELECT count(*) FROM server WHERE name = '' AND user IN ('alive', 'held')") == 0


def test_a_run_forgets_with_the_archive_and_counts_nothing_again(world: World) -> None:
    told = steady(10)
    world.live(told)
    assert world.run(END + HOUR).ok
    with Store(world.settings.folder) as store, store.transaction() as db:
        db.execute("INSERT OR IGNORE INTO user SELECT user, 'Jane', 'osg' FROM server")
        db.execute("DELETE FROM user WHERE id IN (SELECT user FROM server WHERE ended IS NULL)")
    assert world.run(END + 500 * DAY).ok
    with Store(world.settings.folder, readonly=True) as store:
        assert names(store) == set()
    assert world.collector.store.duplicates() == []
    assert world.core_seconds() == dict(expected(told))


@pytest.mark.parametrize(
    "now, months, first",
    [((2026, 11), 13, (2025, 10)), ((2026, 1), 1, (2025, 12)), ((2026, 12), 12, (2025, 12))],
)
def test_months_are_counted_over_years(now: tuple[int, int], months: int, first: tuple[int, int]) -> None:
    assert months_before(datetime(*now, 24, tzinfo=timezone.utc), months) == datetime(
        *first, 1, tzinfo=timezone.utc
    )
