"""A proxy login beside a password login on the same Keystone, and 100 at once: ``python benchmarks/identity_login.py``.

Needs a sandbox that is up, named by OSG_SITE_IAAS_TEST_SANDBOX, with Keystone's own cost of a password hash: the
sandbox's is lower unless it is started with `--set keystone/keystone.conf:identity.password_hash_rounds=12`. Each
login makes a new TLS connection. Bounds: half of a password login; 100 in parallel without a failure.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parents[1]))

import os

import requests

from osg_site_iaas.sandbox import Sandbox
from tests.issuer import Issuer
from tests.sandbox import identity_fixtures as fixtures
from tests.sandbox_cloud import Cloud


def proxy_login(site: fixtures.GridSite, file: str, *, steps: int = 1) -> None:
    """One step is what our plugins do; two (unscoped, scoped) is what federation usually takes."""
    scope = {"project": {"name": "cms", "domain": {"name": site.domain}}}
    with requests.Session() as http:
        if steps == 1:
            one = {"identity_provider": site.x509_provider, "protocol": "mapped"}
            identity: dict[str, Any] = {"methods": ["mapped"], "mapped": one}
        else:
            url = site.login_url(site.x509_provider)
            first = http.get(url, cert=(file, file), timeout=120, verify=site.ca_file)
            first.raise_for_status()
            identity = {"methods": ["token"], "token": {"id": first.headers["X-Subject-Token"]}}
        body = {"auth": {"identity": identity, "scope": scope}}
        url = f"{site.url}/auth/tokens"
        http.post(url, json=body, cert=(file, file), timeout=120, verify=site.ca_file).raise_for_status()


def password_login(site: fixtures.GridSite, password: str) -> None:
    user = {"name": "admin", "password": password, "domain": {"id": "default"}}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    requests.post(f"{site.url}/auth/tokens", json=body, verify=site.ca_file, timeout=120).raise_for_status()


def times(functions: dict[str, Callable[[], None]], rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each, taken in turns so that the machine's other work hits all alike."""
    found: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            start = time.perf_counter()
            function()
            found[name].append((time.perf_counter() - start) * 1000)
    return found


def main() -> None:
    cloud = Cloud(Sandbox.open(os.environ["OSG_SITE_IAAS_TEST_SANDBOX"]))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        issuer = stack.enter_context(Issuer(folder))
        site = stack.enter_context(fixtures.opened(cloud, folder, uuid.uuid4().hex[:6], issuer))
        files = [site.file(site.proxy(site.user(f"U{n}"), fixtures.CMS)) for n in range(100)]
        functions = {
            "proxy: TLS, verification, scoped token": lambda: proxy_login(site, files[0]),
            "proxy, by way of an unscoped token": lambda: proxy_login(site, files[0], steps=2),
            "password: TLS, scoped token": lambda: password_login(site, cloud.admin_password),
        }
        for name, taken in times(functions, 30).items():
            print(f"{name:46} median {statistics.median(taken):7.1f} ms  fastest {min(taken):7.1f} ms")
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(100) as pool:
            results = list(pool.map(lambda file: _tried(site, file), files))
        failed = [result for result in results if result]
        print(f"100 proxy logins at once: {len(failed)} failed, {time.perf_counter() - start:.1f} s")
        for reason in failed[:3]:
            print(f"  {reason}")


def _tried(site: fixtures.GridSite, file: str) -> str:
    try:
        proxy_login(site, file)
    except requests.RequestException as error:
        return str(error)
    return ""


if __name__ == "__main__":
    main()
