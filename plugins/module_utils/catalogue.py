# Apache License 2.0 (see LICENSE)
"""Services, endpoints and the services' own users in a Keystone, by openstacksdk alone."""

from __future__ import annotations

import traceback

try:
    import openstack
    from keystoneauth1.exceptions import ClientException

    ERRORS = (ClientException, openstack.exceptions.SDKException)
    MISSING = None
except ImportError:
    ERRORS = (NameError,)  # what using it then raises
    MISSING = traceback.format_exc()


def fill(params, dry):
    """Make what is missing, or only tell: in words, what that is."""
    catalogue = Catalogue(params, dry)
    for one in params["services"]:
        catalogue.service(**one)
    for one in params["users"]:
        catalogue.user(**one)
    return catalogue.made


class Catalogue:
    """One Keystone, and what was made in it."""

    def __init__(self, params, dry):
        self.region, self.dry, self.made = params["region"], dry, []
        self.cloud = openstack.connect(cloud=params["cloud"])
        self.keystone = self.cloud.identity

    def do(self, what, call, *args, **values):
        """Note what is done, and do it; None where it is only told."""
        self.made.append(what)
        return None if self.dry else call(*args, **values)

    def service(self, name, type, url):
        """A service with its three endpoints."""
        key = {"name": name, "type": type}
        found = next(iter(self.keystone.services(**key)), None)
        service = found or self.do(f"service {name}", self.keystone.create_service, **key)
        there = {e.interface: e for e in self.keystone.endpoints(service_id=service.id)} if service else {}
        for interface in ("public", "internal", "admin"):
            end, what = there.get(interface), f"endpoint {name} {interface}"
            if end is None:
                new = {"service_id": service and service.id, "interface": interface, "region_id": self.region}
                self.do(what, self.keystone.create_endpoint, url=url, **new)
            elif end.url != url:
                self.do(what, self.keystone.update_endpoint, end, url=url)

    def user(self, username, password, roles, project):
        """A user with a password in force and roles on a project."""
        here = {"domain_id": "default"}
        keystone, user = self.keystone, self.keystone.find_user(username, **here)
        place = keystone.find_project(project, **here)
        place = place or self.do(f"project {project}", keystone.create_project, name=project, **here)
        new = {"name": username, "password": password, **here}
        user = user or self.do(f"user {username}", keystone.create_user, **new)
        if not (user and place):
            return
        held = list(keystone.role_assignments(user_id=user.id, scope_project_id=place.id))
        for name in roles:
            role = keystone.find_role(name) or self.do(f"role {name}", keystone.create_role, name=name)
            if role and role.id not in [one.role["id"] for one in held]:
                self.do(f"{name} of {username}", keystone.assign_project_role_to_user, place, user, role)
        if self.stale(username, password, project):
            self.do(f"password of {username}", keystone.update_user, user, password=password)

    def stale(self, username, password, project):
        """Whether a password is not the one in force."""
        who = {"username": username, "password": password, "user_domain_name": "Default"}
        scope = {"project_name": project, "project_domain_name": "Default"}
        try:
            return not self.cloud.connect_as(**who, **scope).authorize()
        except ERRORS:
            return True
