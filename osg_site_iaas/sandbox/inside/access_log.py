"""One line for each request: time, method, path, status, milliseconds, user agent, separated by tabs."""

import os
import re
import time
from datetime import datetime, timezone

_SECRET = re.compile(r"((?:signature|sig|credential|token|security-token|accesskeyid)=)[^&]*", re.IGNORECASE)


class AccessLog:
    """Wraps a WSGI application; the line is written when the answer has been sent."""

    def __init__(self, app, path):
        self.app = app
        self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def __call__(self, environ, start_response):
        began = time.monotonic()
        status = ["-"]

        def start(line, headers, exc_info=None):
            status[0] = line.split(" ", 1)[0]
            return start_response(line, headers, exc_info) if exc_info else start_response(line, headers)

        # Taken now: applications shift and rewrite these.
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        query = environ.get("QUERY_STRING", "")
        request = path + ("?" + _SECRET.sub(r"\1***", query) if query else "")
        agent = environ.get("HTTP_USER_AGENT", "-")
        try:
            answer = self.app(environ, start)
        except BaseException:
            self._write(environ["REQUEST_METHOD"], request, "500", began, agent)
            raise
        return _Answer(
            answer, lambda: self._write(environ["REQUEST_METHOD"], request, status[0], began, agent)
        )

    def _write(self, method, request, status, began, agent):
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        took = f"{(time.monotonic() - began) * 1000:.1f}"
        fields = (now, method, request, status, took, agent)
        line = "\t".join(re.sub(r"[\t\r\n]", " ", field) for field in fields)
        os.write(self.file, line.encode("utf-8", "replace") + b"\n")


class _Answer:
    def __init__(self, parts, done):
        self.parts = parts
        self.done = done

    def __iter__(self):
        return iter(self.parts)

    def close(self):
        try:
            if hasattr(self.parts, "close"):
                self.parts.close()
        finally:
            self.done()
