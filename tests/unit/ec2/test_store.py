"""What workers share: reserved once, counted together, and worth nothing when it is lost."""

from __future__ import annotations

import threading

import pytest

from osg_site_iaas.ec2 import store as module
from osg_site_iaas.ec2.store import Store


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store.sqlite")


def test_a_token_is_reserved_once_by_however_many_at_once(tmp_path):
    firsts, stores = [], [Store(tmp_path / "s") for _ in range(8)]

    def reserve(one):
        if one.reserve("p", "t", "d") is None:
            firsts.append(one)

    threads = [threading.Thread(target=reserve, args=(one,)) for one in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(firsts) == 1


def test_the_second_gets_the_firsts_answer(store):
    assert store.reserve("p", "t", "d") is None
    assert store.reserve("p", "t", "other") == ("d", None)
    store.fulfil("p", "t", [{"id": "x"}])
    assert store.reserve("p", "t", "d") == ("d", [{"id": "x"}])
    assert store.reserve("another project", "t", "d") is None


def test_a_token_that_was_given_back_or_whose_worker_died_is_free(store, monkeypatch):
    store.reserve("p", "t", "d")
    store.release("p", "t")
    assert store.reserve("p", "t", "d") is None
    monkeypatch.setattr(module, "PENDING_SECONDS", -1)
    assert store.reserve("p", "t", "d") is None


def test_changes_are_numbered_and_seen_by_others(store, tmp_path):
    other = Store(tmp_path / "store.sqlite")
    assert other.changes("p", 0) == (0, [])
    store.change("p", ["a", "b"])
    store.change("q", ["c"])
    number, servers = other.changes("p", 0)
    assert servers == ["a", "b"]
    assert other.changes("p", number) == (number, [])


def test_terminated_ones_are_kept_an_hour_and_the_first_word_counts(store, monkeypatch):
    store.bury("p", {"a": {"x": 1}})
    store.bury("p", {"a": {"x": 2}})
    assert store.buried("p") == {"a": {"x": 1}}
    assert store.buried("q") == {}
    monkeypatch.setattr(module, "GONE_SECONDS", -1)
    assert store.buried("p") == {}


def test_a_rate_is_bounded_and_refills(store, monkeypatch):
    clock = [1000.0]
    monkeypatch.setattr(module.time, "time", lambda: clock[0])
    assert [store.take("k", 1, 3) for _ in range(5)] == [True, True, True, False, False]
    assert store.take("other", 1, 3)
    clock[0] += 2
    assert [store.take("k", 1, 3) for _ in range(3)] == [True, True, False]


def test_a_store_that_is_broken_is_made_anew(tmp_path):
    path = tmp_path / "s"
    path.write_bytes(b"this is not a database" * 100)
    assert Store(path).reserve("p", "t", "d") is None


def test_the_store_is_readable_by_its_owner_only(tmp_path):
    Store(tmp_path / "s")
    assert (tmp_path / "s").stat().st_mode & 0o777 == 0o600


def test_metrics_are_what_prometheus_reads(store):
    store.count("RunInstances", "ok", 0.25, 2)
    store.count("RunInstances", "ok", 0.25, 2)
    text = store.metrics()
    assert 'osg_site_iaas_ec2_calls_total{action="RunInstances",code="ok"} 2\n' in text
    assert 'osg_site_iaas_ec2_backend_requests_total{action="RunInstances",code="ok"} 4\n' in text
