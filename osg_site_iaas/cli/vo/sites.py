"""The sites that a member uses: where they are, what vouches for them, and what they say of themselves."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional, Union
from urllib.parse import urlsplit

import requests
import yaml

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import login, welcome

DEFAULT_PORT = 5000
SITE_WIDE = Path("/etc/osg/iaas/sites.yml")


@dataclass(frozen=True)
class Place:
    """A site as the member knows it."""

    name: str
    url: str  # Keystone's grid address, ends in /v3
    ca: Optional[str] = None  # file or directory that vouches for its TLS

    @property
    def verify(self) -> Union[bool, str]:
        """As requests wants it: the CA given, else the grid's CAs if they are here, else the system's."""
        if self.ca:
            return self.ca
        directory = Path(os.environ.get("X509_CERT_DIR") or login.GRID_CERTIFICATES)
        return str(directory) if directory.is_dir() else True


def home() -> Path:
    """The folder of all that ``osg-iaas`` keeps."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "osg-iaas"


def parse(given: str, ca: Optional[str] = None) -> Place:
    """A place from ``HOST``, ``HOST:PORT`` or a URL."""
    text = given if "://" in given else f"https://{given}"
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError as error:
        raise SiteError(
            f"{given!r} is no address", todo="give a host name, host:port, or Keystone's URL"
        ) from error
    if parts.scheme != "https" or not parts.hostname:
        raise SiteError(f"{given!r} is no https address", todo="a proxy or a token is sent over https only")
    if "://" not in given and port is None:
        port = DEFAULT_PORT
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/")
    address = f"https://{host}{f':{port}' if port else ''}{path if path.endswith('/v3') else path + '/v3'}"
    return Place(parts.hostname if port in (None, DEFAULT_PORT) else f"{parts.hostname}:{port}", address, ca)


def known() -> dict[str, Place]:
    """The sites of the user's own file and of the machine's, by name."""
    found: dict[str, Place] = {}
    for file in (SITE_WIDE, home() / "sites.yml"):
        for name, entry in _read(file).items():
            found[name] = Place(name, str(entry["url"]), entry.get("ca"))
    return found


def find(given: Optional[str], ca: Optional[str]) -> Place:
    """The site that is meant; SiteError if that is not clear."""
    places = known()
    given = given or os.environ.get("OSG_IAAS_SITE")
    if given is None:
        if len(places) == 1:
            return next(iter(places.values()))
        what = f"several sites are known: {', '.join(places)}" if places else "no site is known yet"
        raise SiteError(what, todo="say which: --site HOST")
    place = places.get(given) or parse(given)
    return Place(place.name, place.url, str(Path(ca).expanduser().absolute()) if ca else place.ca)


def remember(place: Place) -> None:
    """Keep a site in the user's own file."""
    file = home() / "sites.yml"
    entries: dict[str, Any] = _read(file)
    entry = {"url": place.url, **({"ca": place.ca} if place.ca else {})}
    if entries.get(place.name) == entry:
        return
    entries[place.name] = entry
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_name(f".sites.{os.getpid()}")
    fresh.write_text(yaml.safe_dump(entries, sort_keys=False), encoding="utf-8")
    fresh.replace(file)


def ask(place: Place) -> welcome.Welcome:
    """What the site says of itself; SiteError if it cannot be asked."""
    url = place.url[: -len("/v3")] + welcome.PATH
    try:
        answer = requests.get(url, verify=place.verify, timeout=20, allow_redirects=False)
        if answer.status_code != 200:
            raise SiteError(
                f"{answer.status_code} instead of what the site offers",
                where=url,
                todo="is this the site's grid address? ask its administrators",
            )
        return welcome.from_data(answer.json(), url)
    except requests.exceptions.SSLError as error:
        raise SiteError(
            f"the site's certificate is not trusted: {_short(error)}",
            where=url,
            todo="install the grid's CA certificates, or name its CA with --ca FILE",
        ) from error
    except (OSError, ValueError) as error:
        raise SiteError(f"the site cannot be reached: {_short(error)}", where=url) from error


def _read(file: Path) -> dict[str, Mapping[str, Any]]:
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SiteError(f"the list of sites cannot be read: {error}", where=str(file)) from error
    if not isinstance(data, dict) or not all(isinstance(e, dict) and "url" in e for e in data.values()):
        raise SiteError(
            "not a list of sites", where=str(file), todo="write `name: {url: https://host:5000/v3}` lines"
        )
    return data


def _short(error: BaseException) -> str:
    """The innermost reason, without the layers that requests puts around it."""
    reason: Any = error
    while True:
        inner = getattr(reason, "reason", None) or (reason.args[0] if getattr(reason, "args", None) else None)
        if not isinstance(inner, BaseException):
            return str(reason)[:200]
        reason = inner
