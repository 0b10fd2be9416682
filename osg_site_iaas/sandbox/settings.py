"""A sandbox's own facts, kept in sandbox.json: ports, passwords, what it runs."""

from __future__ import annotations

import base64
import json
import secrets as random
from pathlib import Path
from typing import Iterable, Mapping, Optional

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, ports
from osg_site_iaas.sandbox.model import Box
from osg_site_iaas.sandbox.service import Service

FILE = "sandbox.json"
DEFAULT_COMPUTES = 4


def load(folder: Path, python: Path) -> Optional[Box]:
    """The sandbox that lies there, or None."""
    path = folder / FILE
    try:
        kept = json.loads(path.read_text())
        return Box(
            name=kept["name"],
            folder=folder,
            python=python,
            ports=kept["ports"],
            secrets=kept["secrets"],
            services=tuple(kept["services"]),
            computes=kept["computes"],
            wrapper=kept.get("wrapper"),
            overrides=kept.get("overrides", {}),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise SandboxError(
            f"not a sandbox's settings: {error!r}", where=str(path), todo=f"remove {folder} and start anew"
        ) from error


def save(box: Box) -> None:
    """Keep the box, and nothing of it readable by others."""
    kept = {
        "name": box.name,
        "services": list(box.services),
        "computes": box.computes,
        "wrapper": box.wrapper,
        "overrides": box.overrides,
        "ports": dict(box.ports),
        "secrets": dict(box.secrets),
    }
    folders.write_private(box.folder / FILE, json.dumps(kept, indent=1) + "\n")


def complete_secrets(have: Mapping[str, str], services: Iterable[Service]) -> dict[str, str]:
    """``have``, and a random one for each name that the services want and that is missing."""
    wanted = [name for s in services for name in (*s.secrets, *((s.name,) if s.has_user else ()))]
    made = dict(have)
    for name in wanted:
        if name not in made:
            # Keystone's keys have a form of their own (Fernet); any password may have it too.
            made[name] = base64.urlsafe_b64encode(random.token_bytes(32)).decode()
    return made


def settle(
    folder: Path,
    python: Path,
    services: tuple[Service, ...],
    *,
    name: str,
    old: Optional[Box],
    base_port: Optional[int],
    computes: Optional[int],
) -> Box:
    """The box to start: what was kept, with what is missing or no longer possible made anew, and saved.

    Ports are given out by one process at a time, so that sandboxes started together do not meet.
    """
    register = folders.cache() / "sandboxes.json"
    with folders.only_one(folders.cache() / "sandboxes.lock"):
        names = [port for service in services for port in service.ports]
        given = ports.assign(
            names,
            base=base_port,
            have=old.ports if old else {},
            avoid=folders.known_ports(register, folder),
        )
        box = Box(
            name=name,
            folder=folder,
            python=python,
            ports=given,
            secrets=complete_secrets(old.secrets if old else {}, services),
            services=tuple(s.name for s in services),
            computes=computes or (old.computes if old else DEFAULT_COMPUTES),
            wrapper=old.wrapper if old else None,
            overrides=old.overrides if old else {},
        )
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        save(box)
        folders.remember(register, folder)
    return box
