# Apache License 2.0 (see LICENSE)
"""What the documentation of the modules has in common."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  site:
    description:
      - Path of a site.yml. Where the tasks run on the control node itself, a relative path starts from the
        folder of the playbook.
    type: path
  workers:
    description: Requests under way at once.
    type: int
    default: 8
requirements:
  - osg-site-iaas, in the Python that the module runs under
notes:
  - The module runs where C(clouds.yaml) and the folder for secrets are, so usually on C(localhost) with
    C(ansible_python_interpreter) set to C({{ ansible_playbook_python }}).
  - C(OS_CLIENT_CONFIG_FILE) in the task's environment names a C(clouds.yaml) in an unusual place.
"""

    HEADER = r"""
options:
  cloud:
    description:
      - Entry of C(clouds.yaml) that holds an administrator's login. With it the parameters are the declaration, and
        no site.yml is read.
    type: str
  domain:
    description: Keystone domain of the VOs' projects, groups and users; V(osg) unless said otherwise.
    type: str
  region:
    description: OpenStack region; V(RegionOne) unless said otherwise.
    type: str
  endpoint_type:
    description: Which of Keystone's interfaces to use; V(public) unless said otherwise.
    type: str
    choices: [public, internal, admin]
  admin_projects:
    description:
      - Ids of further projects that only administrators are in, whose images with the site's mark are the site's.
    type: list
    elements: str
  secrets:
    description:
      - Folder, on the host that the module runs on, for the keys and passwords that it creates and for its lock.
    type: path
  identity_providers:
    description:
      - Who vouches for the members, as in site.yml. Grid certificates need none; a token issuer does.
    type: dict
"""

    BOUNDS = r"""
options:
  wait:
    description: Seconds to wait for another apply of the same site to end.
    type: float
    default: 60
  force:
    description: Go past O(max_removed).
    type: bool
    default: false
  max_removed:
    description: Refuse a plan that removes, disables or shrinks more than so many percent of what it manages.
    type: float
    default: 30
"""

    CHANGES = r"""
attributes:
  check_mode:
    description: Makes the same plan, with the same refusals, and changes nothing.
    support: full
  diff_mode:
    description: Shows each changed object before and after, with the attributes that differ. Secrets are never in it.
    support: full
  idempotent:
    description: A second run finds nothing to do.
    support: full
"""
