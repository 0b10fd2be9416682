"""How services write their log: one JSON object a line into the journal, words into a terminal."""

from __future__ import annotations

import contextvars
import json
import logging
import os
import sys
from datetime import datetime, timezone
from typing import Any, Mapping, Optional, TextIO

VARIABLE = "OSG_SITE_IAAS_LOG"  # json or text, over what is found out
NOISY = ("keystoneauth", "urllib3", "openstack", "keystonemiddleware")
# The request that a thread is about; what is logged meanwhile names it.
request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def stamp(at: Optional[float] = None) -> str:
    """A time (seconds since 1970, or now) as log lines say it: UTC, milliseconds."""
    when = datetime.now(timezone.utc) if at is None else datetime.fromtimestamp(at, timezone.utc)
    return when.isoformat(timespec="milliseconds")


def line(**fields: Any) -> str:
    """One event as one line; what a stranger has put into a field cannot begin another."""
    return json.dumps(fields, default=str)


class Lines(logging.Formatter):
    """A record as one JSON object: time, level, logger, message, the request's id, and the trace of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": stamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id.get():
            fields["request_id"] = request_id.get()
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return line(**fields)


def is_journal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether systemd has connected a stream to its journal (it says so by device and inode)."""
    asked = environment.get(VARIABLE)
    if asked in ("json", "text"):
        return asked == "json"
    try:
        found = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return environment.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def set_up(level: int = logging.INFO) -> None:
    """Log of this process to standard error, at ``level``; of the libraries only what is wrong."""
    handler = logging.StreamHandler(sys.stderr)
    words = logging.Formatter("%(levelname)s %(name)s: %(message)s")
    handler.setFormatter(Lines() if is_journal(sys.stderr, os.environ) else words)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)


def events(name: str) -> logging.Logger:
    """A logger whose messages are whole lines (``line``) on standard output, beside the log."""
    made = logging.getLogger(name)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter("%(message)s"))
    made.handlers, made.propagate = [handler], False
    made.setLevel(logging.INFO)
    return made
