"""The application that Apache runs in the tests of the fronts: it tells which of our variables arrived."""

from __future__ import annotations

import json
from typing import Any


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("201 Created", [("Content-Type", "application/json")])
    return [json.dumps({k: str(v) for k, v in environ.items() if k.startswith("OSG_SITE")}).encode()]
