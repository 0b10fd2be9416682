"""earlier.py COMMIT: install by the roles and the wheel of an earlier commit what a scenario's converge.yml says.

The tree of the commit comes from this clone's history, and its roles are run by an Ansible that knows no later ones.
Tests that go back to the earlier program call `roles` again.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", "."))
TREE = SCRATCH / "earlier"


def do(*words: object, **more: object) -> None:
    argv = [str(word) for word in words]
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)  # type: ignore[call-overload]
    if done.returncode:
        raise SystemExit(f"{' '.join(argv)[:300]}: exit {done.returncode}\n{done.stdout[-6000:]}")


def tree(commit: str) -> None:
    """The commit's tree with its wheel in TREE. One that is there stays: a wheel built again would be another file."""
    mark = TREE / "commit"
    if mark.exists() and mark.read_text() == commit:
        return
    git = ["git", "-C", ROOT]
    if subprocess.run([*git, "cat-file", "-e", f"{commit}^{{commit}}"], capture_output=True).returncode:
        raise SystemExit(
            f"The commit {commit}, from which this scenario upgrades, is not in this clone: it is a shallow one, or no"
            f' clone. `git fetch --unshallow` brings the history; SKIP="{os.environ["MOLECULE_SCENARIO_NAME"]}" leaves'
            " the scenario out."
        )
    shutil.rmtree(TREE, ignore_errors=True)
    (TREE / "wheel").mkdir(parents=True)
    do(*git, "archive", "-o", f"{TREE}.tar", commit)
    do("tar", "-C", TREE, "-xf", f"{TREE}.tar")
    do(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", TREE / "wheel", TREE
    )  # fmt: skip
    # its Ansible enters the containers, too
    (TREE / ".collections/ansible_collections/containers").symlink_to(
        (ROOT / ".collections/ansible_collections/containers").resolve()
    )
    mark.write_text(commit)


def roles() -> None:
    """Run the scenario's converge.yml with the earlier roles and their wheel."""
    (wheel,) = (TREE / "wheel").glob("*.whl")
    env = {
        **os.environ,
        "ANSIBLE_CONFIG": str(SCRATCH / "ansible.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(TREE / ".collections"),
        "ANSIBLE_PIPELINING": "true",
        "PYTHONPATH": str(TREE),
        "PATH": f"{Path(sys.executable).parent}:{ROOT / 'molecule/shared/bin'}:{os.environ['PATH']}",
        "CONTAINERS_CONF": str(ROOT / ".config/molecule/containers.conf"),
    }
    playbook = Path(os.environ["MOLECULE_SCENARIO_DIRECTORY"]) / "converge.yml"
    words = ["ansible-playbook", "-i", os.environ["MOLECULE_INVENTORY_FILE"], "-e", f"upgrade_wheel={wheel}"]
    do(*words, playbook, cwd=TREE, env=env)


if __name__ == "__main__":
    tree(sys.argv[1])
    roles()
