"""One line for each request: time, method, path, status, milliseconds, user agent, separated by tabs.

The line is written before the first byte of the answer leaves, so that whoever has an answer finds its line.
"""

import os
import re
import time
from datetime import datetime, timezone

_SECRET = re.compile(r"((?:signature|sig|credential|token|security-token|accesskeyid)=)[^&]*", re.IGNORECASE)


class AccessLog:
    """Wraps a WSGI application; the milliseconds are those until its answer began."""

    def __init__(self, app, path):
        self.app = app
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, environ, start_response):
        began = time.monotonic()
        # Taken now: applications shift and rewrite these.
        method = environ["REQUEST_METHOD"]
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        request = path + ("?" + _SECRET.sub(r"\1***", query) if query else "")
        agent = environ.get("HTTP_USER_AGENT", "-")

        def start(line, headers, exc_info=None):
            self._write(method, request, line.split(" ", 1)[0], began, agent)
            return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

        return self.app(environ, start)

    def _write(self, method, request, status, began, agent):
        now = datetime.now(timezone.utc).isoformat(timespec="microseconds")
        took = f"{(time.monotonic() - began) * 1000:.1f}"
        fields = (now, method, request, status, took, agent)
        line = "\t".join(re.sub(r"[\t\r\n]", " ", field) for field in fields)
        os.write(self.file, line.encode("utf-8", "replace") + b"\n")
