"""The collection of this checkout, and Ansible's commands run on it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
NAME = "ansible_collections/osg/site_iaas"


def link_collection(folder: Path) -> Path:
    """A folder of collections in which this checkout is osg.site_iaas, whatever the checkout's own state."""
    (folder / NAME).parent.mkdir(parents=True)
    (folder / NAME).symlink_to(ROOT)
    return folder


def run_ansible(
    folder: Path, collections: Path, command: str, *words: object, **environment: str
) -> subprocess.CompletedProcess[str]:
    """A command of Ansible in a folder, with its output and errors as one text."""
    settings = {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_LOCAL_TEMP": str(folder / "local"),
        "ANSIBLE_REMOTE_TEMP": str(folder / "remote"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "ANSIBLE_NOCOLOR": "true",
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LC_ALL": "C.UTF-8",
    }
    return subprocess.run(
        [BIN / command, *map(str, words)],
        env={**settings, **environment},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )


def answer(result: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """What a module has answered to the command ``ansible``."""
    text = result.stdout
    assert " => {" in text, text
    before, _, after = text.partition(" => ")
    found: dict[str, Any] = json.JSONDecoder().raw_decode(after)[0]
    return {**found, "failed": before.endswith("FAILED!")}


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code of a page in docs/, without what they are indented by."""
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    found = re.findall(rf"(?ms)^( *)```{language}\n(.*?)^\1```$", text)
    return [re.sub(rf"(?m)^{indent}", "", block) for indent, block in found]


def kolla_files(folder: Path, collections: Path, site: Path) -> Path:
    """Where the playbook of docs/existing-cloud.md writes for a site when /etc/kolla/config is below ``folder``."""
    (play,) = (block for block in blocks("existing-cloud.md", "yaml") if "kolla_overrides" in block)
    config = folder / "config"
    (folder / "overrides.yml").write_text(play.replace("/etc/kolla/config", str(config)), encoding="utf-8")
    shutil.copy(site, folder / "site.yml")
    ran = run_ansible(folder, collections, "ansible-playbook", "overrides.yml")
    assert ran.returncode == 0, ran.stdout
    return config
