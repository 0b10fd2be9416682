"""EC2 keys of service users: what HTCondor, boto3 and S3 clients sign with."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any, Iterable

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.connect import Conflicting
from osg_site_iaas.cloud.kind import Kind, Work, project_ref, required_id
from osg_site_iaas.cloud.kinds.keystone import forget
from osg_site_iaas.cloud.kinds.user import user_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import Change, KindRule, Ref, Removal, Seen, Wanted, is_marked


def key_ref(user: str, *access: str) -> Ref:
    """The reference to a user's key; further keys of the same user have their access key in it."""
    return Ref("ec2_credential", (user, *access))


class Ec2Credential(Kind):
    """One key a service user. It is chosen here and kept before Keystone hears of it, so a crash loses nothing."""

    rule = KindRule("ec2_credential", Removal.WITHDRAW)
    service = "identity"
    ownership = "it belongs to a service user of ours, and is the one in our file or no longer declared"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            for user in vo.service_users:
                if user.ec2_key:
                    yield Wanted(
                        key_ref(user.name),
                        {"kept": True},
                        needs=(user_ref(user.name), project_ref(vo.project)),
                        vo=vo.name,
                        at=user.at,
                    )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        users = {item["id"]: item["name"] for item in reader.users if is_marked(item.get("description"))}
        declared = {user.name: vo.name for vo in reader.site.vos for user in vo.service_users if user.ec2_key}
        keys: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for item in self._list(reader):
            if item["user_id"] in users:
                keys[users[item["user_id"]]].append(item)
        for name, found in keys.items():
            needs = (user_ref(name),)
            if name not in declared:
                for item in found:
                    yield Seen(key_ref(name, item["access"]), item["id"], {}, True, needs)
                continue
            pair = secrets.kept_ec2_key(reader.site.cloud.secrets, name)
            kept = pair[0] if pair else None
            found.sort(key=lambda item: (item["access"] != kept, item["id"]))
            for place, item in enumerate(found):
                ref = key_ref(name) if place == 0 else key_ref(name, item["access"])
                yield Seen(
                    ref, item["id"], {"kept": item["access"] == kept}, place == 0, needs, declared[name]
                )

    def create(self, work: Work, change: Change) -> str:
        (user,) = change.ref.key
        access, secret = secrets.ec2_key(work.secrets, user)
        vo = work.site.vo(str(change.vo))
        body = {
            "type": "ec2",
            "user_id": work.ids[user_ref(user)],
            "project_id": work.ids[project_ref(vo.project)],
            "blob": json.dumps({"access": access, "secret": secret}),
        }
        try:
            answer = work.cloud.request("POST", "identity", "/credentials", json={"credential": body})
        except Conflicting:  # made by a run that was killed before it heard so
            return access
        return str(answer.json()["credential"]["id"])

    def update(self, work: Work, change: Change) -> None:
        """The key is there, its file is not: write it again."""
        item = work.cloud.get("identity", f"/credentials/{required_id(change)}")["credential"]
        blob = json.loads(item["blob"])
        secrets.write_ec2_key(work.secrets, change.ref.key[0], blob["access"], blob["secret"])

    def remove(self, work: Work, change: Change) -> None:
        forget(work, "identity", f"/credentials/{required_id(change)}")
        secrets.forget(secrets.key_file(work.secrets, change.ref.key[0]))

    @staticmethod
    def _list(reader: Reader) -> list[dict[str, Any]]:
        """Every EC2 key without its secret, which the list would hand out too."""

        def ask() -> list[dict[str, Any]]:
            answer = reader.cloud.get("identity", "/credentials?type=ec2")["credentials"]
            return [
                {"id": item["id"], "user_id": item["user_id"], "access": json.loads(item["blob"])["access"]}
                for item in answer
            ]

        return reader.once("ec2 keys", ask)
