"""federate.py URL: what `osg-site-iaas apply` makes in Keystone for logins; the whole of apply needs a cloud."""

import sys

import openstack

from osg_site_iaas.declaration.load import load
from osg_site_iaas.mapping import keystone as grid

site = load("/etc/osg/site-iaas/site.yml")
cloud = openstack.connect(
    auth_url=sys.argv[1],
    identity_endpoint_override=sys.argv[1],  # the catalogue has the usual port, the scenario may have another
    username="admin",
    password="not-a-secret",
    project_name="admin",
    user_domain_name="Default",
    project_domain_name="Default",
    cacert="/root/ca.pem",
)
keystone = cloud.identity
domain = keystone.create_domain(name=site.cloud.domain)
role = keystone.find_role("member")
for vo in site.vos:
    project = keystone.create_project(name=vo.name, domain_id=domain.id)
    for group in grid.groups(site):
        made = keystone.create_group(name=group.name, domain_id=domain.id)
        keystone.assign_project_role_to_group(project, made, role)
for one in grid.providers(site):
    root = f"/OS-FEDERATION/identity_providers/{one.id}"
    body = {"domain_id": domain.id, "remote_ids": list(one.remote_ids), "enabled": True}
    calls = [
        (root, {"identity_provider": body}),
        (f"/OS-FEDERATION/mappings/{one.mapping}", {"mapping": {"rules": grid.rules(site, one)}}),
        (f"{root}/protocols/{one.protocol}", {"protocol": {"mapping_id": one.mapping}}),
    ]
    for path, json in calls:
        answer = keystone.put(path, json=json)
        assert answer.status_code == 201, answer.text
