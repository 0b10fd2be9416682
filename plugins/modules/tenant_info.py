#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""What VOs have in OpenStack."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant_info
short_description: What VOs have in OpenStack, and how it differs from a site.yml
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Reads the projects of a site's VOs, their limits, users, groups and roles. Nothing is changed, and no secret is read
    out.
options:
  names:
    description: The VOs; all that exist unless said otherwise.
    type: list
    elements: str
    default: []
    aliases: [name]
extends_documentation_fragment:
  - osg.site_iaas.face
  - osg.site_iaas.face.header
attributes:
  check_mode:
    description: Reads only.
    support: full
  diff_mode:
    description: Changes nothing, so it has no difference to show; RV(tenants[].drift) says what C(site) would change.
    support: none
  idempotent:
    description: Reads only.
    support: full
seealso:
  - module: osg.site_iaas.tenant
"""

EXAMPLES = r"""
- name: Read what cms has, and how it differs from what is declared
  osg.site_iaas.tenant_info:
    site: /etc/osg/site-iaas/site.yml
    names: [cms]
  register: found

- name: Say so where somebody has changed it by hand
  ansible.builtin.debug:
    var: found.tenants[0].drift
  when: found.tenants[0].drift | length > 0
"""

RETURN = r"""
tenants:
  description: The VOs that exist, in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    vo:
      description: The VO.
      type: str
      sample: cms
    project:
      description: Name of its project.
      type: str
      sample: cms
    project_id:
      description: OpenStack's id of the project.
      type: str
      sample: 8f14e45fceea467a9575e26b4c1ba3f2
    description:
      description: Description of the project.
      type: str
      sample: Compact Muon Solenoid
    enabled:
      description: Whether the project is in use.
      type: bool
      sample: true
    managed:
      description: Whether it is ours.
      type: bool
      sample: true
    limits:
      description: Limits in force, by service and name; -1 is no limit. What the login may not see is missing.
      type: dict
      sample: {compute: {cores: 200}, network: {port: 500}}
    users:
      description: Service users and others with a role on the project, with their roles and whether they are ours.
      type: list
      elements: dict
      sample: [{name: cms-pilot, roles: [member], managed: true, enabled: true, ec2_key: true}]
    groups:
      description: Groups with a role on the project, with their roles and whether they are ours.
      type: list
      elements: dict
      sample: [{name: cms-member, roles: [member], managed: true}]
    drift:
      description: What C(site) would change; null without O(site), or where it does not declare the VO.
      type: list
      elements: dict
      sample: [{op: update, kind: compute_quota, key: [cms], before: {cores: 1}, after: {cores: 200}}]
    unmanaged:
      description: What the VO has and is not ours.
      type: list
      elements: dict
      sample: [{kind: role_assignment, key: [user, alice, admin, cms]}]
missing:
  description: VOs that were asked for and have no project.
  returned: success
  type: list
  elements: str
  sample: [atlas]
problems:
  description: Everything that is wrong with the declaration.
  returned: failure
  type: list
  elements: dict
  sample:
    - {file: site.yml, line: 7, column: 5, path: vos.cms.quta, what: "'quta' is not known", todo: Did you mean quota?}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osg.site_iaas.plugins.module_utils import face


def work(module):
    site = face.declared(module.params)
    found = face.tenants.look(site, module.params["names"], workers=module.params["workers"])
    missing = sorted(set(module.params["names"]) - {tenant["vo"] for tenant in found})
    return {"changed": False, "tenants": found, "missing": missing}


def main():
    spec = {
        **face.FROM,
        **face.HEADER,
        "names": {"type": "list", "elements": "str", "default": [], "aliases": ["name"]},
    }
    module = AnsibleModule(
        spec,
        supports_check_mode=True,
        required_one_of=[("site", "cloud")],
        mutually_exclusive=[("site", name) for name in face.HEADER],
    )
    face.run(module, work)


if __name__ == "__main__":
    main()
