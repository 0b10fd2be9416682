"""What a door needs to know besides site.yml: ``/etc/osg/site-iaas/identity.yml``."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import yaml

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import trust, vomsdir

DEFAULT_FILE = Path("/etc/osg/site-iaas/identity.yml")
VARIABLE = "OSG_SITE_IAAS_IDENTITY"  # names another file


@dataclass(frozen=True)
class Settings:
    """Paths are absolute once loaded; one that is written relative starts from the file's own folder."""

    site: Path = Path("site.yml")
    certificates: Path = trust.DEFAULT_DIRECTORY
    vomsdir: Path = vomsdir.DEFAULT_DIRECTORY
    hosts: tuple[str, ...] = ()  # this service's host names, for VOMS attributes meant for certain hosts
    limited_proxies: bool = False  # whether a limited proxy may log in
    require_crl: bool = False  # whether every CA must have a revocation list
    require_policy: bool = True  # whether every CA must have a signing policy or namespaces file
    voms_library: bool = False  # ask libvomsapi too: both must agree
    issuer_ca: Optional[Path] = None  # CA file for token issuers' TLS; the system's own unless given
    keys: Optional[Path] = Path("/var/lib/osg-site-iaas/identity/keys")  # issuers' keys, over restarts
    logins: Optional[Path] = Path("/var/lib/osg-site-iaas/identity/logins.sqlite")  # who came with what
    logins_days: int = 180  # for how long it is remembered who came, after their last login
    keystone: Optional[str] = None  # of a door beside Keystone: Keystone's own address
    keystone_ca: Optional[Path] = None  # CA file for that address; the system's own unless given
    signing_key: Path = Path("/var/lib/osg-site-iaas/identity/signing.pem")  # that door's; made if missing
    issuer: Optional[str] = None  # the `iss` of what it signs; Keystone's address unless given
    recheck: int = 5  # seconds after which the trust directory is looked at again

    def __post_init__(self) -> None:
        if self.recheck < 0 or self.logins_days < 1:
            raise ValueError("recheck is negative, or logins_days less than 1")


# What is sent there lets its reader in as that person: in the clear at most on this machine.
_ADDRESS = re.compile(r"https://[^/?#]+|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|\Z)")
_PATHS = ("site", "certificates", "vomsdir", "issuer_ca", "keys", "logins", "keystone_ca", "signing_key")
_MAY_BE_NULL = ("issuer_ca", "keys", "logins", "keystone", "keystone_ca", "issuer")


def load(file: Path) -> Settings:
    """The settings in a file; SiteError for anything in it that is not understood."""
    try:
        given = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(
            f"the settings cannot be read: {error}", where=str(file), todo="see docs/identity.md for its keys"
        ) from error
    if not isinstance(given, dict):
        raise SiteError("the settings are not `key: value` lines", where=str(file))
    known = {field.name: field for field in dataclasses.fields(Settings)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            raise SiteError(f"unknown key {key!r}", where=str(file), todo=f"known are {', '.join(known)}")
        values[key] = _value(key, value, known[key].default, file)
    values.setdefault("site", file.parent / "site.yml")
    return Settings(**values)


def _value(key: str, value: Any, default: Any, file: Path) -> Any:
    if value is None and key in _MAY_BE_NULL:
        return None
    if key in _PATHS and isinstance(value, str):
        return file.parent / Path(value).expanduser()
    if key == "hosts" and isinstance(value, list) and all(isinstance(host, str) for host in value):
        return tuple(host.lower() for host in value)
    if key == "keystone" and isinstance(value, str) and _ADDRESS.match(value):
        return value.rstrip("/")
    if key == "issuer" and isinstance(value, str):
        return value
    if isinstance(default, bool) and isinstance(value, bool):
        return value
    least = {"recheck": 0, "logins_days": 1}.get(key)
    if least is not None and isinstance(value, int) and not isinstance(value, bool) and value >= least:
        return value
    raise SiteError(
        f"{key}: {value!r} is not what belongs there", where=str(file), todo="see docs/identity.md"
    )
