#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""Whether a database and a RabbitMQ will serve OpenStack."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backends
short_description: Whether a database and a RabbitMQ will serve OpenStack
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - Logs in where the services of role C(openstack) will, and fails with all that is in their way, in sentences.
  - It needs PyMySQL and amqp on the host that it runs on, which come with OpenStack, and changes nothing.
options:
  database:
    description: A MariaDB or MySQL.
    type: dict
    suboptions:
      host: {description: Its name or address., type: str, required: true}
      port: {description: Its port., type: int, default: 3306}
      user: {description: The user., type: str, required: true}
      password: {description: The user's password., type: str, required: true}
      names: {description: The databases that must be open to the user., type: list, elements: str, required: true}
      ca: {description: A file of CA certificates that must have signed its own; plain without., type: path}
  messages:
    description: A RabbitMQ or a cluster of them.
    type: dict
    suboptions:
      hosts: {description: "Each HOST:PORT.", type: list, elements: str, required: true}
      user: {description: The user., type: str, required: true}
      password: {description: The user's password., type: str, required: true}
      ca: {description: A file of CA certificates that must have signed theirs; plain without., type: path}
attributes:
  check_mode: {support: full, description: It does the same.}
  diff_mode: {support: none, description: Nothing changes.}
  idempotent: {support: full, description: Nothing changes.}
requirements:
  - PyMySQL
  - amqp
"""

EXAMPLES = r"""
- name: Ask the site's own MariaDB before Keystone needs it
  osg.site_iaas.backends:
    database:
      host: db.example.org
      user: openstack
      password: "{{ database_password }}"
      names: [keystone]
      ca: /etc/ssl/certs/ca-certificates.crt
"""

RETURN = r"""
problems:
  description: What is in the way, a sentence each.
  type: list
  elements: str
  returned: always
"""

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible_collections.osg.site_iaas.plugins.module_utils import backends

LOGIN = {
    "user": {"type": "str", "required": True},
    "password": {"type": "str", "required": True, "no_log": True},
    "ca": {"type": "path"},
}
DATABASE = {
    "host": {"type": "str", "required": True},
    "port": {"type": "int", "default": 3306},
    "names": {"type": "list", "elements": "str", "required": True},
    **LOGIN,
}
MESSAGES = {"hosts": {"type": "list", "elements": "str", "required": True}, **LOGIN}


def main():
    """Ask, and fail with all that is wrong."""
    module = AnsibleModule(
        {
            "database": {"type": "dict", "options": DATABASE},
            "messages": {"type": "dict", "options": MESSAGES},
        },
        supports_check_mode=True,
    )
    if backends.MISSING:
        module.fail_json(msg=missing_required_lib("PyMySQL, amqp"), exception=backends.MISSING)
    found = backends.problems(module.params["database"], module.params["messages"])
    if found:
        module.fail_json(msg="; ".join(found), problems=found)
    module.exit_json(changed=False, problems=[])


if __name__ == "__main__":
    main()
