"""How the values of each kind of entry are converted: what the schema leaves as text becomes what is counted."""

from __future__ import annotations

from typing import Any, Callable, Mapping

from osg_site_iaas.declaration import units
from osg_site_iaas.declaration.units import Unfit

Convert = Callable[[Any], Any]  # raises Unfit

_MEBIBYTES = ("ram",)
_GIBIBYTES = ("gigabytes", "backup_gigabytes", "per_volume_gigabytes")


def size_in(unit: str) -> Convert:
    """To a size in a unit."""
    return lambda value: units.size(value, unit)


def limit(name: str) -> Convert:
    """To the limit of that name, in the unit that OpenStack counts it in."""
    if name in _MEBIBYTES:
        return size_in("MiB")
    if name in _GIBIBYTES or name.startswith("gigabytes_"):
        return size_in("GiB")
    return size_in("B")


def _memory(value: Any) -> int:
    amount = units.size(value, "MiB")
    if amount < 1:
        raise Unfit("a server needs memory", "Write 1 MiB at least.")
    return amount


def _cidr(value: str) -> str:
    return str(units.network(value))


def _gateway(value: Any) -> Any:
    return None if value == "none" else str(units.address(value))


def address(value: Any) -> Any:
    """An address in its usual spelling; nothing stays nothing."""
    return None if value is None else str(units.address(value))


FLAVOUR = {"ram": _memory, "swap": size_in("MiB"), "disk": size_in("GiB"), "ephemeral": size_in("GiB")}
SUBNET = {"cidr": _cidr, "gateway": _gateway, "pool": units.pool}
RULE: Mapping[str, Convert] = {"ports": units.ports, "remote": _cidr, "protocol": str}
IMAGE: Mapping[str, Convert] = {"checksum": str.lower, "min_disk": size_in("GiB"), "min_ram": size_in("MiB")}
ACCOUNTING = {"collector": units.host_and_port}
BUCKET = {"quota": size_in("B")}
