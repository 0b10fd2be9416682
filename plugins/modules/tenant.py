#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""One VO of a site, with or without a site.yml."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tenant
short_description: Give one VO its project, quotas, access and service users
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - With O(site), applies one VO of a site.yml and nothing else of it. With O(cloud), the parameters are the VO's entry.
  - Other VOs are never changed or removed. What the VO needs of the site as a whole (the Keystone domain, an identity
    provider, a private flavour) is made where it does not exist, and left as it is where it does.
options:
  name:
    description: The VO.
    type: str
    required: true
    aliases: [vo]
  state:
    description:
      - With V(absent) the first run withdraws all access and disables the project and the service users, a second one
        deletes them if the project is empty or O(destroy) is set. A VO that O(site) still declares is not removed.
    type: str
    choices: [present, absent]
    default: present
  destroy:
    description: With O(state=absent), delete the disabled project with all that it holds, machines and data included.
    type: bool
    default: false
  description:
    description: What the VO is.
    type: str
  project:
    description: Keystone project; the VO's name unless said otherwise.
    type: str
  enabled:
    description: Whether the VO may enter and its project works. A new one does; left out, what was disabled stays so.
    type: bool
  access:
    description:
      - Who may use the project; each line has exactly one of O(access[].fqan), O(access[].dn) and
        O(access[].issuer). Left out, access stays as it is; an empty list withdraws all.
    type: list
    elements: dict
    suboptions:
      fqan:
        description: VOMS attribute, in which V(*) stands for anything, as in a voms-mapfile.
        type: str
      dn:
        description: Certificate subject in slash form.
        type: str
      issuer:
        description: Token issuer; an entry of O(identity_providers) must name it too.
        type: str
      subject:
        description: Narrows O(access[].issuer) to one subject.
        type: str
      group:
        description: Narrows O(access[].issuer) to one group.
        type: str
      scope:
        description: Narrows O(access[].issuer) to tokens with this scope.
        type: str
      role:
        description: Keystone role; V(member) unless said otherwise.
        type: str
      ec2_keys:
        description: Whether EC2 keys may be issued; V(true) unless said otherwise.
        type: bool
  quota:
    description:
      - Limits by service (C(compute), C(network), C(volume), C(object)) under the service's own names, as in site.yml.
        Limits that are left out stay as they are.
    type: dict
  service_users:
    description: The VO's own users. Left out, they stay as they are; those no longer listed lose their access.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name without the VO; in Keystone it is C(VO-NAME).
        type: str
        required: true
      role:
        description: Keystone role; V(member) unless said otherwise.
        type: str
      ec2_key:
        description: Whether it gets an EC2 key, kept in the folder O(secrets).
        type: bool
      password:
        description: Where its password is, C(file:/path), C(env:NAME) or V(generated); never the password.
        type: str
  buckets:
    description: S3 buckets of the VO. Left out, they stay as they are; one no longer listed is only removed by prune.
    type: list
    elements: dict
    suboptions:
      name:
        description: Name of the bucket.
        type: str
        required: true
      quota:
        description: Most that it may hold, a size such as V(500 GiB).
        type: str
      public_read:
        description: Whether everybody may read it. Nobody may read a new one; left out, it stays as it is.
        type: bool
extends_documentation_fragment:
  - osg.site_iaas.face
  - osg.site_iaas.face.header
  - osg.site_iaas.face.bounds
  - osg.site_iaas.face.changes
attributes:
  idempotent:
    support: partial
    details: O(state=absent) takes two runs; a third finds nothing to do.
seealso:
  - module: osg.site_iaas.site
  - module: osg.site_iaas.tenant_info
"""

EXAMPLES = r"""
- name: Apply one VO of a declaration
  osg.site_iaas.tenant:
    site: /etc/osg/site-iaas/site.yml
    name: cms

