"""cASO as a site runs it beside APEL: its Nova extractor, and messages for SSM in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Mapping, Sequence

from parts.peers import environment

PACKAGES = ("caso==5.2.2",)
CONFIG = """
[DEFAULT]
projects = {projects}
site_name = Example-Cloud
service_name = cloud.example.org
region_name = {region}
messengers = ssm
extractor = nova
spooldir = {folder}/spool
lock_path = {folder}/spool
mapping_file = {folder}/voms.json

[ssm]
output_path = {folder}/messages

[keystone_auth]
auth_type = password
auth_url = {auth_url}
username = {username}
password = {password}
user_domain_id = {user_domain_id}
project_domain_id = {project_domain_id}
"""


class Caso:
    """One cASO with its own configuration, spool and messages."""

    def __init__(self, folder: Path, auth: Mapping[str, str], region: str, projects: Sequence[str]) -> None:
        self._program = environment("caso", PACKAGES) / "caso-extract"
        self._folder = folder
        folder.mkdir()
        (folder / "voms.json").write_text(
            '{{"vo.example.org": {{"projects": ["{}"]}}}}'.format('", "'.join(projects))
        )
        told = {name: value for name, value in auth.items() if not name.startswith("project_name")}
        (folder / "caso.conf").write_text(
            CONFIG.format(projects=",".join(projects), region=region, folder=folder, **told)
        )

    def run(self) -> int:
        """One ``caso-extract`` from its last run to now; how many cloud records it wrote."""
        before = self.records()
        done = subprocess.run(
            [str(self._program), "--config-file", str(self._folder / "caso.conf")],
            env={"PATH": os.environ["PATH"], "HOME": str(self._folder), "TZ": "UTC"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or "the following exception" in done.stderr:
            sys.exit(f"cASO failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return self.records() - before

    def records(self) -> int:
        """Cloud records in all its messages so far."""
        files = (self._folder / "messages").glob("*/*")
        return sum(file.read_text().count("VMUUID:") for file in files if file.is_file())
