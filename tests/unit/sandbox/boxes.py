"""A box that no process belongs to."""

from __future__ import annotations

from pathlib import Path

from osg_site_iaas.sandbox import settings
from osg_site_iaas.sandbox.model import Box
from osg_site_iaas.sandbox.service import choose, registry


def box(folder: Path) -> Box:
    """A box with every service, ports from 20000 on and random secrets; its venv has what files() copies."""
    services = choose(registry(), registry())
    paste = folder / "venv/etc/nova/api-paste.ini"
    paste.parent.mkdir(parents=True, exist_ok=True)
    paste.write_text("")
    names = [port for service in services for port in service.ports]
    return Box(
        name="unit",
        folder=folder,
        python=folder / "venv/bin/python",
        ports={name: 20000 + number for number, name in enumerate(names)},
        secrets=settings.complete_secrets({}, services),
        services=tuple(service.name for service in services),
    )
