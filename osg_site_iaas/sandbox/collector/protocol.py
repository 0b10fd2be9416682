"""The collector's HTTP door without HTTP: a form goes in, records and a reply come out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping
from urllib.parse import parse_qsl

from osg_site_iaas.sandbox.collector.record import Fields, Unreadable, envelope, flatten

PATH = "/gratia-servlets/rmi"
FORM_LIMIT = 10 * 1024 * 1024  # bytes of the encoded form; Go reads no further and then finds no fields


@dataclass(frozen=True)
class Reply:
    """What the client is told, and the records to keep before it is told so."""

    status: int
    text: str
    records: tuple[Fields, ...] = ()
    unknown: int = 0  # elements that are no usage record: counted, else ignored


OK = Reply(200, "OK")
UNAVAILABLE = Reply(503, "Service unavailable right now")


def form(body: bytes, query: str = "") -> dict[str, str]:
    """The form's fields, the first of each name; empty if it is larger than the collector reads."""
    if len(body) > FORM_LIMIT:
        body = b""
    fields: dict[str, str] = {}
    for text in (body.decode("utf-8", "replace"), query):
        for name, value in parse_qsl(text, keep_blank_values=True, separator="&"):
            fields.setdefault(name, value)
    return fields


def answer(fields: Mapping[str, str]) -> Reply:
    """What the collector says to a form. A bundle is taken whole or refused whole."""
    command = fields.get("command", "")
    if not command:
        return _refuse('missing key "command"')
    if command not in ("update", "multiupdate"):
        return _refuse("unknown command")
    for name in ("arg1", "from"):
        if not fields.get(name):
            return _refuse(f'missing key "{name}"')
    if command == "update":
        return _update(fields)
    try:
        elements, unknown = envelope(fields["arg1"])
        return Reply(200, "OK", tuple(flatten(element) for element in elements), unknown)
    except Unreadable:
        return _refuse("error unmarshalling xml")


def _update(fields: Mapping[str, str]) -> Reply:
    """``update`` is a ping, or what one collector sends to another; the latter is not rebuilt here."""
    if fields["arg1"] == "xxx":
        return OK
    if not fields.get("bundlesize"):
        return _refuse('missing key "bundlesize"')
    return _refuse("this stand-in takes no replication from other collectors")


def _refuse(what: str) -> Reply:
    return Reply(400, f"Error handling request: {what}")
