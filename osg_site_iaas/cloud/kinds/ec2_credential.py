"""EC2 keys of service users: what HTCondor, boto3 and S3 clients sign with."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from contextlib import suppress
from typing import Any, Iterable, Mapping

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.connect import Conflicting
from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id, vo_in
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.user import user_ref
from osg_site_iaas.cloud.reader import Reader, pages
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError
from osg_site_iaas.plan.model import TAG, Change, KindRule, Ref, Removal, Seen, Wanted, is_marked


def key_ref(user: str, *access: str) -> Ref:
    """The reference to a user's key; keys that are not declared have their access key in it."""
    return Ref("ec2_credential", (user, *access))


class Ec2Credential(Kind):
    """One key a service user. It is chosen here and kept before Keystone hears of it, so a crash loses nothing."""

    rule = KindRule("ec2_credential", Removal.WITHDRAW)
    service = "identity"
    ownership = f"its user is ours, and its blob has our mark `{TAG}` beside the key"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            for user in vo.service_users:
                if user.ec2_key:
                    yield Wanted(
                        key_ref(user.name),
                        {"kept": True, "project": vo.project},
                        needs=(user_ref(user.name), project_ref(vo.project)),
                        vo=vo.name,
                        at=user.at,
                    )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        domain = reader.site.cloud.domain
        users = {
            item["id"]: item["name"] for item in reader.users if is_marked(item.get("description"), domain)
        }
        projects = {item["id"]: item["name"] for item in reader.all_projects}
        vos = {item["name"]: vo_in(item.get("description")) for item in reader.users}
        declared = {user.name for vo in reader.site.vos for user in vo.service_users if user.ec2_key}
        keys: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in self._list(reader):
            if item["user_id"] in users:
                keys[users[item["user_id"]]].append(item)
        for name, found in keys.items():
            pair = secrets.kept_ec2_key(reader.secrets, name) if reader.secrets else None
            # the one in our file first: a key that the VO has made itself is never ours
            found.sort(key=lambda item: (pair is None or item["access"] != pair[0], item["id"]))
            wanted = name in declared
            for item in found:
                ours = item["mark"] == domain or (pair is not None and item["access"] == pair[0])
                main, wanted = (wanted and ours), (wanted and not ours)
                kept = reader.secrets is None or pair == (item["access"], item["secret"])
                yield Seen(
                    key_ref(name) if main else key_ref(name, item["access"]),
                    item["id"],
                    {"kept": kept, "project": projects.get(item["project_id"])} if main else {},
                    ours,
                    (user_ref(name),),
                    vos.get(name),
                )

    def hidden(self, token: Mapping[str, Any]) -> str:
        """Keystone lets nobody handle EC2 keys who came by a delegation, and lists none to them."""
        ways = {"application_credential", "oauth1", "ec2credential"} & set(token.get("methods", ()))
        if "OS-TRUST:trust" in token:
            ways.add("trust")
        return f"Keystone hides them from a delegated login ({', '.join(sorted(ways))})" if ways else ""

    def create(self, work: Work, change: Change) -> str:
        return self._make(work, change, *secrets.ec2_key(work.secrets, change.ref.key[0]))

    def update(self, work: Work, change: Change) -> None:
        """Its file is lost, or its VO has another project now."""
        (user,) = change.ref.key
        path = f"/credentials/{required_id(change)}"
        blob = json.loads(work.cloud.get("identity", path, hidden=[])["credential"]["blob"])
        access, secret = str(blob.get("access", "")), str(blob.get("secret", ""))
        if not access or not secret:  # our mark is there, and yet we did not write this
            raise CloudError(
                f"the key of {user} in Keystone has no secret, so it was not made by osg-site-iaas",
                todo=f"delete it with `openstack credential delete {required_id(change)}`; apply makes a new one",
            )
        if "kept" in change.after:
            secrets.write_ec2_key(work.secrets, user, access, secret)
        if "project" in change.after:  # Keystone lets it not be changed; the same key is made anew
            forget(work, "identity", path)
            self._make(work, change, access, secret)

    @staticmethod
    def _make(work: Work, change: Change, access: str, secret: str) -> str:
        body = {
            "type": "ec2",
            "user_id": work.ids[user_ref(change.ref.key[0])],
            "project_id": work.ids[project_ref(change.after["project"])],
            "blob": json.dumps({"access": access, "secret": secret, TAG: work.site.cloud.domain}),
        }
        with suppress(Conflicting):  # made by a run that was killed before it heard so
            work.cloud.request("POST", "identity", "/credentials", json={"credential": body}, hidden=[secret])
        return hashlib.sha256(access.encode()).hexdigest()  # as Keystone makes ids of EC2 keys

    def remove(self, work: Work, change: Change) -> None:
        user, access = change.ref.key
        forget(work, "identity", f"/credentials/{required_id(change)}")
        pair = secrets.kept_ec2_key(work.secrets, user)
        if pair is not None and pair[0] == access:
            secrets.forget(secrets.key_file(work.secrets, user))

    @staticmethod
    def _list(reader: Reader) -> list[dict[str, Any]]:
        """Every EC2 key that this login may see."""

        def ask() -> list[dict[str, Any]]:
            found = []
            for item in pages(reader.cloud, "identity", "/credentials?type=ec2", "credentials", hidden=[]):
                try:
                    blob = json.loads(item["blob"])
                except ValueError:
                    continue  # somebody's own idea of a key
                if isinstance(blob, Mapping) and blob.get("access"):
                    found.append(
                        {
                            "id": item["id"],
                            "user_id": item["user_id"],
                            "project_id": item.get("project_id"),
                            "access": str(blob["access"]),
                            "secret": str(blob.get("secret", "")),
                            "mark": blob.get(TAG),
                        }
                    )
            return found

        return reader.once("ec2 keys", ask)
