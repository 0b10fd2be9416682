"""What services write into the journal: one JSON object a line, whatever a stranger puts into it."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

from osg_site_iaas import journal


def test_a_record_is_one_object_with_its_request() -> None:
    token = journal.request_id.set("req-1")
    try:
        record = logging.LogRecord("a.b", logging.WARNING, "x", 1, "two\nlines %s", ('"q"',), None)
        found = json.loads(journal.Lines().format(record))
    finally:
        journal.request_id.reset(token)
    assert found.pop("time").endswith("+00:00")
    assert found == {"level": "WARNING", "logger": "a.b", "message": 'two\nlines "q"', "request_id": "req-1"}


def test_no_field_can_begin_another_line() -> None:
    assert "\n" not in journal.line(path='/x\n{"status": 200}', other="\x1b[2J")
    assert "\x1b" not in journal.line(other="\x1b[2J")


def test_an_exception_stays_on_the_line_of_its_record() -> None:
    try:
        raise ValueError("wrong")
    except ValueError:
        record = logging.LogRecord("a", logging.ERROR, "x", 1, "failed", (), sys.exc_info())
    text = journal.Lines().format(record)
    assert "\n" not in text
    assert json.loads(text)["trace"].endswith("ValueError: wrong")


def test_the_journal_is_known_by_device_and_inode(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        found = os.fstat(stream.fileno())
        where = f"{found.st_dev}:{found.st_ino}"
        assert journal.is_journal(stream, {"JOURNAL_STREAM": where})
        assert not journal.is_journal(stream, {"JOURNAL_STREAM": "1:2"})  # a pipe that a unit has made itself
        assert not journal.is_journal(stream, {"JOURNAL_STREAM": where, journal.VARIABLE: "text"})
        assert not journal.is_journal(stream, {})
    assert not journal.is_journal(io.StringIO(), {"JOURNAL_STREAM": where})
    assert journal.is_journal(io.StringIO(), {journal.VARIABLE: "json"})


def test_a_service_logs_objects_and_not_what_libraries_chat() -> None:
    script = (
        "import logging; from osg_site_iaas import journal; journal.set_up(); journal.set_up()\n"
        "logging.getLogger('urllib3.connectionpool').info('chat'); logging.getLogger('mine').info('said')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, journal.VARIABLE: "json"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [json.loads(line)["message"] for line in done.stderr.splitlines()] == ["said"]
