"""Runs the test suites one after the other and says at the end what ran, what failed and what did not run.

    run_suites.py [--long] [--only SUITE …]

A suite whose parts are missing on this machine fails, and says which. SKIP="suite …" in the environment leaves
suites out; the summary names them. Everything else, pytest's options included, is in pyproject.toml.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


@dataclass(frozen=True)
class Suite:
    """Commands that must all succeed, and the programs that they need besides the environment's own."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    needs: tuple[str, ...] = ()
    long: bool = False


@dataclass
class Result:
    suite: Suite
    state: str  # passed, failed, left out
    seconds: float = 0
    why: str = ""
    counts: dict[str, int] = field(default_factory=dict)


def pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", "-q", *arguments)


SHORT = ("-m", "not long")
# Half of the time a test of the sandbox waits for a service, or one for it: two at once use both cores of a small
# machine. A file stays in one process, each process has a sandbox of its own.
PARALLEL = ("-n", "2", "--dist", "loadfile")
SUITES = (
    Suite(
        "lint",
        (
            (str(BIN / "ruff"), "format", "--check", "--quiet", "."),
            (str(BIN / "ruff"), "check", "--quiet", "."),
            (str(BIN / "mypy"), "--no-error-summary"),
            (str(BIN / "lint-imports"), "--config", "setup.cfg"),
        ),
    ),
    Suite("unit", (pytest("tests/unit", *PARALLEL, *SHORT),)),
    Suite("consistency", (pytest("tests/consistency", *SHORT),)),
    Suite("sandbox", (pytest("tests/sandbox", "--durations=15", *PARALLEL, *SHORT),)),
    Suite("interop", (pytest("tests/interop", *SHORT),)),
    # One scenario of one role; `make molecule` runs all, which takes half an hour.
    Suite(
        "molecule",
        ((sys.executable, str(ROOT / "scripts/molecule"), "--scenario", "control"),),
        needs=("podman", "runc", "debootstrap", "iptables"),
    ),
    Suite("ansible-lint", ((str(BIN / "ansible-lint"), "--offline", "-q"),), long=True),
    Suite("long", (pytest("tests", "-m", "long"),), long=True),
)


def run(suite: Suite) -> Result:
    missing = [program for program in suite.needs if shutil.which(program) is None]
    if missing:
        return Result(suite, "failed", why=f"missing on this machine: {', '.join(missing)}")
    folders = [word for command in suite.commands for word in command if word.startswith("tests/")]
    if folders and not any((ROOT / folder).is_dir() for folder in folders):
        return Result(suite, "left out", why="has no tests yet")
    start = time.monotonic()
    counts: dict[str, int] = {}
    wrong = []
    for command in suite.commands:
        print(
            f"== {suite.name}: {' '.join(Path(word).name if '/' in word else word for word in command)}",
            flush=True,
        )
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
        )
        assert process.stdout is not None
        last = ""
        for line in process.stdout:
            print(line, end="", flush=True)
            last = line.strip() or last
        code = process.wait()
        for number, word in re.findall(r"(\d+) (passed|failed|skipped|deselected|errors?)\b", last):
            counts[word] = counts.get(word, 0) + int(number)
        if code:
            wrong.append(f"{Path(command[0]).name}: exit {code}")
    state = "failed" if wrong else "passed"
    return Result(suite, state, time.monotonic() - start, ", ".join(wrong), counts)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--only", nargs="+", choices=[suite.name for suite in SUITES])
    args = parser.parse_args()
    skipped = set(os.environ.get("SKIP", "").split())
    unknown = skipped - {suite.name for suite in SUITES}
    if unknown:
        print(f"SKIP names no suite: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 1
    results = []
    for suite in SUITES:
        if args.only and suite.name not in args.only:
            continue
        if suite.name in skipped:
            results.append(Result(suite, "left out", why="named in SKIP"))
        elif suite.long and not args.long:
            results.append(Result(suite, "left out", why="runs in `make test-long`"))
        else:
            results.append(run(suite))
    summary(results)
    return 1 if any(result.state == "failed" for result in results) else 0


def summary(results: list[Result]) -> None:
    print("\nsuite        result    seconds  tests")
    passed = failed = skipped = 0
    for result in results:
        counts = ", ".join(f"{number} {word}" for word, number in result.counts.items())
        note = " ".join(part for part in (counts, result.why) if part)
        print(f"{result.suite.name:<12} {result.state:<9} {result.seconds:7.0f}  {note}")
        if result.suite.name == "lint" and result.state != "left out":
            passed, failed = passed + (result.state == "passed"), failed + (result.state == "failed")
        passed += result.counts.get("passed", 0)
        skipped += result.counts.get("skipped", 0)
        failed += sum(n for word, n in result.counts.items() if word.startswith(("failed", "error")))
    failed = max(failed, sum(result.state == "failed" for result in results))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")


if __name__ == "__main__":
    sys.exit(main())
