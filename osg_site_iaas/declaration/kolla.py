"""What a kolla-ansible cloud must be told for this project to work beside it: files for its ``config`` folder."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from osg_site_iaas.errors import SiteError

WHY = "from site.yml, by the filter osg.site_iaas.kolla_overrides: see docs/existing-cloud.md"


def overrides(site: Mapping[str, Any], metadata: Optional[str] = None) -> dict[str, str]:
    """Content by path below ``/etc/kolla/config``; ``metadata`` is HOST:PORT of the metadata door, where there is one.

    Logins by grid credentials need Keystone's ``mapped`` method, and a lifetime for the groups that they bring:
    without one EC2 keys and application credentials of members fail. The longest that is declared is taken; each
    identity provider has its own, which goes before it. ``openid`` is what kolla adds for a site's own federation, and
    an override replaces its line as a whole.

    The metadata agent is another one with OVN, and its file is there for either: kolla reads the one it runs. The door
    speaks HTTP, whatever the cloud's own services do among themselves.
    """
    providers = site.get("identity_providers") or {}
    lifetimes = [one.get("authorization_ttl") or 0 for one in providers.values()]
    files: dict[str, dict[str, dict[str, str]]] = {
        # A cell that does not answer must be an error: an empty answer looks like servers that are gone.
        "nova.conf": {"api": {"list_records_by_skipping_down_cells": "false"}},
        "keystone.conf": {
            "auth": {"methods": "external,password,token,oauth1,openid,mapped,application_credential"},
            **({"federation": {"default_authorization_ttl": str(max(lifetimes))}} if any(lifetimes) else {}),
        },
    }
    if metadata is not None:
        host, _, port = metadata.rpartition(":")
        if not host or not port.isdigit():
            raise SiteError(f"{metadata!r} is no address of a metadata door", todo="write HOST:PORT")
        agent = {
            "DEFAULT": {
                "nova_metadata_host": host.strip("[]"),
                "nova_metadata_port": port,
                "nova_metadata_protocol": "http",
            }
        }
        files["neutron/metadata_agent.ini"] = files["neutron/neutron_ovn_metadata_agent.ini"] = agent
    return {name: _ini(sections) for name, sections in files.items()}


def _ini(sections: Mapping[str, Mapping[str, str]]) -> str:
    lines = [f"# {WHY}"]
    for section, settings in sections.items():
        lines += [f"[{section}]", *(f"{name} = {value}" for name, value in settings.items())]
    return "\n".join(lines) + "\n"
