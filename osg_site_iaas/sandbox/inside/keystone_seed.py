"""What Keystone must hold before anybody uses it, made through its managers; again changes nothing."""

import contextlib
import json
import uuid
from pathlib import Path

from keystone import exception
from keystone.cmd.bootstrap import Bootstrapper
from keystone.common import provider_api
from keystone.server import backends

DOMAIN = "default"
API = provider_api.ProviderAPIs

LEAST = ("ec2",)  # what VOs talk to has no more than a site would give it


def seed(path):
    """Make what the file at ``path`` lists and is not there; endpoints follow when ports change."""
    wanted = json.loads(Path(path).read_text())
    keystone_url = next(e["url"] for e in wanted["endpoints"] if e["type"] == "identity")
    admin = _bootstrap(wanted, keystone_url)
    roles = {role["name"]: role["id"] for role in API.role_api.list_roles()}
    for name in wanted["roles"]:
        if name not in roles:
            roles[name] = uuid.uuid4().hex
            API.role_api.create_role(roles[name], {"id": roles[name], "name": name, "domain_id": None})
    _assign(admin.admin_user_id, admin.project_id, roles["ResellerAdmin"])
    project = _project("service")
    for name, password in wanted["users"].items():
        user = _user(name, password)
        for role in ("service",) if name in LEAST else ("admin", "service"):
            _assign(user, project, roles[role])
    _catalogue(wanted)


def _bootstrap(wanted, url):
    # Bootstrapper loads the backends, which the application has done already and which may be done once only.
    load, backends.load_backends = backends.load_backends, lambda: None
    try:
        boot = Bootstrapper()
    finally:
        backends.load_backends = load
    boot.admin_username = boot.project_name = boot.admin_role_name = "admin"
    boot.admin_password = wanted["admin_password"]
    boot.region_id = wanted["region"]
    boot.service_name = "keystone"
    boot.public_url = boot.internal_url = boot.admin_url = url
    boot.immutable_roles = True
    boot.bootstrap()
    return boot


def _assign(user, project, role):
    with contextlib.suppress(exception.Conflict):
        API.assignment_api.add_role_to_user_and_project(user, project, role)


def _project(name):
    try:
        return API.resource_api.get_project_by_name(name, DOMAIN)["id"]
    except exception.ProjectNotFound:
        project = {
            "id": uuid.uuid4().hex,
            "name": name,
            "domain_id": DOMAIN,
            "enabled": True,
            "description": "",
        }
        return API.resource_api.create_project(project["id"], project)["id"]


def _user(name, password):
    try:
        return API.identity_api.get_user_by_name(name, DOMAIN)["id"]
    except exception.UserNotFound:
        user = {"name": name, "password": password, "domain_id": DOMAIN, "enabled": True}
        return API.identity_api.create_user(user)["id"]


def _catalogue(wanted):
    catalogue = API.catalog_api
    services = {service["name"]: service["id"] for service in catalogue.list_services()}
    have = {(e["service_id"], e["interface"]): e for e in catalogue.list_endpoints()}
    for entry in wanted["endpoints"]:
        if entry["name"] not in services:
            service = {"id": uuid.uuid4().hex, "name": entry["name"], "type": entry["type"], "enabled": True}
            catalogue.create_service(service["id"], service)
            services[entry["name"]] = service["id"]
        for interface in ("public", "internal", "admin"):
            endpoint = have.get((services[entry["name"]], interface))
            if endpoint is None:
                made = {
                    "id": uuid.uuid4().hex,
                    "service_id": services[entry["name"]],
                    "region_id": wanted["region"],
                    "interface": interface,
                    "url": entry["url"],
                    "enabled": True,
                }
                catalogue.create_endpoint(made["id"], made)
            elif endpoint["url"] != entry["url"]:
                catalogue.update_endpoint(endpoint["id"], {"url": entry["url"]})
