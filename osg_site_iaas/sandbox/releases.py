"""Which releases of OpenStack a sandbox can run, and where the Python of each is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import debian_root, environment, folders
from osg_site_iaas.sandbox.model import CURRENT, Overrides

_DEBIAN = {release.name: release for release in (debian_root.ZED,)}
NAMES = (CURRENT, *_DEBIAN)
#: what an older release does not know, in the form of a box's own overrides
_CONFIGURATION: Mapping[str, Overrides] = {
    debian_root.ZED.name: {
        "keystone/keystone.conf": {
            # EC2 signatures are taken at /v3/ec2tokens in both; as a method of its own they are newer.
            "auth": {"methods": "password,token,application_credential,mapped"},
            # Its credentials change what they have got from the cache, so that must be a copy, as memcached's is.
            "cache": {"backend": "dogpile.cache.memory_pickle"},
        },
    }
}


def python(name: str) -> Path:
    """The interpreter of its services, whether installed or not."""
    return environment.python() if name == CURRENT else debian_root.path(_known(name)) / "bin/python"


def ensure(name: str, progress: Callable[[str], None]) -> Path:
    """The interpreter of its services, with everything installed."""
    if name == CURRENT:
        return environment.ensure(progress)
    return debian_root.ensure(_known(name), progress)


def made_with(name: str) -> str:
    """What databases depend on: changes with the release and with what it is made of."""
    return folders.digest(environment.LOCK_FILE) if name == CURRENT else debian_root.path(_known(name)).name


def configuration(name: str) -> Overrides:
    """What the services' configuration says otherwise in this release."""
    return _CONFIGURATION.get(name, {})


def _known(name: str) -> debian_root.DebianRelease:
    if name not in _DEBIAN:
        raise SandboxError(f"there is no release {name!r}", todo=f"choose from {', '.join(NAMES)}")
    return _DEBIAN[name]
