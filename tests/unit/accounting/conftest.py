"""Lets tests of this folder import their helpers, and gives them a world to run the probe in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Iterator

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from world import World  # noqa: E402

from osg_site_iaas.sandbox.collector.server import Collector  # noqa: E402


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Collector(tmp_path / "collector") as collector:
        yield World(tmp_path, collector)
