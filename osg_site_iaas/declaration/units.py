"""Texts with a meaning of their own (sizes, ports, addresses) to values; Unfit says why not."""

from __future__ import annotations

import functools
import ipaddress
import re
from fractions import Fraction
from typing import Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Net = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

UNLIMITED = -1
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?(?:([KMGTP])(i)?)?B")
_UNIT_BYTES = {"B": 1, "MiB": 1024**2, "GiB": 1024**3}
_LARGEST = {"B": 2**63 - 1, "MiB": 2**31 - 1, "GiB": 2**31 - 1}


class Unfit(ValueError):
    """A value whose form is right and which still cannot be used."""

    def __init__(self, what: str, todo: str) -> None:
        super().__init__(what)
        self.what = what
        self.todo = todo


@functools.lru_cache(maxsize=1024)
def size(value: Union[int, str], unit: str) -> int:
    """A size in ``unit`` (B, MiB or GiB): a number is in it already, a text has its own; unlimited is -1."""
    if isinstance(value, int):
        return value
    if value == "unlimited":
        return UNLIMITED
    match = _SIZE.fullmatch(value)
    if match is None:
        raise Unfit(f"{value!r} is not a size", f"Write a number and a unit, such as 40 {unit}.")
    number, power, binary = match.groups()
    total = Fraction(number) * (1024 if binary else 1000) ** _POWERS[power or ""]
    amount = total / _UNIT_BYTES[unit]
    if amount.denominator != 1:
        todo = f"The nearest is {round(amount)} {unit}."
        if power and not binary:
            todo = f"Write {number} {power}iB, which counts in 1024s. {todo}"
        raise Unfit(f"{value} is not a whole number of {unit}", todo)
    if amount > _LARGEST[unit]:
        raise Unfit(
            f"{value} is more than OpenStack can count", "Write a smaller size, or unlimited for a quota."
        )
    return int(amount)


def ports(value: Union[int, str]) -> tuple[int, int]:
    """First and last port of ``9618`` or ``30000-32000``."""
    first, _, last = str(value).partition("-")
    low, high = int(first), int(last or first)
    if high > 65535:
        raise Unfit(f"there is no port {high}", "Ports go up to 65535.")
    if low > high:
        raise Unfit(f"the range {low}-{high} is empty", f"Write {high}-{low}.")
    return low, high


def network(value: str) -> Net:
    """The network of a CIDR."""
    try:
        return ipaddress.ip_network(value)
    except ValueError:
        pass
    try:
        if "/" in value:
            meant = ipaddress.ip_network(value, strict=False)
            raise Unfit(f"{value} has bits set beyond its prefix", f"Write {meant}.")
    except Unfit:
        raise
    except ValueError:
        pass
    raise Unfit(f"{value!r} is not a range of addresses", "Write it in CIDR form, such as 10.20.0.0/16.")


def address(value: str) -> Address:
    """The IP address of a text."""
    try:
        return ipaddress.ip_address(value)
    except ValueError as error:
        raise Unfit(f"{value!r} is not an IP address", "Write one, such as 192.0.2.1.") from error


def pool(value: str) -> tuple[str, str]:
    """First and last address of ``10.20.0.10-10.20.0.250``."""
    first, last = (address(part.strip()) for part in value.split("-", 1))
    if first.version != last.version:
        raise Unfit("one end of the pool is IPv4 and the other IPv6", "Write two addresses of the subnet.")
    if int(first) > int(last):
        raise Unfit(f"the pool {first}-{last} is empty", f"Write {last}-{first}.")
    return str(first), str(last)


def host_and_port(value: str) -> str:
    """The text of a host and its port, the port being one."""
    ports(value.rpartition(":")[2])
    return value
