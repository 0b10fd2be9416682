"""Which releases of OpenStack a sandbox can run, and where the Python of each is."""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Mapping, Sequence

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import debian_root, environment, folders
from osg_site_iaas.sandbox.model import CURRENT, Overrides

_DEBIAN = {release.name: release for release in (debian_root.ZED, debian_root.EPOXY)}
NAMES = (CURRENT, *_DEBIAN)
# Until 27 at least: EC2 signatures are taken at /v3/ec2tokens, as ever; as a method of its own they are newer. And its
# credentials change what they have got from the cache, so that must be a copy, as memcached's is.
_OLDER_KEYSTONE = {
    "auth": {"methods": "password,token,application_credential,mapped"},
    "cache": {"backend": "dogpile.cache.memory_pickle"},
}
#: the services that run of a release; all of them, if it is not here
_ONLY: Mapping[str, Sequence[str]] = {debian_root.EPOXY.name: ("keystone", "swift")}
#: what an older release does not know, in the form of a box's own overrides
_CONFIGURATION: Mapping[str, Overrides] = {
    debian_root.ZED.name: {"keystone/keystone.conf": _OLDER_KEYSTONE},
    debian_root.EPOXY.name: {
        "keystone/keystone.conf": {**_OLDER_KEYSTONE, "identity_mapping": {"generator": "osg-site-iaas"}}
    },
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


def services(name: str, asked: Sequence[str]) -> Sequence[str]:
    """Which services to start where ``asked`` are wanted (none: as usual); SandboxError if one does not run there."""
    only = _ONLY.get(name)
    if only is None:
        return asked
    absent = [service for service in asked if service not in only]
    if absent:
        raise SandboxError(
            f"release {name} runs here without {', '.join(absent)}", todo=f"--services {','.join(only)}"
        )
    return asked or only


def _known(name: str) -> debian_root.DebianRelease:
    if name not in _DEBIAN:
        raise SandboxError(f"there is no release {name!r}", todo=f"choose from {', '.join(NAMES)}")
    return _DEBIAN[name]