- name: A VO without a declaration
  osg.site_iaas.tenant:
    cloud: example
    secrets: /etc/osg/site-iaas/secrets
    name: icecube
    access:
      - fqan: /icecube/Role=production
        role: manager
      - fqan: /icecube/*
    quota:
      compute: {instances: 20, cores: 40, ram: 80 GiB}
    service_users:
      - name: pilot
        ec2_key: true

- name: Send a VO away, once what it had running is gone
  osg.site_iaas.tenant:
    cloud: example
    secrets: /etc/osg/site-iaas/secrets
    name: icecube
    state: absent
"""

RETURN = r"""
summary:
  description: The plan in a sentence.
  returned: success
  type: str
  sample: "Plan: 5 to create."
changes:
  description: What was changed, or would be; each has C(op), C(kind), C(key), C(vo), C(before), C(after) and more.
  returned: success
  type: list
  elements: dict
  sample: [{op: create, kind: project, key: [cms], vo: cms, line: 9, before: {}, after: {enabled: true}}]
held:
  description: What is no longer declared, and why it stays for now.
  returned: success
  type: list
  elements: dict
  sample: [{kind: project, key: [cms], why: "still holds 3 servers; empty it, or add --destroy cms"}]
unmanaged:
  description: What the VO has and is not ours, such as a role that somebody was given by hand.
  returned: success
  type: list
  elements: dict
  sample: [{kind: role_assignment, key: [user, alice, admin, cms]}]
problems:
  description: Everything that is wrong with the declaration.
  returned: failure
  type: list
  elements: dict
  sample: [{path: vos.cms.quta, what: "'quta' is not known here", todo: Did you mean quota?}]
failed_changes:
  description: The changes that could not be made, each with its reason. The rest was done; a second run does these.
  returned: failure
  type: list
  elements: dict
  sample: [{kind: user, key: [cms-pilot], reason: Keystone answers 500}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osg.site_iaas.plugins.module_utils import face, settle

STR = {"type": "str"}
BOOL = {"type": "bool"}
NAME = {"type": "str", "required": True}
ACCESS = dict.fromkeys(("fqan", "dn", "issuer", "subject", "group", "scope", "role"), STR)
USER = {"name": NAME, "role": STR, "ec2_key": BOOL, "password": {"type": "str", "no_log": True}}
BUCKET = {"name": NAME, "quota": STR, "public_read": BOOL}
ENTRY = {
    "description": STR,
    "project": STR,
    "enabled": BOOL,
    "access": {"type": "list", "elements": "dict", "options": {**ACCESS, "ec2_keys": BOOL}},
    "quota": {"type": "dict"},
    "service_users": {"type": "list", "elements": "dict", "options": USER},
    "buckets": {"type": "list", "elements": "dict", "options": BUCKET},
}


def work(module):
    params, name = module.params, module.params["name"]
    if params["state"] == "absent":
        destroy = [name] if params["destroy"] else []
        scope = face.Scope(vos=frozenset({name}))
        return settle.leave(module, face.declared(params), "project", name, scope, destroy)
    entry = face.given(params, *ENTRY)
    parts = None if params["site"] else frozenset(entry).intersection(face.PARTS)
    for listed in ("service_users", "buckets"):
        if listed in entry:
            entry[listed] = face.named(entry[listed], listed)
    site = face.declared(params, vos={name: entry})
    if name not in [vo.name for vo in site.vos]:
        raise face.undeclared(site, "VO", name)
    return settle.settle(module, site, face.Scope(vos=frozenset({name}), parts=parts))


def main():
    spec = {
        **face.FROM,
        **face.HEADER,
        **face.BOUNDS,
        **ENTRY,
        "name": {**NAME, "aliases": ["vo"]},
        "state": {**STR, "choices": ["present", "absent"], "default": "present"},
        "destroy": {**BOOL, "default": False},
    }
    module = AnsibleModule(
        spec,
        supports_check_mode=True,
        required_one_of=[("site", "cloud")],
        mutually_exclusive=[("site", name) for name in (*face.HEADER, *ENTRY)],
        required_by={"cloud": ("secrets",)},
    )
    face.run(module, work)


if __name__ == "__main__":
    main()
