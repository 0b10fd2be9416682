"""A VO's service key is made, rotated without a gap, and revoked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.sandbox.identity_fixtures import GridSite, apply, grid_site  # noqa: F401
from tests.sandbox.test_identity_keys import s3_project


def credentials(site: GridSite, action: str, *words: str, code: int = 0) -> Any:
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(site.cloud.clouds_yaml)}
    command = [sys.executable, "-m", "osg_site_iaas", "credentials", action, str(site.site_file), *words]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


def pair(answer: dict[str, Any]) -> dict[str, str]:
    current = next(key["access"] for key in answer["keys"] if key["current"])
    return {"access": current, "secret": answer["secret"]}


def test_a_key_is_rotated_with_an_overlap_and_apply_leaves_it_alone(grid_site: GridSite) -> None:  # noqa: F811
    cms = ("--vo", "cms", "--json")
    old = pair(credentials(grid_site, "issue", *cms, "--show"))
    assert s3_project(grid_site, old) == 200
    new = pair(credentials(grid_site, "rotate", *cms, "--show"))
    assert new["access"] != old["access"]
    assert (s3_project(grid_site, old), s3_project(grid_site, new)) == (200, 200)
    apply(grid_site.cloud, grid_site.site_file)
    listed = credentials(grid_site, "list", *cms)
    assert [(key["access"], key["current"]) for key in listed["keys"]] == [
        (new["access"], True),
        (old["access"], False),
    ]
    left = credentials(grid_site, "revoke", *cms, "--old")
    assert [key["access"] for key in left["keys"]] == [new["access"]]
    assert s3_project(grid_site, new) == 200


def test_a_secret_is_in_a_file_of_mode_0600_and_shown_only_if_asked(grid_site: GridSite) -> None:  # noqa: F811
    shown = pair(credentials(grid_site, "issue", "--vo", "cms", "--json", "--show"))
    quiet = credentials(grid_site, "issue", "--vo", "cms", "--factory-entry")
    assert shown["secret"] not in quiet
    assert 'gridtype="ec2"' in quiet
    file = Path(credentials(grid_site, "list", "--vo", "cms", "--json")["file"])
    assert file.stat().st_mode & 0o777 == 0o600
    assert shown["secret"] in file.read_text()


def test_a_rotation_that_was_killed_is_taken_up(grid_site: GridSite) -> None:  # noqa: F811
    file = Path(credentials(grid_site, "issue", "--vo", "cms", "--json")["file"])
    coming = file.with_name("cms-pilot.coming.ec2")
    coming.touch(mode=0o600)
    coming.write_text("[cms-pilot.coming]\naws_access_key_id = abc123\naws_secret_access_key = def456\n")
    answer = credentials(grid_site, "rotate", "--vo", "cms", "--json", "--show")
    assert pair(answer) == {"access": "abc123", "secret": "def456"}
    assert not coming.exists()
    credentials(grid_site, "rotate", "--vo", "cms")
    credentials(grid_site, "revoke", "--vo", "cms", "--old")


def test_a_vo_without_a_service_user_says_what_to_declare(grid_site: GridSite) -> None:  # noqa: F811
    assert "ec2_key: true" in credentials(grid_site, "issue", "--vo", "ligo", code=1)
    assert "no VO nowhere" in credentials(grid_site, "list", "--vo", "nowhere", code=1)
    assert "no such key" in credentials(grid_site, "revoke", "--vo", "cms", "--access", "x", code=1)
