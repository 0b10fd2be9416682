"""Runs every benchmark on one sandbox of its own, one after the other: ``make bench``.

Each figure is measured beside its peer in the same run; what matters is the ratio. The sandbox hashes passwords as
dearly as a real Keystone does. docs/performance.md holds the last results that were looked at, with the machine.
"""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from pathlib import Path

from osg_site_iaas.sandbox import Sandbox, Wishes

HERE = Path(__file__).parent
NAME = "bench"
ROUNDS = {"keystone/keystone.conf": {"identity": {"password_hash_rounds": "12"}}}


def main() -> int:
    chosen = sys.argv[1:] or sorted(path.stem for path in HERE.glob("*.py") if path.stem != "run")
    sandbox = Sandbox.open(NAME)
    sandbox.up(lambda note: print(f"  {note}", file=sys.stderr), Wishes(computes=8, overrides=ROUNDS))
    print(
        f"# {datetime.datetime.now(datetime.timezone.utc):%Y-%m-%d}, {platform.platform()}, {os.cpu_count()} cores"
    )
    env = {**os.environ, "OSG_SITE_IAAS_TEST_SANDBOX": NAME}
    failed = []
    try:
        for name in chosen:
            print(f"\n## {name} (load {os.getloadavg()[0]:.1f})\n", flush=True)
            more = ["--sandbox", NAME] if name.startswith("ec2_") else []
            done = subprocess.run([sys.executable, str(HERE / f"{name}.py"), *more], env=env, check=False)
            if done.returncode:
                failed.append(name)
    finally:
        sandbox.down()
    if failed:
        print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
