from __future__ import annotations

import re

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import environment

HASH = "--hash=sha256:" + "0" * 64


def test_pins_are_read_with_their_hashes_over_continued_lines():
    more = f" \\\n    {HASH}"
    text = f"# made by a tool\nnova==34.0.0{more}{more}\nwheel-x==1.0 ; python_version < '3.12'{more}\n"
    assert environment.read_lock(text) == (
        environment.Pin("nova", "34.0.0", 2),
        environment.Pin("wheel-x", "1.0", 1),
    )


@pytest.mark.parametrize(
    "line",
    [
        "nova",
        "nova>=34",
        "nova==34.0.0",
        "nova==34.0.0 --hash=sha256:short",
        f"nova @ file:///nova.whl {HASH}",
        f"-r other.txt {HASH}",
        f"--index-url https://example.org {HASH}",
    ],
)
def test_a_line_that_is_not_a_pin_with_a_hash_is_refused(line):
    with pytest.raises(SandboxError, match="not a pinned line"):
        environment.read_lock(line + "\n")


def test_the_committed_lock_holds_names_versions_and_hashes_only():
    text = environment.LOCK_FILE.read_text()
    pins = {pin.name: pin for pin in environment.read_lock(text)}
    assert {"keystone", "nova", "openstack-placement", "glance", "neutron", "cinder", "swift"} <= set(pins)
    assert not re.search(r"://|file:|(^|\s)/|-index|find-links", text)


def test_what_is_asked_for_is_what_is_locked():
    asked = environment.LOCK_FILE.with_suffix(".in").read_text()
    locked = {
        pin.name.lower(): pin.version for pin in environment.read_lock(environment.LOCK_FILE.read_text())
    }
    for line in asked.splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition("==")
            assert version in ("", locked[name]), line
