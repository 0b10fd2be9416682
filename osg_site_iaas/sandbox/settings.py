"""A sandbox's own facts, kept in sandbox.json: ports, passwords, what it runs."""

from __future__ import annotations

import base64
import json
import secrets as random
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Mapping, Optional

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import folders, ports, releases
from osg_site_iaas.sandbox.model import CURRENT, Box, Overrides
from osg_site_iaas.sandbox.service import Service, choose, registry

FILE = folders.SETTINGS
DEFAULT_COMPUTES = 4


@dataclass(frozen=True)
class Wishes:
    """What `up` was asked for; None is "as before", and at first "as usual"."""

    services: Optional[tuple[str, ...]] = None
    computes: Optional[int] = None
    base_port: Optional[int] = None
    wrapper: Optional[str] = None
    wrapper_env: Optional[Mapping[str, str]] = None
    overrides: Optional[Overrides] = None
    release: Optional[str] = None


def load(folder: Path, python: Optional[Path] = None) -> Optional[Box]:
    """The sandbox that lies there, or None; with the Python of its release unless another is given."""
    path = folder / FILE
    try:
        kept = json.loads(path.read_text())
        release = kept.get("release", CURRENT)
        return Box(
            name=kept["name"],
            folder=folder,
            python=python or releases.python(release),
            release=release,
            ports=kept["ports"],
            secrets=kept["secrets"],
            made_with=kept.get("made_with", ""),
            asked=tuple(kept.get("asked", ())),
            services=tuple(kept["services"]),
            computes=kept["computes"],
            wrapper=kept.get("wrapper"),
            wrapper_env=kept.get("wrapper_env", {}),
            overrides=kept.get("overrides", {}),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise SandboxError(
            f"not a sandbox's settings: {error!r}", where=str(path), todo=f"remove {folder} and start anew"
        ) from error


def save(box: Box) -> None:
    """Keep the box, and nothing of it readable by others."""
    names = (
        "name",
        "release",
        "made_with",
        "asked",
        "services",
        "computes",
        "wrapper",
        "wrapper_env",
        "overrides",
        "ports",
        "secrets",
    )
    kept = {name: getattr(box, name) for name in names}
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


def settle(folder: Path, python: Path, *, name: str, old: Optional[Box], wishes: Wishes) -> Box:
    """The box to start: what was kept, with what is missing or no longer possible made anew, and saved.

    Ports are given out by one process at a time, so that sandboxes started together do not meet.
    """
    release = wishes.release or (old.release if old else CURRENT)
    made_with = releases.made_with(release)
    if old and old.made_with not in ("", made_with):
        raise SandboxError(
            "its databases were made by other releases of the services than it would run now",
            where=f"sandbox {name}",
            todo=f"throw its content away with: osg-site-iaas sandbox reset --state {folder}",
        )
    known = registry()
    asked = wishes.services if wishes.services is not None else (old.asked if old else ())
    asked = tuple(releases.services(release, asked))
    # without Keystone nobody could use the others; the collector alone does not ask for it
    services = choose(
        ["keystone", *asked] if asked else [n for n, service in known.items() if service.default], known
    )
    register = folders.cache() / "sandboxes.json"
    with folders.only_one(folders.cache() / "sandboxes.lock"):
        given = ports.assign(
            [port for service in services for port in service.ports],
            base=wishes.base_port,
            have=old.ports if old else {},
            avoid=folders.known_ports(register, folder),
        )
        box = Box(
            name=name,
            folder=folder,
            python=python,
            ports=given,
            secrets=complete_secrets(old.secrets if old else {}, services),
            made_with=made_with,
            release=release,
            asked=asked,
            services=tuple(s.name for s in services),
            computes=wishes.computes or (old.computes if old else DEFAULT_COMPUTES),
            wrapper=(old.wrapper if old else None) if wishes.wrapper is None else (wishes.wrapper or None),
            wrapper_env=(old.wrapper_env if old else {})
            if wishes.wrapper_env is None
            else wishes.wrapper_env,
            overrides=(old.overrides if old else {}) if wishes.overrides is None else wishes.overrides,
        )
        folders.make_private(folder)
        folder.chmod(0o700)
        save(box)
        folders.remember(register, folder)
    return box
