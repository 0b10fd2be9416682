#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""Services, endpoints and the services' own users in Keystone."""

from __future__ import annotations

DOCUMENTATION = r"""
module: catalogue
short_description: Services, endpoints and the services' users in Keystone
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Makes what role C(openstack) needs of a Keystone that has just begun. It removes nothing.
  - It needs openstacksdk and nothing else of this project on the host that it runs on.
  - In check mode on a host that has no Keystone yet, all is reported as made.
options:
  cloud:
    description: The administrator's entry in clouds.yaml.
    type: str
    required: true
  region:
    description: Region of the endpoints.
    type: str
    required: true
  services:
    description: Services, each with one address for all interfaces.
    type: list
    elements: dict
    required: true
    suboptions:
      name: {description: Its name., type: str, required: true}
      type: {description: Its type in the catalogue., type: str, required: true}
      url: {description: Its address., type: str, required: true}
  users:
    description: The services' users in the domain Default, with roles on a project of that domain.
    type: list
    elements: dict
    default: []
    suboptions:
      username: {description: Its name., type: str, required: true}
      password: {description: Its password; set where another one is in force., type: str, required: true}
      roles: {description: Roles on the project., type: list, elements: str, required: true}
      project: {description: The project; it is made where it is missing., type: str, default: service}
attributes:
  check_mode: {support: full, description: Tells what it would make.}
  diff_mode: {support: none, description: What it makes stands in C(made).}
  idempotent: {support: full, description: What is there stays; an address or password that differs is set.}
requirements:
  - openstacksdk
"""

EXAMPLES = r"""
- name: Tell clients where Nova is
  osg.site_iaas.catalogue:
    cloud: admin
    region: RegionOne
    services:
      - {name: nova, type: compute, url: "https://cloud.example.org:8774/v2.1"}
    users:
      - {username: nova, password: "{{ nova_password }}", roles: [service]}
"""

RETURN = r"""
made:
  description: What was made or set right, in words.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.osg.site_iaas.plugins.module_utils import catalogue

SERVICE = {name: {"type": "str", "required": True} for name in ("name", "type", "url")}
USER = {
    "username": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "roles": {"type": "list", "elements": "str", "required": True},
    "project": {"type": "str", "default": "service"},
}


def main():
    """Make what is missing."""
    module = AnsibleModule(
        {
            "cloud": {"type": "str", "required": True},
            "region": {"type": "str", "required": True},
            "services": {"type": "list", "elements": "dict", "required": True, "options": SERVICE},
            "users": {"type": "list", "elements": "dict", "default": [], "options": USER, "no_log": False},
        },
        supports_check_mode=True,
    )
    if catalogue.MISSING and not module.check_mode:
        module.fail_json(msg=missing_required_lib("openstacksdk"), exception=catalogue.MISSING)
    try:
        made = catalogue.fill(module.params, module.check_mode)
    except catalogue.ERRORS as error:
        if not module.check_mode:
            module.fail_json(msg=f"Keystone did not do it: {error}")
        made = [f"service {one['name']}" for one in module.params["services"]]  # there is none yet
    module.exit_json(changed=bool(made), made=made)


if __name__ == "__main__":
    main()
