#!/usr/bin/python
# Apache License 2.0 (see LICENSE)
"""One image of a site, with or without a site.yml."""

from __future__ import annotations

DOCUMENTATION = r"""
module: image
short_description: Put one image into Glance and share it with VOs
version_added: "0.1.0"
author: The osg-site-iaas maintainers (!UNKNOWN)
description:
  - With O(site), applies one image of a site.yml and nothing else of it. With O(cloud), the parameters are the image's
    entry.
  - The data is uploaded once, while its checksum is checked, and never changed; new data needs a new name.
  - Other images are never changed or removed.
options:
  name:
    description: The image.
    type: str
    required: true
  state:
    description:
      - With V(absent) the first run puts it out of use, a second one removes it. An image that O(site) still declares,
        or that is not ours, is not removed.
    type: str
    choices: [present, absent]
    default: present
  source:
    description: Where the data is at the first upload, C(file:/absolute/path) or a URL, which needs a checksum.
    type: str
  checksum:
    description: Algorithm and hexadecimal digest, such as V(sha256:9f86...).
    type: str
  disk_format:
    description: Format of the disk; V(qcow2) unless said otherwise.
    type: str
  container_format:
    description: What the disk is wrapped in; V(bare) unless said otherwise.
    type: str
  visibility:
    description: Who sees it; V(shared) with O(vos), else a new one is V(private). Left out, it stays as it is.
    type: str
    choices: [private, shared, community, public]
  min_disk:
    description: Least disk of a flavour, a number of GiB or a size such as V(10 GiB).
    type: raw
  min_ram:
    description: Least memory of a flavour, a number of MiB or a size such as V(2 GiB).
    type: raw
  protected:
    description: Whether Glance refuses to delete it; left out, it stays as it is.
    type: bool
  properties:
    description: Properties that it has; others are left alone.
    type: dict
  vos:
    description:
      - VOs that it is shared with; from others that had it, it is withdrawn. Their projects must exist and bear the
        VOs' names; where they have other names, use O(site).
    type: list
    elements: str
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
"""

EXAMPLES = r"""
- name: Apply one image of a declaration
  osg.site_iaas.image:
    site: /etc/osg/site-iaas/site.yml
    name: osg-el9

- name: Share an image with two VOs
  osg.site_iaas.image:
    cloud: example
    secrets: /etc/osg/site-iaas/secrets
    name: gpu-worker
    source: file:/srv/images/gpu-worker.raw
    disk_format: raw
    vos: [icecube, cms]
"""

RETURN = r"""
summary:
  description: The plan in a sentence.
  returned: success
  type: str
  sample: "Plan: 2 to create."
changes:
  description: What was changed, or would be; each has C(op), C(kind), C(key), C(before), C(after) and more.
  returned: success
  type: list
  elements: dict
  sample: [{op: create, kind: image_member, key: [gpu-worker, cms], vo: cms, before: {}, after: {status: accepted}}]
held:
  description: What is no longer declared, and why it stays for now.
  returned: success
  type: list
  elements: dict
  sample: []
unmanaged:
  description: What the image has and is not ours, such as a share with a project of somebody else.
  returned: success
  type: list
  elements: dict
  sample: [{kind: image_member, key: [gpu-worker, by-hand]}]
problems:
  description: Everything that is wrong with the declaration.
  returned: failure
  type: list
  elements: dict
  sample:
    - {path: images.el9.checksum, what: "'md5:00' has not the form of a checksum", todo: Write sha256 and 64 digits.}
failed_changes:
  description: The changes that could not be made, each with its reason. The rest was done; a second run does these.
  returned: failure
  type: list
  elements: dict
  sample: [{kind: image, key: [el9], reason: the source does not answer}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.osg.site_iaas.plugins.module_utils import face, settle

TEXTS = ("source", "checksum", "disk_format", "container_format")
ENTRY = {
    **{name: {"type": "str"} for name in TEXTS},
    "visibility": {"type": "str", "choices": ["private", "shared", "community", "public"]},
    "min_disk": {"type": "raw"},
    "min_ram": {"type": "raw"},
    "protected": {"type": "bool"},
    "properties": {"type": "dict"},
    "vos": {"type": "list", "elements": "str"},
}


def work(module):
    params, name = module.params, module.params["name"]
    scope = face.Scope(images=frozenset({name}))
    if params["state"] == "absent":
        return settle.leave(module, face.declared(params), "image", name, scope)
    vos = dict.fromkeys(params["vos"] or ())
    site = face.declared(params, images={name: face.given(params, *ENTRY)}, vos=vos)
    if name not in [image.name for image in site.images]:
        raise face.undeclared(site, "image", name)
    return settle.settle(module, site, scope)


def main():
    spec = {
        **face.FROM,
        **face.HEADER,
        **face.BOUNDS,
        **ENTRY,
        "name": {"type": "str", "required": True},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
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
