# Apache License 2.0 (see LICENSE)
"""The hosts that a site.yml names, as an inventory."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site
short_description: The hosts that a site.yml names
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Every host of C(caches) becomes a host, in group C(osg_caches) and in one group a type, such as C(osg_caches_squid).
    Its variable C(osg_caches) lists its caches with their ports, VOs and options.
  - The host that C(site.fqdn) names becomes a host in group C(osg_cloud).
  - All of them are in group C(osg_site), whose variable C(osg_site) is the whole declaration as data, with defaults
    filled in and without secrets.
  - The inventory file is a YAML file whose name ends in C(site.inventory.yml) or C(site.inventory.yaml).
extends_documentation_fragment:
  - constructed
options:
  plugin:
    description: Says that the file is for this plugin.
    required: true
    choices: [osg.site_iaas.site]
  site:
    description: Path of the site.yml; a relative one starts from the folder of the inventory file.
    type: str
    required: true
requirements:
  - osg-site-iaas, in the Python that runs Ansible (C(ansible_playbook_python))
"""

EXAMPLES = r"""
# caches.site.inventory.yml
plugin: osg.site_iaas.site
site: site.yml
# hosts that serve a VO, in a group of its name: osg_vo_cms
keyed_groups:
  - key: osg_caches | map(attribute='vos') | flatten
    prefix: osg_vo
"""

import sys
from pathlib import Path

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Constructable
from ansible.utils.unsafe_proxy import wrap_var

try:
    from osg_site_iaas.declaration.load import load
    from osg_site_iaas.declaration.public import public
    from osg_site_iaas.errors import SiteError
except ImportError as error:
    MISSING = error
else:
    MISSING = None


class InventoryModule(BaseInventoryPlugin, Constructable):
    NAME = "osg.site_iaas.site"

    def verify_file(self, path):
        """Whether a file is, by its name, for this plugin."""
        return super().verify_file(path) and path.endswith(("site.inventory.yml", "site.inventory.yaml"))

    def parse(self, inventory, loader, path, cache=True):
        """Fill the inventory from the file's site.yml."""
        super().parse(inventory, loader, path, cache)
        if MISSING:
            raise AnsibleParserError(
                f"{MISSING}: install osg-site-iaas for the Python that runs Ansible, {sys.executable}"
            )
        self._read_config_data(path)
        try:
            site = public(load(Path(path).parent / Path(self.get_option("site")).expanduser()))
        except SiteError as error:
            raise AnsibleParserError(
                str(error)
            ) from None  # Ansible would append the cause's text, which is the same
        self._fill(site)

    def _fill(self, site):
        # Before ansible-core 2.19, texts of variables would be templates; names of hosts and groups must stay bare.
        self.inventory.add_group("osg_site")
        self.inventory.set_variable("osg_site", "osg_site", wrap_var(site))
        hosts = {site["site"]["fqdn"]: {"osg_cloud"}}
        caches = {}
        for name, cache in site["caches"].items():
            hosts.setdefault(cache["host"], set()).update({"osg_caches", f"osg_caches_{cache['type']}"})
            caches.setdefault(cache["host"], []).append({**cache, "name": name})
        for host, groups in hosts.items():
            self.inventory.add_host(host)
            for group in sorted(groups):
                self.inventory.add_group(group)
                self.inventory.add_child("osg_site", group)
                self.inventory.add_child(group, host)
            self.inventory.set_variable(host, "osg_caches", wrap_var(caches.get(host, [])))
            self._construct(host)

    def _construct(self, host):
        strict = self.get_option("strict")
        said = self.inventory.get_host(host).get_vars()
        self._set_composite_vars(self.get_option("compose"), said, host, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), said, host, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), said, host, strict=strict)
