"""EC2's actions, one file a resource. Importing this package registers them all."""

from __future__ import annotations

import importlib
from typing import Mapping

from osg_site_iaas.ec2.actions.registry import ACTIONS, Action

MODULES = (
    "addresses",
    "attributes",
    "basics",
    "describe",
    "flavours",
    "groups",
    "image_changes",
    "image_register",
    "images",
    "keypairs",
    "lifecycle",
    "networks",
    "routes",
    "run",
    "snapshots",
    "sts",
    "tags",
    "volumes",
)


def load_actions() -> Mapping[str, Action]:
    """Every action that the door serves, by name."""
    for module in MODULES:
        importlib.import_module(f"{__name__}.{module}")
    return ACTIONS
