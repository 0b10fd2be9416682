"""Keystone's policy that makes ``ec2_keys: false`` true, and a test whether it is in force.

Keystone lets everybody make EC2 keys for themselves, in two places. The policy lets those of the site's domain do so
only in a project in which they have the role ``EC2_ROLE``, which ``apply`` gives to the groups that may.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import uuid
from typing import Any, Mapping, Optional

import requests
import yaml

from osg_site_iaas.cloud.connect import Cloud, Missing
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.mapping.keystone import EC2_ROLE

_OWNER = "user_id:%(target.credential.user_id)s"


def rules(domain_id: str) -> dict[str, str]:
    """The lines of Keystone's policy.yaml; nothing changes for users of other domains.

    A key's project is known to the policy in the general address alone. So members make keys there: with the other
    one, somebody who may in one project could make a key for another.
    """
    outside = f"not user_domain_id:{domain_id}"
    inside = f"(role:{EC2_ROLE} and project_id:%(target.credential.project_id)s)"
    general = f"rule:admin_required or ({_OWNER} and ({outside} or {inside}))"
    return {
        "identity:ec2_create_credential": f"rule:admin_required or (role:member and {_OWNER} and {outside})",
        "identity:create_credential": general,
        "identity:update_credential": general,
    }


def text(site: Site, domain_id: str) -> str:
    """The file's text, with a word on each part."""
    return (
        f"# Only who has the role {EC2_ROLE} in a project makes EC2 keys there, among the users of domain\n"
        f"# {site.cloud.domain} ({domain_id}). Made by `osg-site-iaas keystone-policy`; merge into policy.yaml.\n"
        + yaml.safe_dump(rules(domain_id), sort_keys=False, width=1000)
    )


def domain_id(cloud: Cloud, site: Site) -> str:
    """The id of the site's domain; SiteError if apply has not made it."""
    for found in cloud.get("identity", f"/domains?name={site.cloud.domain}")["domains"]:
        return str(found["id"])
    raise SiteError(f"Keystone has no domain {site.cloud.domain}", todo="osg-site-iaas apply makes it")


def what_gets_through(cloud: Cloud, site: Site) -> list[str]:
    """The ways by which a member without the role can make a key now; none is what is wanted.

    A user is made for that in the site's domain, and removed again with all that it made.
    """
    domain = domain_id(cloud, site)
    project = _first_project(cloud, site, domain)
    role = next((r["id"] for r in cloud.get("identity", "/roles?name=member")["roles"]), None)
    if role is None:
        raise SiteError("Keystone has no role `member` to try this with")
    password = secrets.token_urlsafe(32)
    body = {"name": f"osg-site-iaas-try-{uuid.uuid4().hex[:8]}", "domain_id": domain, "password": password}
    user = cloud.request("POST", "identity", "/users", json={"user": body}, hidden=[password]).json()["user"][
        "id"
    ]
    try:
        cloud.request("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role}")
        with requests.Session() as http:
            http.verify = cloud.session.verify
            return _attempts(http, cloud.endpoint("identity"), user, password, project)
    finally:
        with contextlib.suppress(Missing):
            cloud.request("DELETE", "identity", f"/users/{user}")  # Keystone removes its keys with it


def _attempts(http: requests.Session, url: str, user: str, password: str, project: str) -> list[str]:
    identity = {"methods": ["password"], "password": {"user": {"id": user, "password": password}}}
    auth = {"identity": identity, "scope": {"project": {"id": project}}}
    answer = http.post(f"{url}/auth/tokens", json={"auth": auth}, timeout=60)
    if answer.status_code != 201:
        raise SiteError(f"the user made for the trial cannot log in ({answer.status_code})")
    http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def attempt(method: str, path: str, body: Mapping[str, Any]) -> Optional[str]:
        """The id of what was made or changed; None if it was forbidden."""
        answer = http.request(method, url + path, json=body, timeout=60)
        if answer.status_code in (200, 201):
            return str(answer.json()["credential"].get("id", ""))
        if answer.status_code == 403 or (method, answer.status_code) == (
            "PATCH",
            400,
        ):  # 400: Keystone 30's own no
            return None
        raise SiteError(f"{method} {path} was answered {answer.status_code}: neither done nor forbidden")

    through = []
    if attempt("POST", f"/users/{user}/credentials/OS-EC2", {"tenant_id": project}) is not None:
        through.append("POST /users/ID/credentials/OS-EC2")
    key = {"type": "ec2", "blob": _blob("access"), "project_id": project, "user_id": user}
    if attempt("POST", "/credentials", {"credential": key}) is not None:
        through.append("POST /credentials")
    other = attempt("POST", "/credentials", {"credential": {**key, "type": "try", "blob": _blob("word")}})
    if other is not None:
        changed = {"type": "ec2", "blob": _blob("access")}
        if attempt("PATCH", f"/credentials/{other}", {"credential": changed}) is not None:
            through.append("PATCH /credentials/ID, from another type")
    return through


def _blob(name: str) -> str:
    return json.dumps({name: uuid.uuid4().hex, "secret": uuid.uuid4().hex})


def _first_project(cloud: Cloud, site: Site, domain: str) -> str:
    names = {vo.project for vo in site.vos}
    for found in cloud.get("identity", f"/projects?domain_id={domain}")["projects"]:
        if found["name"] in names:
            return str(found["id"])
    raise SiteError("there is no project of a VO to try this in", todo="osg-site-iaas apply makes them")
