"""The door's own settings, from ``/etc/osg/site-iaas/ec2.yml``."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Optional

import yaml

from osg_site_iaas.ec2.clients import networks
from osg_site_iaas.errors import SiteError

DEFAULT_FILE = Path("/etc/osg/site-iaas/ec2.yml")
CHOICES = {"keystone": ("secrets", "service"), "server_type": ("amazon", "openstack")}


@dataclass(frozen=True)
class Settings:
    """Every setting has a value that works; ``cloud`` names the door's own credential in clouds.yaml."""

    cloud: str = "osg-site-iaas-ec2"
    secrets_cloud: Optional[str] = None  # where keystone is "secrets": the entry of its system reader
    keystone: str = (
        "service"  # secrets: the door reads EC2 secrets; service: Keystone verifies each signature
    )
    region: str = "RegionOne"
    interface: str = "public"  # which of Keystone's endpoints are used for everything
    bind: str = "127.0.0.1:8788"  # TLS ends in front of it
    url: Optional[str] = None  # how clients call it, through what ends TLS: for doctor, which looks there
    proxies: tuple[str, ...] = ("127.0.0.0/8", "::1")  # who is believed about the client's address
    state: Path = Path("/run/osg-site-iaas-ec2")  # the shared store; may be lost
    workers: int = 2
    threads: int = 8  # requests at once in one worker
    timeout: float = 50.0  # seconds for one request to OpenStack; HTCondor waits 60 in all
    grant_seconds: int = 60  # how long a verified key is trusted: the bound on a ban or a revocation
    fresh_seconds: float = 2.0  # how old a kept list may be before OpenStack is asked for changes
    full_seconds: int = 300  # how old a kept list may be before it is read whole again
    kept_seconds: float = 120.0  # how long lists of flavours, networks, groups and zones are kept
    server_type: str = "amazon"  # what HTCondor takes the door for
    rate: float = 20.0  # requests a second of one access key, on average
    burst: float = 100.0  # and at once
    default_network: Optional[str] = None  # for RunInstances without a subnet, where several would do
    strict: bool = False  # an answer that the model cannot express is an error: for tests
    cacert: Optional[str] = None  # CA bundle for OpenStack's endpoints


def load_settings(path: Path) -> Settings:
    """The settings in ``path``; SiteError with every problem of it."""
    try:
        raw: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SiteError(
            f"cannot be read: {error.strerror}",
            where=str(path),
            todo="write it, or name another with --config",
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SiteError(f"is not YAML: {error}", where=str(path)) from error
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise SiteError("must be a mapping of settings", where=str(path))
    problems: list[str] = []
    values: dict[str, Any] = {}
    known = {one.name: one for one in fields(Settings)}
    for name, value in raw.items():
        if name not in known:
            problems.append(f"there is no setting {name}")
            continue
        problem, converted = _convert(name, value, known[name].default)
        if problem:
            problems.append(problem)
        else:
            values[name] = converted
    if problems:
        raise SiteError("; ".join(problems), where=str(path))
    return Settings(**values)


def _convert(name: str, value: Any, default: Any) -> tuple[str, Any]:
    """(problem or nothing, the value as the setting holds it)."""
    if name in CHOICES and value not in CHOICES[name]:
        return f"{name} must be one of {', '.join(CHOICES[name])}", None
    if isinstance(default, tuple):
        try:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise ValueError
            networks(value)
        except ValueError:
            return (
                f"{name} must be a list of addresses and networks, such as [192.0.2.7, 198.51.100.0/24]",
                None,
            )
        return "", tuple(value)
    if isinstance(default, Path) or default is None:
        if not isinstance(value, str):
            return f"{name} must be text", None
        return "", Path(value) if isinstance(default, Path) else value
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(default):
        return f"{name} must be of type {type(default).__name__}", None
    if type(value) in (int, float) and value <= 0:
        return f"{name} must be more than 0", None
    return "", value
