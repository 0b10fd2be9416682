"""Which ports a sandbox listens on."""

from __future__ import annotations

import random
import socket
from typing import Callable, Iterable, Mapping, Optional

from osg_site_iaas.errors import SandboxError

# Below what kernels hand out by themselves, so that no client's own port is in the way.
RANDOM_RANGE = range(15000, 31000)
HIGHEST = 65535


def is_free(port: int) -> bool:
    """Whether this machine would let us listen there now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def assign(
    names: Iterable[str],
    *,
    base: Optional[int],
    have: Mapping[str, int],
    avoid: Iterable[int],
    free: Callable[[int], bool] = is_free,
) -> dict[str, int]:
    """A port for each name.

    With ``base`` they follow one another from there, and one that is taken is a SandboxError. Without, those
    in ``have`` stay while they are free and the others are drawn at random.
    """
    wanted = list(names)
    if base is not None:
        if not 1024 <= base <= HIGHEST - len(wanted):
            raise SandboxError(
                f"ports from {base} on cannot be used",
                todo=f"choose a base port from 1024 to {HIGHEST - len(wanted)}",
            )
        given = {name: base + number for number, name in enumerate(wanted)}
        taken = [f"{port} ({name})" for name, port in given.items() if not free(port)]
        if taken:
            raise SandboxError(
                f"taken by another program: port {', '.join(taken)}",
                todo="stop what listens there, or choose another --base-port",
            )
        return given
    given = {}
    used = set(avoid)
    for name in wanted:
        port = have.get(name)
        if port is None or port in used or not free(port):
            candidates = (random.choice(RANDOM_RANGE) for _ in range(10000))  # noqa: S311
            port = next((each for each in candidates if each not in used and free(each)), None)
            if port is None:
                raise SandboxError("no free port found", todo="stop sandboxes you no longer need: down --all")
        given[name] = port
        used.add(port)
    return given
