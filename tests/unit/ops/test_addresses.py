"""Who had an address, from what was seen of it: times at the edges, other networks, what was never seen."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Iterator, Optional

import pytest

from osg_site_iaas.cli.who import address, moment, words
from osg_site_iaas.declaration.model import VO, Access, Cloud, Identity, ServiceUser, Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.logins import Login
from osg_site_iaas.mapping.credential import Certificate, Token
from osg_site_iaas.mapping.names import user_id, user_name
from osg_site_iaas.ops.addresses import observe
from osg_site_iaas.ops.addresses.ask import Found, ask
from osg_site_iaas.ops.addresses.observe import Has
from osg_site_iaas.ops.addresses.store import SCHEMA, Server, Store

IP = "10.0.0.5"
JANE = Certificate("/DC=org/DC=example/CN=Jane Pilot", ("/cms/Role=pilot",))
ROBOT = Token("https://issuer.example.org/igwn", "robot", (), ("compute.create",))
SITE = Site(
    Path("site.yml"), 1, Identity("Example-Cloud", "cloud.example.org"), Cloud("example"),
    vos=(VO("cms", "cms", access=(Access(fqan="/cms/*"),), service_users=(ServiceUser("cms-pilot"),)),),
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "addresses.sqlite") as opened:
        yield opened


def look(store: Store, at: int, has: set[Has], *servers: Server, keep_days: int = 180) -> None:
    """What ``observe.look`` writes, with what it has read given."""
    with store.transaction() as db:
        since = store.note("looked")
        for one in servers:
            observe._remember(db, one)
        observe._update(db, has, at, since)
        observe._forget(db, at - keep_days * observe.DAY)
        db.execute("INSERT OR REPLACE INTO note VALUES ('looked', ?)", (at,))


def server(uuid: str, created: int, ended: Optional[int] = None, user: str = "u") -> Server:
    return Server(uuid, "p", user, f"name-{uuid}", "", created, ended)


def has(uuid: str, network: str = "n", kind: str = "fixed") -> Has:
    return Has(IP, uuid, network, kind)


def found(store: Store, at: int, *logins: Login) -> Found:
    return ask(store, SITE, logins, IP, at)


def said(store: Store, at: int) -> list[tuple[str, bool]]:
    return [(one.server.uuid, one.sure) for one in found(store, at).answers]


def test_an_address_that_passed_from_one_server_to_another_names_each_in_its_time(store: Store) -> None:
    look(store, 1000, {has("a")}, server("a", 950))
    look(store, 1300, {has("a")})
    look(store, 1600, {has("b")}, server("a", 950, ended=1400), server("b", 1450))
    look(store, 1900, {has("b")})
    assert said(store, 900) == []
    assert said(store, 960) == [("a", True)]  # not looked at yet, but a fixed address comes with its server
    assert said(store, 1100) == [("a", True)]
    assert said(store, 1350) == [("a", True)]
    assert said(store, 1420) == []  # a had ended, b was not created
    assert said(store, 1500) == [("b", True)]
    assert said(store, 1700) == [("b", True)]
    assert said(store, 1900) == [("b", True)]
    assert said(store, 9999) == [("b", False)]  # nobody has looked since: it may be another's


def test_what_came_after_the_last_look_is_never_sure(store: Store) -> None:
    """A server was deleted, and its address given to another VO's, before anybody looked again."""
    look(store, 1000, {has("a")}, server("a", 950))
    assert said(store, 1001) == [("a", False)]
    look(store, 2000, {has("b")}, server("a", 950, ended=1010), server("b", 1020))
    assert said(store, 1001) == [("a", True)]
    assert said(store, 1015) == []
    assert said(store, 1500) == [("b", True)]


@pytest.mark.parametrize("text", ["10.0.0.5", " 10.0.0.5\n", "::ffff:10.0.0.5"])
def test_an_address_is_known_however_a_log_wrote_it(text: str) -> None:
    assert address(text) == IP


def test_a_floating_address_that_moved_between_two_looks_may_be_either_servers(store: Store) -> None:
    look(store, 1000, {has("a", kind="floating")}, server("a", 100), server("b", 100))
    look(store, 1300, {has("b", kind="floating")})
    assert said(store, 900) == [("a", False)]
    assert sorted(said(store, 1200)) == [("a", False), ("b", False)]
    assert said(store, 1300) == [("b", True), ("a", False)]


def test_one_private_address_in_two_networks_names_both(store: Store) -> None:
    look(store, 1000, {has("a", "n1"), has("b", "n2")}, server("a", 500), server("b", 500))
    assert sorted(said(store, 1000)) == [("a", True), ("b", True)]


def test_a_server_that_was_never_seen_with_an_address_is_possible_while_it_lived(store: Store) -> None:
    look(store, 1000, set())
    look(store, 1300, set(), server("short", 1100, ended=1200))
    assert [one.server.uuid for one in found(store, 1150).possible] == ["short"]
    assert found(store, 1250).possible == ()


