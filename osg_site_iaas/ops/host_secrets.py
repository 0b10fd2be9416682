"""Which secrets this host has, and whom its settings name: what an archive for others must not hold."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Any, Iterator, Mapping, Optional

import yaml

from osg_site_iaas.accounting.probeconfig import read_attributes
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping import bans
from osg_site_iaas.ops import redact
from osg_site_iaas.ops.finding import NotHere
from osg_site_iaas.ops.subject import Subject

LARGEST = 1 << 20  # bytes of a file that can be a secret
# under `auth`, and in secure.yaml, everything is secret but what these name
HARMLESS = re.compile(
    r"(?!.*(?:secret|password|token)).*(?:auth_url|auth_type|name|_id|region|interface|version|scope|verify|cacert|cert|profile"
    r"|endpoint|override|domain|project)(?:_name|_id|_type)?$|id$"
)
_PATH = re.compile(r"(?:file:)?(/[^\s\"'=,;]+)")
_SECRET_FILE = re.compile(r"(?i)key|secret|passw|token|databases|credential|\.pem$|\.env$")


def find(subject: Subject) -> Iterator[str]:
    """Every secret that can be found here, more than once where it stands in several places."""
    for path in _files(subject):
        yield from _values(read(path) or "")
    for path in logins(subject):
        data = parsed(path)
        yield from named(data)
        yield from _but_harmless(data, path.name.startswith("secure"))
    for path in settings(subject):
        text = read(path) or ""
        yield from named(_yaml(text))
        yield from redact.learn(text)
    for name, value in os.environ.items():
        if re.fullmatch(redact.NAME, name, re.I) and not value.startswith("/"):
            yield value


def settings(subject: Subject) -> list[Path]:
    """Files of settings, in which only some values are secret."""
    places = subject.places
    found = [subject.file, bans.file_beside(subject.file), places.ec2, places.identity, places.probe_config]
    if places.etc.is_dir():
        found += sorted(places.etc.glob("*.env"))
    return found


def people(subject: Subject) -> Iterator[str]:
    """Whom site.yml and bans.yml name: DNs and token subjects."""
    for path in (subject.file, bans.file_beside(subject.file)):
        yield from _people_in(parsed(path))


def logins(subject: Subject) -> list[Path]:
    """All files that openstacksdk, or a unit of ours, takes a login from."""
    folders = [Path(), Path("/etc/openstack"), Path.home() / ".config/openstack"]
    found = [
        Path(os.environ[name])
        for name in ("OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE")
        if os.environ.get(name)
    ]
    found += [
        folder / f"{name}.{end}"
        for folder in folders
        for name in ("clouds", "secure")
        for end in ("yaml", "yml", "json")
    ]
    found += [path.with_name("secure.yaml") for path in found]
    if subject.places.clouds.is_dir():
        found += sorted(
            path for path in subject.places.clouds.iterdir() if path.suffix in (".yaml", ".yml", ".json")
        )
    return [path for path in dict.fromkeys(found) if path.is_file()]


def read(path: Path) -> Optional[str]:
    """The file's text; None where there is none to be had."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST * 8).decode("utf-8", "replace")
    except OSError:
        return None


def parsed(path: Path) -> Any:
    """What a YAML or JSON file holds; None where it cannot be read."""
    return _yaml(read(path) or "")


def named(data: Any, name: str = "") -> Iterator[str]:
    """The values in parsed settings whose keys say that they are secret; of more than one line, each."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from named(value, str(key))
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from named(value, name)
    elif (
        isinstance(data, (str, int, float))
        and not isinstance(data, bool)
        and re.fullmatch(redact.NAME, name, re.I)
    ):
        text = str(data)
        if not re.match(r"file:|env:|generated$", text):
            yield from text.splitlines()


def _files(subject: Subject) -> Iterator[Path]:
    """Files that are secret as a whole."""
    places = subject.places
    folders = [places.secrets]
    with contextlib.suppress(NotHere):
        folders.append(subject.site().cloud.secrets)
    found = [path for folder in folders if folder.is_dir() for path in sorted(folder.rglob("*"))]
    found += [places.grid / "hostkey.pem", places.state / "identity/signing.pem"]
    for path in settings(subject):
        found += _named_files(path)
    try:
        attributes = read_attributes(places.probe_config)
    except SiteError:
        attributes = {}
    for name in ("KeyFile", "Databases"):
        found += [
            Path(word) for word in attributes.get(name, "").replace(",", " ").split() if word.startswith("/")
        ]
    for path in dict.fromkeys(found):
        if path.is_file() and path not in (subject.file, bans.file_beside(subject.file)):
            yield path


def _named_files(file: Path) -> Iterator[Path]:
    """The files that a line of settings names in words of secrets: signing_key, KeyFile, ``password: file:...``."""
    for line in (read(file) or "").splitlines():
        if "file:" in line or _SECRET_FILE.search(line):
            for found in re.finditer(r"file:\s*([^\s\"'=,;}]+)", line):
                yield file.parent / found[1]
            yield from (Path(found[1]) for found in _PATH.finditer(line))
            relative = re.match(r"\s*[\w-]+_key:\s*([^\s\"'/][^\s\"']*)", line)
            if relative:
                yield file.parent / relative[1]


def _values(text: str) -> Iterator[str]:
    """What may be secret in a file that is one: each line, or what stands after its name."""
    if len(text) > LARGEST or ("BEGIN CERTIFICATE" in text and "PRIVATE KEY" not in text):
        return
    yield from named(_yaml(text))
    yield from redact.learn(text)
    certificate = False
    for line in map(str.strip, text.splitlines()):
        certificate = "BEGIN CERTIFICATE" in line or (certificate and "END CERTIFICATE" not in line)
        if certificate or line.startswith(("#", "[", "-----")):
            continue
        name, is_, value = line.partition("=") if re.match(r"[\w .-]{1,60}=[^=]", line) else ("", "", line)
        value = value.strip().strip("\"'")
        if not is_ or not name.strip().endswith(("_id", "name", "user")):
            yield value


def _but_harmless(data: Any, inside: bool, name: str = "") -> Iterator[str]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _but_harmless(value, inside or key == "auth", str(key))
    elif isinstance(data, (str, int)) and not isinstance(data, bool) and inside and not HARMLESS.match(name):
        yield from str(data).splitlines()


def _people_in(data: Any, name: str = "") -> Iterator[str]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _people_in(value, str(key))
    elif isinstance(data, (list, tuple)):
        for value in data:
            yield from _people_in(value, name)
    elif isinstance(data, str) and name in ("dn", "subject", "dns", "subjects") and not set(data) & set("*?"):
        yield data


def _yaml(text: str) -> Any:
    try:
        return yaml.safe_load(text) if len(text) <= LARGEST else None
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
