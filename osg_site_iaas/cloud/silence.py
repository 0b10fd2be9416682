"""Why nobody answered, in words for a person: what lies below the errors of requests and keystoneauth."""

from __future__ import annotations

import socket
import ssl
from typing import Iterator, Optional

import requests

_CLOCK = (9, 10)  # OpenSSL: not yet valid, or no more
_UNKNOWN = (18, 19, 20, 21)  # nobody known has signed it


def why_silent(error: BaseException) -> Optional[str]:
    """Why there was no answer, as the end of a sentence; None where that is not what the error is about."""
    below = list(_below(error))
    if any(isinstance(one, requests.exceptions.ProxyError) for one in below):
        return "the proxy that is set in the environment (https_proxy, http_proxy) lets nothing through"
    for one in below:
        if isinstance(one, socket.gaierror) or "Name or service not known" in str(one):
            return "its name cannot be resolved: is DNS well here (getent hosts NAME)?"
        if isinstance(one, ssl.SSLCertVerificationError):
            return _mistrust(one)
        if isinstance(one, ssl.SSLError):
            return f"it speaks no TLS that can be understood: {one.reason or one}"
        if isinstance(one, ConnectionRefusedError):
            return "the connection is refused: nothing listens there, or a firewall says no"
        if isinstance(one, ConnectionResetError):
            return "the connection was cut"
        if isinstance(one, (socket.timeout, TimeoutError, requests.exceptions.Timeout)):
            return "no answer came in time"
        if isinstance(one, requests.exceptions.ConnectionError) or not isinstance(one, OSError):
            continue
        if one.strerror:
            words = one.strerror[:1].lower() + one.strerror[1:]
            return f"{words}: {one.filename}" if one.filename else words
    return None


def _mistrust(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _CLOCK:
        return f"its certificate is refused: {error.verify_message} (is this host's clock right?)"
    if error.verify_code in _UNKNOWN:
        return (
            "its certificate is of a CA that is not known here: `cacert` in clouds.yaml, or the system's CAs"
        )
    return f"its certificate is refused: {error.verify_message}"


def _below(error: BaseException) -> Iterator[BaseException]:
    """An error and all that it came of, the deepest ones first."""
    found: list[BaseException] = []
    ways: list[object] = [error]
    while ways:
        one = ways.pop(0)
        if isinstance(one, BaseException) and one not in found:
            found.append(one)
            ways += [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
    return reversed(found)
