from __future__ import annotations

import socket

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import ports


def test_a_base_port_gives_ports_in_a_row():
    given = ports.assign(["a", "b", "c"], base=20000, have={}, avoid=(), free=lambda port: True)
    assert given == {"a": 20000, "b": 20001, "c": 20002}


def test_a_taken_port_is_named_with_what_wanted_it():
    with pytest.raises(SandboxError, match=r"port 20001 \(b\).*\n.*--base-port"):
        ports.assign(["a", "b"], base=20000, have={}, avoid=(), free=lambda port: port != 20001)


@pytest.mark.parametrize("base", [0, 80, -1, 65535])
def test_a_base_port_out_of_range_is_refused(base):
    with pytest.raises(SandboxError, match="choose a base port from 1024"):
        ports.assign(["a", "b"], base=base, have={}, avoid=(), free=lambda port: True)


def test_ports_stay_while_they_are_free():
    have = {"a": 16001, "b": 16002}
    assert ports.assign(["a", "b"], base=None, have=have, avoid=(), free=lambda port: True) == have


def test_a_port_that_another_program_took_is_drawn_anew_and_the_others_stay():
    given = ports.assign(
        ["a", "b"], base=None, have={"a": 16001, "b": 16002}, avoid=(), free=lambda port: port != 16001
    )
    assert given["b"] == 16002
    assert given["a"] in set(ports.RANDOM_RANGE) - {16001, 16002}


def test_random_ports_differ_from_one_another_and_from_those_of_other_sandboxes():
    names = [f"p{n}" for n in range(200)]
    avoid = set(range(15000, 30700))
    given = ports.assign(names, base=None, have={}, avoid=avoid, free=lambda port: True)
    assert len(set(given.values())) == 200
    assert not avoid & set(given.values())


def test_no_free_port_is_an_error_that_says_what_to_do():
    with pytest.raises(SandboxError, match="down --all"):
        ports.assign(["a"], base=None, have={}, avoid=(), free=lambda port: False)


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not ports.is_free(listener.getsockname()[1])
    assert ports.is_free(listener_port := _unused()), listener_port


def _unused() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
