"""Long-lived EC2 keys of a VO's service users, rotated with an overlap: the old works until it is revoked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import secrets as random
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional
from xml.sax.saxutils import quoteattr

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.connect import Cloud, Conflicting, Missing
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import SiteError
from osg_site_iaas.plan.model import TAG

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Key:
    """An EC2 key as Keystone has it, without its secret."""

    id: str  # of the credential in Keystone
    access: str
    current: bool  # it is the one in our file


@dataclass(frozen=True)
class ServiceUser:
    """A service user that site.yml declares and apply has made."""

    vo: str
    name: str
    id: str
    project_id: str
    file: Path  # where its current key is kept


def find(cloud: Cloud, site: Site, vo: str, name: Optional[str] = None) -> ServiceUser:
    """The VO's service user with an EC2 key: the one named, or the only one; SiteError if that is not clear."""
    declared = [u.name for v in site.vos if v.name == vo for u in v.service_users if u.ec2_key]
    if vo not in {v.name for v in site.vos}:
        raise SiteError(f"there is no VO {vo}", where=str(site.file))
    if name is None and len(declared) == 1:
        name = declared[0]
    if name is None or name not in declared:
        listed = ", ".join(declared)
        raise SiteError(
            f"VO {vo} has {'service users ' + listed if declared else 'no service user with an EC2 key'}",
            where=str(site.file),
            todo="name one with --user"
            if declared
            else "add `service_users: {pilot: {ec2_key: true}}` and apply",
        )
    domain = _one(cloud, "domains", f"name={site.cloud.domain}")
    user = _one(cloud, "users", f"domain_id={domain}&name={name}")
    project = _one(cloud, "projects", f"domain_id={domain}&name={site.vo(vo).project}")
    return ServiceUser(vo, name, user, project, secrets.key_file(site.cloud.secrets, name))


def listed(cloud: Cloud, site: Site, user: ServiceUser) -> list[Key]:
    """The user's keys in its project, the current one first."""
    kept = secrets.kept_ec2_key(site.cloud.secrets, user.name)
    answer = cloud.get("identity", f"/credentials?type=ec2&user_id={user.id}", hidden=())["credentials"]
    found = []
    for item in answer:
        if item["project_id"] == user.project_id:
            access = str(json.loads(item["blob"])["access"])
            found.append(Key(str(item["id"]), access, kept is not None and kept[0] == access))
    return sorted(found, key=lambda key: (not key.current, key.access))


def issue(cloud: Cloud, site: Site, user: ServiceUser) -> Key:
    """The current key; made if there is none."""
    access, secret = secrets.ec2_key(site.cloud.secrets, user.name)  # on disk before Keystone hears of it
    return _make(cloud, site, user, access, secret)


def rotate(cloud: Cloud, site: Site, user: ServiceUser) -> Key:
    """A new current key; those before it work on until they are revoked. A run that was killed is taken up."""
    coming = f"{user.name}.coming"
    pair = secrets.kept_ec2_key(site.cloud.secrets, coming)
    if pair is None:
        pair = (random.token_hex(16), random.token_hex(16))
        secrets.write_ec2_key(site.cloud.secrets, coming, *pair)
    _leave_to_us(cloud, site, user)
    key = _make(cloud, site, user, *pair)
    secrets.write_ec2_key(site.cloud.secrets, user.name, *pair)
    secrets.forget(secrets.key_file(site.cloud.secrets, coming))
    return key


def revoke(cloud: Cloud, site: Site, user: ServiceUser, keys: list[Key]) -> None:
    """Take keys out of use at once; the current one's file goes with it."""
    for key in keys:
        with contextlib.suppress(Missing):
            cloud.request("DELETE", "identity", f"/credentials/{key.id}")
        log.info("revoked EC2 key %s of %s", key.access, user.name)
        if key.current:
            secrets.forget(user.file)


def _make(cloud: Cloud, site: Site, user: ServiceUser, access: str, secret: str) -> Key:
    blob = json.dumps({"access": access, "secret": secret, TAG: site.cloud.domain})
    body = {"type": "ec2", "user_id": user.id, "project_id": user.project_id, "blob": blob}
    with contextlib.suppress(Conflicting):  # it is there already
        cloud.request("POST", "identity", "/credentials", json={"credential": body}, hidden=(secret,))
        log.info("issued EC2 key %s of %s", access, user.name)
    return Key(hashlib.sha256(access.encode()).hexdigest(), access, True)  # Keystone's id of an EC2 key


def _leave_to_us(cloud: Cloud, site: Site, user: ServiceUser) -> None:
    """Take apply's mark off the keys there are, so that it does not withdraw an old one before its time."""
    for item in cloud.get("identity", f"/credentials?type=ec2&user_id={user.id}", hidden=())["credentials"]:
        blob = json.loads(item["blob"])
        if item["project_id"] == user.project_id and blob.pop(TAG, None) == site.cloud.domain:
            body = {"credential": {"blob": json.dumps(blob)}}
            path = f"/credentials/{item['id']}"
            cloud.request("PATCH", "identity", path, json=body, hidden=(str(blob.get("secret")),))


def _one(cloud: Cloud, kind: str, query: str) -> str:
    found: list[dict[str, Any]] = cloud.get("identity", f"/{kind}?{query}")[kind]
    if not found:
        raise SiteError(f"Keystone has none of the {kind} with {query}", todo="osg-site-iaas apply")
    return str(found[0]["id"])


def factory_entry(site: Site, user: ServiceUser, ec2_url: str) -> str:
    """The entry of a glideinWMS factory that starts this VO's glideins here with the key."""
    name = f"{site.site.resource}_{user.vo}".replace("-", "_")
    attributes = {"GLIDEIN_Site": site.site.resource, "GLIDEIN_ResourceName": site.site.resource}
    lines = [
        f'   <attr name={quoteattr(key)} value={quoteattr(value)} const="True" type="string"'
        ' glidein_publish="True" job_publish="True" parameter="True" publish="True"/>'
        for key, value in {**attributes, "GLIDEIN_Supported_VOs": user.vo}.items()
    ]
    head = (
        f'<entry name={quoteattr(name)} enabled="True" gridtype="ec2" gatekeeper={quoteattr(ec2_url)}'
        ' auth_method="key_pair+vm_id+vm_type" trust_domain="cloud" schedd_name="" verbosity="std" work_dir=".">'
    )
    return "\n".join([head, "  <attrs>", *lines, "  </attrs>", "</entry>", ""])
