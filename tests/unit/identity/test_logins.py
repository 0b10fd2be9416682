"""The record of who logged in forgets who has not come for long."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from osg_site_iaas.identity.logins import Logins
from osg_site_iaas.mapping.credential import Certificate

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.timezone.utc)


def test_it_is_kept_for_so_many_days_after_the_last_login(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins.sqlite", keep_days=180)
    for name, days in (("old", 200), ("often", 170), ("often", 10)):
        logins.add(name, f"/CN={name}", "cms", Certificate(f"/CN={name}"), NOW - dt.timedelta(days=days))
    logins.add("new", "/CN=new", "cms", Certificate("/CN=new"), NOW)
    assert [one.user_id for one in logins.all()] == ["often", "new"]


def test_without_a_bound_nothing_is_forgotten(tmp_path: Path) -> None:
    logins = Logins(tmp_path / "logins.sqlite")
    logins.add("old", "/CN=old", "cms", Certificate("/CN=old"), NOW - dt.timedelta(days=4000))
    logins.add("new", "/CN=new", "cms", Certificate("/CN=new"), NOW)
    assert len(logins.all()) == 2
