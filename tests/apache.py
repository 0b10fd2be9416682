"""How the tests start Apache: as its own user, who may read what root may, since the sources may lie in root's home."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def as_apache() -> list[str]:
    """What goes before the command; nothing for who is not root."""
    if os.geteuid() != 0:
        return []
    capability = "+dac_read_search"
    return [
        "setpriv", "--reuid=www-data", "--regid=www-data", "--clear-groups",
        f"--inh-caps={capability}", f"--ambient-caps={capability}",
    ]  # fmt: skip


def give_to_apache(folder: Path) -> None:
    """Let Apache's user write in a folder."""
    if os.geteuid() == 0:
        subprocess.run(["chown", "-R", "www-data:www-data", str(folder)], check=True)
