"""Runs the retired ec2-api in front of today's Keystone; started by its own environment's Python.

Keystone answers ``/v3/ec2tokens`` only to a service since 2025. ec2-api asks without a token: here one is added.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import ec2api.cmd.api
import requests
from ec2api import api, clients


def request(method, url, **options):
    token = clients.get_os_admin_session().get_token()
    options["headers"] = {**options.get("headers", {}), "X-Auth-Token": token}
    return requests.request(method, url, **options)


api.requests = SimpleNamespace(request=request)
sys.exit(ec2api.cmd.api.main())
