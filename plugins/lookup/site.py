# Apache License 2.0 (see LICENSE)
"""What stands in a site.yml."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site
short_description: What stands at a path of a checked site.yml
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Reads a site.yml with all its checks, fills in the defaults, and returns what stands at dotted paths. RAM is in MiB,
    disks and volumes are in GiB, what is in buckets is in bytes; -1 is unlimited. Secrets are left out.
options:
  _terms:
    description: Dotted paths, such as C(vos.cms.quota.compute.cores); none is the whole declaration.
    type: list
    elements: str
  file:
    description: Path of the site.yml; a relative one is looked for as a role's or playbook's file.
    type: str
    default: site.yml
requirements:
  - osg-site-iaas, in the Python that runs Ansible (C(ansible_playbook_python))
seealso:
  - plugin: osg.site_iaas.vo_names
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say how many cores cms may use
  ansible.builtin.debug:
    msg: "{{ lookup('osg.site_iaas.site', 'vos.cms.quota.compute.cores', file='/etc/osg/site-iaas/site.yml') }}"

- name: Go through the VOs
  ansible.builtin.debug:
    var: item
  loop: "{{ lookup('osg.site_iaas.site') | osg.site_iaas.vo_names }}"
"""

RETURN = r"""
_raw:
  description: What stands at each path.
  type: list
  elements: raw
"""

import sys

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

try:
    from osg_site_iaas.declaration.load import load
    from osg_site_iaas.declaration.public import at, public
    from osg_site_iaas.errors import SiteError
except ImportError as error:
    MISSING = error
else:
    MISSING = None


class LookupModule(LookupBase):
    def run(self, terms, variables=None, **kwargs):
        """What stands at each path."""
        if MISSING:
            raise AnsibleLookupError(
                f"{MISSING}: install osg-site-iaas for the Python that runs Ansible, {sys.executable}"
            )
        self.set_options(var_options=variables, direct=kwargs)
        path = self.find_file_in_search_path(variables, "files", self.get_option("file"), ignore_missing=True)
        try:
            data = public(load(path or self.get_option("file")))
            return [at(data, term) for term in terms or [""]]
        except SiteError as error:
            raise AnsibleLookupError(
                str(error)
            ) from None  # Ansible would append the cause's text, which is the same