def test_a_server_that_failed_to_start_is_not_possible_and_one_that_is_being_built_is(store: Store) -> None:
    look(
        store,
        1000,
        set(),
        of("failed", "error", 900),
        of("built", "building", 900),
        of("ran", "error", 900, "x"),
    )
    assert {one.server.uuid for one in found(store, 950).possible} == {"built", "ran"}
    look(store, 1300, set(), of("built", "deleted", 900))  # taken away before it was started
    assert [one.server.uuid for one in found(store, 950).possible] == ["ran"]
    look(store, 1600, set(), of("failed", "active", 900, "x"))  # built again
    assert {one.server.uuid for one in found(store, 950).possible} == {"failed", "ran"}


def of(uuid: str, state: str, created: int, launched: str = "") -> Server:
    """A server as Nova shows it."""
    return observe._of({
        "id": uuid, "tenant_id": "p", "user_id": "u", "name": uuid, "status": state.upper(),
        "OS-EXT-STS:vm_state": state, "created": "1970-01-01T00:15:00Z", "updated": "1970-01-01T00:20:00Z",
        "OS-SRV-USG:launched_at": launched or None, "OS-SRV-USG:terminated_at": None,
    })  # fmt: skip


def test_a_network_is_called_by_its_name_where_that_is_known(store: Store) -> None:
    look(store, 1000, {has("a"), has("b", "n2")}, server("a", 500), server("b", 500))
    with store.transaction() as db:
        db.execute("INSERT INTO network VALUES ('n', 'cms-net')")
    told = "\n".join(words(found(store, 1000), IP, moment("1970-01-01T00:16:40Z")))
    assert "fixed, network cms-net (n); seen" in told
    assert "fixed, network n2; seen" in told


def test_a_file_of_an_earlier_version_goes_on_with_what_it_holds(tmp_path: Path) -> None:
    file = tmp_path / "old.sqlite"
    first = SCHEMA.replace(", ran INTEGER NOT NULL DEFAULT 1", "").rpartition("CREATE TABLE network")[0]
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.executescript(f"{first}; PRAGMA user_version=1;")
        db.execute("INSERT INTO server VALUES ('a', 'p', 'u', 'name-a', '', 500, NULL)")
        db.commit()
    with Store(file, readonly=True) as opened:  # as `who` does before the timer has run
        assert [one.server for one in found(opened, 1000).possible] == [server("a", 500)]
    with Store(file) as opened:
        look(opened, 1000, {has("a")}, server("b", 600))
        assert said(opened, 1000) == [("a", True)]


def test_what_ended_long_ago_is_forgotten_and_what_runs_is_not(store: Store) -> None:
    look(store, 1000, {has("a"), has("b", "n2")}, server("a", 500), server("b", 500))
    look(store, 1300, {has("b", "n2")}, server("a", 500, ended=1200))
    look(store, 1301 + 180 * observe.DAY, {has("b", "n2")})
    assert said(store, 1000) == [("b", True)]
    assert [row["uuid"] for row in store.rows("SELECT uuid FROM server")] == ["b"]


def test_the_person_is_named_from_the_record_of_logins_or_else_from_keystones_name(store: Store) -> None:
    look(store, 1000, {has("a"), has("b", "n2"), has("c", "n3")},
         server("a", 500, user="1"), server("b", 500, user="2"), server("c", 500, user="3"))  # fmt: skip
    with store.transaction() as db:
        people = [("1", user_name(JANE)), ("2", user_name(ROBOT)), ("3", "cms-pilot")]
        db.executemany("INSERT INTO user VALUES (?,?)", people)
        db.execute("INSERT INTO project VALUES ('p', 'cms')")
        db.execute("INSERT INTO ec2_key VALUES ('AK1', '1', 'p', 900, 1000)")
    login = Login(user_id(JANE), user_name(JANE), "cms", JANE, "2026-11-01T00:00:00Z", "2026-11-20T00:00:00Z")
    by = {one.server.uuid: one for one in found(store, 1000, login).answers}
    assert (by["a"].who.dn, by["a"].who.fqans, by["a"].vo) == (JANE.dn, JANE.fqans, "cms")
    assert by["a"].ec2_keys == ("AK1",)
    assert (by["b"].who.issuer, by["b"].who.subject) == (ROBOT.issuer, ROBOT.subject)
    assert (by["c"].who.dn, by["c"].who.service_of) == (None, "cms")
    told = "\n".join(words(found(store, 1000, login), IP, moment("1970-01-01T00:16:40Z")))
    assert "DN        /DC=org/DC=example/CN=Jane Pilot" in told
    assert "token     issuer https://issuer.example.org/igwn, subject robot" in told
    assert "a service user of VO cms: it is shared" in told


def test_the_file_is_its_owners_alone(store: Store) -> None:
    assert store.file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text, seconds",
    [
        ("2026-11-20T14:05Z", 1795183500),
        ("2026-11-20 14:05", 1795183500),
        ("2026-11-20T15:05:00+01:00", 1795183500),
    ],
)
def test_a_time_is_utc_unless_it_says_otherwise(text: str, seconds: int) -> None:
    assert int(moment(text).timestamp()) == seconds


def test_what_is_no_time_is_said(store: Store) -> None:
    with pytest.raises(SiteError, match="is no time"):
        moment("yesterday")
