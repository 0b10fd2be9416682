"""The retired ec2-api 17.0.0 in front of a sandbox, from PyPI, in an environment of its own."""

from __future__ import annotations

import contextlib
import subprocess
import time
from pathlib import Path
from typing import Iterator

import requests
from parts.peers import environment

from osg_site_iaas.sandbox import Sandbox

# What it needs to start at all: it was given up before the next versions of these.
PEER = ("ec2-api==17.0.0", "SQLAlchemy<2", "oslo.db<13", "oslo.context<6", "setuptools<80")
PASTE = """
[pipeline:ec2api]
pipeline = faults log keystone request executor
[filter:faults]
paste.filter_factory = ec2api.api:FaultWrapper.factory
[filter:log]
paste.filter_factory = ec2api.api:RequestLogging.factory
[filter:keystone]
paste.filter_factory = ec2api.api:EC2KeystoneAuth.factory
[filter:request]
paste.filter_factory = ec2api.api:Requestify.factory
[app:executor]
paste.app_factory = ec2api.api:Executor.factory
"""
CONFIGURATION = """
[DEFAULT]
ec2api_listen = 127.0.0.1
ec2api_listen_port = {port}
ec2api_workers = {workers}
keystone_ec2_tokens_url = {keystone}/ec2tokens
cinder_service_type = block-storage
api_paste_config = {folder}/api-paste.ini
state_path = {folder}
[database]
connection = sqlite:///{folder}/ec2api.sqlite
[keystone_authtoken]
auth_type = password
auth_url = {keystone}
username = admin
password = {password}
project_name = admin
user_domain_id = default
project_domain_id = default
region_name = RegionOne
[oslo_concurrency]
lock_path = {folder}
"""


@contextlib.contextmanager
def running(box: Sandbox, folder: Path, port: int, workers: int = 1) -> Iterator[str]:
    """Its URL, while it runs."""
    programs = environment("ec2-api", PEER)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "api-paste.ini").write_text(PASTE)
    configuration = folder / "ec2api.conf"
    configuration.touch(mode=0o600)
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            port=port,
            workers=workers,
            keystone=box.endpoints["keystone"].rstrip("/"),
            password=box.admin_password,
        )
    )
    options = ["--config-file", str(configuration)]
    subprocess.run([programs / "ec2-api-manage", *options, "db_sync"], check=True, capture_output=True)
    url = f"http://127.0.0.1:{port}/"
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(
            [programs / "python", str(Path(__file__).with_name("run_ec2_api.py")), *options],
            stdout=log,
            stderr=log,
        )
    try:
        limit = time.monotonic() + 120
        while True:
            if process.poll() is not None or time.monotonic() > limit:
                raise RuntimeError(f"ec2-api does not start: {(folder / 'log').read_text()[-2000:]}")
            with contextlib.suppress(requests.ConnectionError):
                requests.get(url, timeout=5)
                break
            time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait(60)
