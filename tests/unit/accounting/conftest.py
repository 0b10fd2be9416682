"""Lets tests of this folder import their helpers, and gives them a world to run the probe in."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Iterator

import pytest
from hypothesis import HealthCheck, settings

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

from world import World  # noqa: E402

from osg_site_iaas.sandbox.collector.server import Collector  # noqa: E402

# a slow machine is no fault of what is tested
settings.register_profile("accounting", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("accounting")

# where gratia-probe-common's Python package lies, if it is not installed
if os.environ.get("OSG_SITE_IAAS_GRATIA"):
    sys.path.append(os.environ["OSG_SITE_IAAS_GRATIA"])


@pytest.fixture(params=["direct", "gratia"])
def either_world(request: pytest.FixtureRequest, world: World, tmp_path: Path) -> World:
    """A world whose probe sends by itself, and one whose probe sends through gratia-probe-common."""
    if request.param == "gratia":
        if find_spec("gratia") is None:
            pytest.skip("gratia-probe-common is not installed (OSG_SITE_IAAS_GRATIA can name its folder)")
        world.through_gratia(tmp_path / "gratia")
    return world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with Collector(tmp_path / "collector") as collector:
        yield World(tmp_path, collector)
