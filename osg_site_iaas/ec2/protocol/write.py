"""An answer in EC2's XML, from values named as the model names them."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timezone
from typing import Any, Callable, Mapping, Optional
from xml.sax.saxutils import escape

from osg_site_iaas.ec2.protocol.model import LATEST, Model

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'  # HTCondor compares it to the letter
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VERSION = re.compile(r"\d{4}-\d\d-\d\d\Z")

Emit = Callable[[Any, "list[str]"], None]


class Fragment(str):
    """XML that was written before: an element of a list that is kept between answers."""


class UnknownMemberError(KeyError):
    """An action answered with a member that the model does not have."""


def xml_text(value: object) -> str:
    """Text for XML; what XML cannot hold at all becomes a question mark."""
    return escape(_NOT_XML.sub("?", str(value)))


def timestamp(value: datetime) -> str:
    """As EC2 writes times: UTC, milliseconds, Z."""
    moment = value.astimezone(timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}Z"


def _scalar(kind: str) -> Callable[[Any], str]:
    if kind == "boolean":
        return lambda value: "true" if value else "false"
    if kind == "timestamp":
        return lambda value: timestamp(value) if isinstance(value, datetime) else xml_text(value)
    if kind == "blob":
        return lambda value: (
            base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else xml_text(value)
        )
    return xml_text


class Writer:
    """Writes the answers of a model's operations; each shape is compiled when it is first met.

    With ``strict`` a member unknown to the model raises; without, it is left out: an older botocore
    knows less than this code may say.
    """

    def __init__(self, model: Model, *, strict: bool = False) -> None:
        self._model = model
        self._strict = strict
        self._compiled: dict[str, Emit] = {}

    def _emitter(self, name: str) -> Emit:
        found = self._compiled.get(name)
        if found is None:
            found = self._compiled[name] = self._compile(name)
        return found

    def _compile(self, name: str) -> Emit:
        shape = self._model.shapes[name]
        if shape.kind == "structure":
            return self._structure(name)
        if shape.kind == "list":
            return self._list(name)
        convert = _scalar(shape.kind)
        return lambda value, out: out.append(convert(value))

    def _structure(self, name: str) -> Emit:
        members = {
            member.name: (f"<{member.xml}>", f"</{member.xml}>", member.shape)
            for member in self._model.shapes[name].members
        }

        def emit(value: Any, out: list[str]) -> None:
            if isinstance(value, Fragment):
                out.append(value)
                return
            for key, inner in value.items():
                if inner is None:
                    continue
                known = members.get(key)
                if known is None:
                    if self._strict:
                        raise UnknownMemberError(f"{name}.{key}")
                    continue
                opening, closing, shape = known
                out.append(opening)
                self._emitter(shape)(inner, out)
                out.append(closing)

        return emit

    def _list(self, name: str) -> Emit:
        shape = self._model.shapes[name]
        opening, closing = f"<{shape.item_xml}>", f"</{shape.item_xml}>"

        def emit(value: Any, out: list[str]) -> None:
            inner = self._emitter(shape.item)
            for element in value:
                out.append(opening)
                inner(element, out)
                out.append(closing)

        return emit

    def fragment(self, shape: str, value: Mapping[str, Any]) -> Fragment:
        """The inside of one structure, to be put in place of the value in later answers."""
        out: list[str] = []
        self._emitter(shape)(value, out)
        return Fragment("".join(out))

    def answer(
        self, operation: str, values: Optional[Mapping[str, Any]], request_id: str, version: str
    ) -> bytes:
        """The whole answer. None, or an operation without an output, is EC2's ``<return>true</return>``."""
        shape = self._model.output(operation)
        tail = f"<requestId>{request_id}</requestId>"
        out = [DECLARATION, f'\n<{operation}Response xmlns="{namespace(version)}">', tail]
        if values is None or shape is None:
            out.append("<return>true</return>")
        else:
            self._emitter(shape.name)(values, out)
        out.append(f"</{operation}Response>")
        return "".join(out).encode("utf-8")


def namespace(version: str) -> str:
    """The namespace of the API version that the client asked for."""
    return f"http://ec2.amazonaws.com/doc/{version if _VERSION.match(version) else LATEST}/"


def error_answer(code: str, message: str, request_id: str) -> bytes:
    """EC2's error document. HTCondor looks for ``<Error><Code>…</Code>`` with nothing between."""
    return (
        f"{DECLARATION}\n<Response><Errors><Error><Code>{xml_text(code)}</Code>"
        f"<Message>{xml_text(message)}</Message></Error></Errors>"
        f"<RequestID>{xml_text(request_id)}</RequestID></Response>"
    ).encode()
