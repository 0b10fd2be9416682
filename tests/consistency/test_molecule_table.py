"""`scripts/molecule` says at its end what became of every scenario, and fails where it could run none of them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_molecule(folder, *words, skip=""):
    """Where no program for containers can be found."""
    env = {**os.environ, "PATH": str(folder), "OSG_SITE_IAAS_CACHE": str(folder), "SKIP": skip}
    return subprocess.run(
        [sys.executable, ROOT / "scripts/molecule", *words], env=env, capture_output=True, text=True
    )


def test_where_containers_cannot_run_it_fails_and_says_why_and_what_was_not_run(tmp_path):
    done = run_molecule(tmp_path, "client", skip="client-changed upgrade")
    assert done.returncode == 1
    assert done.stderr.startswith("Containers cannot run here: ")
    assert [line.split() for line in done.stdout.splitlines() if line] == [
        ["client", "not", "run"],
        ["client-changed", "left", "out,", "named", "in", "SKIP"],
        ["1", "left", "out,", "1", "not", "run"],
    ]


def test_what_is_left_out_by_name_is_no_failure(tmp_path):
    done = run_molecule(tmp_path, "client", skip="client client-changed")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "2 left out"


def test_every_scenario_is_in_one_of_the_two_runs(tmp_path):
    folders = {path.parent.name for path in (ROOT / "molecule").glob("*/molecule.yml")}
    told = {
        line.split()[0]
        for words in ([], ["--long"])
        for line in run_molecule(tmp_path, *words).stdout.splitlines()
        if line.endswith("not run") and not line[0].isdigit()
    }
    assert told == folders
