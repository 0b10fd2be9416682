from __future__ import annotations

import importlib.util
from datetime import datetime, timezone

import pytest

from osg_site_iaas.sandbox import access
from osg_site_iaas.sandbox.model import INSIDE

spec = importlib.util.spec_from_file_location("access_log", INSIDE / "access_log.py")
assert spec is not None
assert spec.loader is not None
access_log = importlib.util.module_from_spec(spec)
spec.loader.exec_module(access_log)


def answer(logs, service, method="GET", path="/v3", query="", status="200 OK", agent="test", app=None):
    """Send one request through the wrapper, as a server would."""

    def fine(environ, start_response):
        environ["PATH_INFO"] = "/rewritten"
        start_response(status, [])
        return [b"answer"]

    environ = {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "PATH_INFO": path, "QUERY_STRING": query}
    if agent:
        environ["HTTP_USER_AGENT"] = agent
    wrapped = access_log.AccessLog(app or fine, logs / f"access-{service}.log")
    return wrapped(environ, lambda status, headers, exc_info=None: None)


def test_what_was_asked_between_two_marks_is_what_is_counted(tmp_path):
    answer(tmp_path, "nova", path="/before")
    since = access.mark(tmp_path)
    answer(tmp_path, "nova", "POST", "/v2.1/servers", status="202 Accepted")
    answer(tmp_path, "keystone", path="/v3/projects", query="name=x")
    until = access.mark(tmp_path)
    answer(tmp_path, "nova", path="/after")
    found = access.requests(tmp_path, since, until)
    assert [(r.service, r.method, r.path, r.status, r.agent) for r in found] == [
        ("nova", "POST", "/v2.1/servers", 202, "test"),
        ("keystone", "GET", "/v3/projects?name=x", 200, "test"),
    ]
    assert all(0 <= r.ms < 60000 and r.at.tzinfo == timezone.utc for r in found)
    assert [r.path for r in access.requests(tmp_path, since)][-1] == "/after"


def test_the_line_is_there_before_the_answer_is(tmp_path):
    body = answer(tmp_path, "nova")
    assert len(access.requests(tmp_path, {})) == 1
    assert list(body) == [b"answer"]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("X-Amz-Signature=abc&x=1", "X-Amz-Signature=***&x=1"),
        ("AWSAccessKeyId=AK&Signature=s%2B&Expires=9", "AWSAccessKeyId=***&Signature=***&Expires=9"),
        ("X-Amz-Security-Token=t", "X-Amz-Security-Token=***"),
        ("temp_url_sig=deadbeef&temp_url_expires=1", "temp_url_sig=***&temp_url_expires=1"),
        ("X-Amz-Credential=AK/20260101/r/s3/aws4_request", "X-Amz-Credential=***"),
        ("marker=5", "marker=5"),
    ],
)
def test_signatures_are_not_kept(query, kept, tmp_path):
    answer(tmp_path, "swift", path="/b", query=query)
    assert access.requests(tmp_path, {})[0].path == f"/b?{kept}"


def test_a_client_cannot_write_lines_of_its_own(tmp_path):
    answer(tmp_path, "nova", path="/a\nb\tc", agent="x\r\n2026\tGET")
    (only,) = access.requests(tmp_path, {})
    assert (only.path, only.agent) == ("/a b c", "x  2026 GET")


def test_no_log_yet_is_no_request(tmp_path):
    assert access.requests(tmp_path, access.mark(tmp_path)) == []


def test_a_line_reads_as_a_request():
    line = "2026-11-22T10:00:00.125+00:00\tPUT\t/v1/AUTH_x/c\t201\t12.5\tboto3 x"
    assert access.parse("swift", [line]) == [
        access.Request(
            "swift",
            datetime(2026, 11, 22, 10, 0, 0, 125000, timezone.utc),
            "PUT",
            "/v1/AUTH_x/c",
            201,
            12.5,
            "boto3 x",
        )
    ]
