"""Environments of programs that are not ours, from PyPI, to be measured beside ours."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Sequence


def environment(name: str, packages: Sequence[str]) -> Path:
    """The folder of the peer's programs; made if it is not there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "osg-site-iaas" / "peers"
    folder = cache / name
    if not (folder / "complete").exists():
        print(f"installing {' '.join(packages)} into {folder}", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([folder / "bin" / "python", "-m", "pip", "install", "-q", *packages], check=True)
        (folder / "complete").touch()
    return folder / "bin"
