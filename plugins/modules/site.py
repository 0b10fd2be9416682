#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""A whole site.yml, applied."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site
short_description: Make OpenStack what a site.yml says
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Does what C(osg-site-iaas apply) does. Check mode does what C(osg-site-iaas plan) does.
  - What is there and not ours is never touched. Access that is no longer declared is withdrawn; what holds data or
    machines is removed only with O(prune).
options:
  site:
    required: true
  prune:
    description:
      - Take out of use what is ours and no longer declared. The first run disables it; a later one deletes what is
        empty.
    type: bool
    default: false
  destroy:
    description: With O(prune), VOs whose disabled projects are deleted with all they hold, machines and data included.
    type: list
    elements: str
    default: []
extends_documentation_fragment:
  - osg.site_iaas.face
  - osg.site_iaas.face.bounds
  - osg.site_iaas.face.changes
seealso:
  - module: osg.site_iaas.tenant
  - module: osg.site_iaas.tenant_info
"""

EXAMPLES = r"""
- name: Apply the declaration
  osg.site_iaas.site:
    site: /etc/osg/site-iaas/site.yml

- name: Also take out of use what is no longer declared
  osg.site_iaas.site:
    site: /etc/osg/site-iaas/site.yml
    prune: true
"""

RETURN = r"""
summary:
  description: The plan in a sentence.
  returned: success
  type: str
  sample: "Plan: 3 to create, 1 to update (2 not ours)."
changes:
  description: What was changed, or would be; each has C(op), C(kind), C(key), C(vo), C(before), C(after) and more.
  returned: success
  type: list
  elements: dict
  sample: [{op: update, kind: compute_quota, key: [cms], vo: cms, line: 12, before: {cores: 20}, after: {cores: 40}}]
held:
  description: What is ours and no longer declared, and why it stays for now.
  returned: success
  type: list
  elements: dict
  sample: [{kind: project, key: [old], why: no longer declared; --prune would take it out of use}]
unmanaged:
  description: What is there and not ours.
  returned: success
  type: list
  elements: dict
  sample: [{kind: project, key: [by-hand]}]
problems:
  description: Everything that is wrong with the declaration, with its line and column.
  returned: failure
  type: list
  elements: dict
  sample:
    - {file: site.yml, line: 7, column: 5, path: vos.cms.quta, what: "'quta' is not known", todo: Did you mean quota?}
failed_changes:
  description: The changes that could not be made, each with its reason. The rest was done; a second run does these.
  returned: failure
  type: list
  elements: dict
  sample: [{kind: image, key: [el9], reason: the source does not answer}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osg.site_iaas.plugins.module_utils import face, settle


def work(module):
    params = module.params
    if params["destroy"] and not params["prune"]:
        raise face.SiteError("destroy does nothing without prune", todo="set prune, or leave destroy out")
    prune = face.Prune(params["prune"], frozenset(params["destroy"]))
    return settle.settle(module, face.declared(params), prune=prune)


def main():
    spec = {
        **face.FROM,
        **face.BOUNDS,
        "site": {"type": "path", "required": True},
        "prune": {"type": "bool", "default": False},
        "destroy": {"type": "list", "elements": "str", "default": []},
    }
    face.run(AnsibleModule(spec, supports_check_mode=True), work)


if __name__ == "__main__":
    main()
