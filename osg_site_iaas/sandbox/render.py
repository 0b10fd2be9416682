"""Writes what a box's services read, and what its user reads: configuration, clouds.yaml, shell exports."""

from __future__ import annotations

import configparser
import io
import re
import shlex
from typing import Iterable, Mapping

import yaml

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import releases
from osg_site_iaas.sandbox.folders import make_private, write_private
from osg_site_iaas.sandbox.model import REGION, Box
from osg_site_iaas.sandbox.service import Service

CLOUD = "sandbox"
SYSTEM_CLOUD = "sandbox-system"
_PROXIES = ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")
_OVERRIDE = re.compile(r"(?P<file>[^:]+):(?P<section>[^.=]+)\.(?P<option>[^=.]+)=(?P<value>.*)")


def write_configuration(box: Box, services: tuple[Service, ...]) -> None:
    """Every file of etc/ and every folder of data/ that the services want."""
    for service in services:
        for name, text in service.files(box).items():
            text = override(text, releases.configuration(box.release).get(name, {}))
            write_private(box.etc / name, override(text, box.overrides.get(name, {})))
        for folder in service.folders(box):
            make_private(box.data / folder)
        make_private(box.data / service.name)


def override(text: str, options: Mapping[str, Mapping[str, str]]) -> str:
    """An INI file with some options set otherwise."""
    if not options:
        return text
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text.replace("[DEFAULT]", "[ DEFAULT ]"))
    for section, values in options.items():
        section = " DEFAULT " if section == "DEFAULT" else section
        if not parser.has_section(section):
            parser.add_section(section)
        for key, value in values.items():
            parser.set(section, key, value)
    out = io.StringIO()
    parser.write(out)
    return out.getvalue().replace("[ DEFAULT ]", "[DEFAULT]")


def read_overrides(words: Iterable[str]) -> dict[str, dict[str, dict[str, str]]]:
    """Overrides from words like ``nova/nova.conf:DEFAULT.cpu_allocation_ratio=2``."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for word in words:
        match = _OVERRIDE.fullmatch(word)
        if not match:
            raise SandboxError(f"not an option: {word!r}", todo="write it as FILE:SECTION.OPTION=VALUE")
        found.setdefault(match["file"], {}).setdefault(match["section"], {})[match["option"]] = match["value"]
    return found


def clouds(box: Box) -> dict[str, object]:
    """clouds.yaml: the admin of everything, once with a project and once for the system."""
    login = {
        "auth_url": box.url("keystone", "/v3"),
        "username": "admin",
        "password": box.secrets["admin"],
        "user_domain_id": "default",
    }
    common = {"region_name": REGION, "identity_api_version": 3}
    return {
        "clouds": {
            CLOUD: {"auth": {**login, "project_name": "admin", "project_domain_id": "default"}, **common},
            SYSTEM_CLOUD: {"auth": {**login, "system_scope": "all"}, **common},
        }
    }


def environment(box: Box, outside: Mapping[str, str]) -> dict[str, str]:
    """What a shell whose variables are ``outside`` needs to use the sandbox; the password stays in clouds.yaml."""
    wanted = {
        "OS_CLIENT_CONFIG_FILE": str(box.folder / "clouds.yaml"),
        "OS_CLOUD": CLOUD,
        "OSG_SITE_IAAS_SANDBOX": str(box.folder),
    }
    if any(outside.get(name) for name in _PROXIES):
        direct = [host for host in outside.get("no_proxy", "").split(",") if host]
        wanted["no_proxy"] = ",".join([*direct, *({"127.0.0.1"} - set(direct))])
    return wanted


def exports(variables: Mapping[str, str]) -> str:
    """Shell lines to be evaluated."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items())


def write_user_files(box: Box) -> None:
    """clouds.yaml and env.sh."""
    write_private(box.folder / "clouds.yaml", yaml.safe_dump(clouds(box), sort_keys=False))
    write_private(box.folder / "env.sh", exports(environment(box, {})))
