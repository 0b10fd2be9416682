"""Service users: a VO's own Keystone users, with no password unless site.yml names one."""

from __future__ import annotations

from typing import Any, Iterable

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.kind import Work, described, in_use, project_ref, vo_in
from osg_site_iaas.cloud.kinds.keystone import KeystoneKind, domain_ref
from osg_site_iaas.cloud.reader import Reader
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.plan.model import Change, KindRule, Op, Ref, Removal, Seen, Wanted, is_marked, marked

_PLAIN = "service user of "
_KNOWS = "service user (password) of "  # who has one


def user_ref(name: str) -> Ref:
    """The reference to a user of the site's domain."""
    return Ref("user", (name,))


class User(KeystoneKind):
    """A user without a password enters with its EC2 key; hashing none also makes a first apply much faster."""

    rule = KindRule(
        "user",
        Removal.PRUNE,
        marks=("description",),
        disable={"enabled": False},
        opens={"password": (True, False)},
    )
    ownership = "its description carries our mark"
    path = "/users"
    member = "user"

    def desired(self, site: Site) -> Iterable[Wanted]:
        for vo in site.vos:
            stated, initial = in_use(vo)
            for user in vo.service_users:
                attrs: dict[str, Any] = {
                    "description": marked(f"{_PLAIN}{vo.name}", site.cloud.domain),
                    # which Keystone does not tell of anybody, so the description does
                    "password": user.password is not None,
                    **stated,
                }
                if user.password is not None and user.password.source == "generated":
                    attrs["password_kept"] = True  # that its file exists: a lost one is replaced
                yield Wanted(
                    user_ref(user.name),
                    attrs,
                    needs=(domain_ref(site.cloud.domain), project_ref(vo.project)),
                    vo=vo.name,
                    at=user.at,
                    initial=initial,
                )

    def observe(self, reader: Reader) -> Iterable[Seen]:
        owners = {user.name: vo.name for vo in reader.site.vos for user in vo.service_users}
        for item in reader.users:
            text = described(item)
            name = item["name"]
            ours = is_marked(text, reader.site.cloud.domain)
            if not ours and name not in owners:
                continue  # those who enter with proxies and tokens live in this domain too
            yield Seen(
                user_ref(name),
                item["id"],
                {
                    "description": text.replace(_KNOWS, _PLAIN, 1),
                    "password": text.startswith(_KNOWS),
                    "enabled": item["enabled"],
                    "password_kept": reader.secrets is None
                    or secrets.there(secrets.password_file(reader.secrets, name)),
                },
                ours=ours,
                vo=vo_in(text) if ours else owners.get(name),
            )

    def body(self, work: Work, change: Change) -> dict[str, Any]:
        body = dict(change.after)
        renew = body.pop("password_kept", False) or body.pop("password", False)
        body.pop("password", None)
        if change.op is Op.DISABLE:
            return body
        name = change.ref.key[-1]
        vo, user = next((v, u) for v in work.site.vos for u in v.service_users if u.name == name)
        if {"description", "password"} & set(change.after):
            # adopting sets no password: the plan after it shows that it has to be set
            words = _PLAIN if user.password is None or change.op is Op.ADOPT else _KNOWS
            body["description"] = marked(f"{words}{vo.name}", work.site.cloud.domain)
        if user.password is None and change.after.get("password") is False and change.op is not Op.CREATE:
            body["password"] = None  # nobody gets in by the old one
        if change.op is Op.CREATE:
            body["default_project_id"] = work.ids[project_ref(vo.project)]
        if user.password is not None and (renew or change.op is Op.CREATE):
            body["password"] = secrets.password(work.secrets, name, user.password)
        return body

    def create(self, work: Work, change: Change) -> str:
        made = super().create(work, change)
        secrets.password_is_set(work.secrets, change.ref.key[-1])
        return made

    def update(self, work: Work, change: Change) -> None:
        super().update(work, change)
        if "password_kept" in change.after:
            secrets.password_is_set(work.secrets, change.ref.key[-1])
        if change.after.get("password") is False:
            secrets.forget(secrets.password_file(work.secrets, change.ref.key[-1]))

    def remove(self, work: Work, change: Change) -> None:
        super().remove(work, change)
        secrets.forget(secrets.password_file(work.secrets, change.ref.key[-1]))
