"""Where a request came from: what a proxy of ours says of it, and nothing that anybody else says."""

from __future__ import annotations

import ipaddress
from typing import Any, Iterable, Mapping, Optional, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Addresses and networks as a person writes them; ValueError for what is neither."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def client(environ: Mapping[str, Any], proxies: Iterable[Network]) -> str:
    """The client's address; nothing where the connection has none, as that of a socket.

    Each proxy adds at the end of X-Forwarded-For whom it has heard, so it is read from there: the first that is
    not one of ``proxies`` is the client. What stands before it, the client itself may have written.
    """
    connected = str(environ.get("REMOTE_ADDR") or "")
    heard = _address(connected)
    if heard is None:
        return ""
    known = tuple(proxies)
    said = str(environ.get("HTTP_X_FORWARDED_FOR") or "").split(",")
    while said and any(heard in one for one in known):
        before = _address(said.pop())
        if before is None:
            break
        heard = before
    return str(heard)


def _address(text: str) -> Optional[Address]:
    try:
        found = ipaddress.ip_address(text.strip())
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found  # where somebody listens for both versions
