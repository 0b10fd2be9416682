"""Who may plan and apply: the roles that docs/operations.md names, and logins that cannot do it and say so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator, Mapping

import pytest
import requests
import yaml

from tests.sandbox.reconcile_cases import whole
from tests.sandbox.reconcile_kit import Hand, Rig, clean, ops, rig  # noqa: F401

pytestmark = pytest.mark.sandbox
PAGE = Path(__file__).parents[2] / "docs/operations.md"
VOS = {"cms": {"access": [{"fqan": "/cms/*"}]}}
KEYS = {"cms": {**VOS["cms"], "service_users": {"pilot": {"ec2_key": True}}}}


class Account:
    """A user of its own with a project of its own."""

    def __init__(self, hand: Hand, name: str) -> None:
        self.hand, self.name, self.password = hand, name, f"pw-{name}"
        own = {"name": name, "domain_id": "default"}
        self.project = hand.post("identity", "/projects", {"project": own})["project"]["id"]
        body = {"user": {**own, "password": self.password}}
        self.user = hand.post("identity", "/users", body)["user"]["id"]

    def grant(self, role: str, where: str = "") -> None:
        id = self.hand.named("identity", "/roles", "roles", role)["id"]
        path = where or f"/projects/{self.project}"
        self.hand.send("PUT", "identity", f"{path}/users/{self.user}/roles/{id}")

    def entry(self, **scope: Any) -> dict[str, Any]:
        auth = {"auth_url": self.hand.auth_url, "username": self.name, "password": self.password}
        scope = scope or {"project_name": self.name, "project_domain_id": "default"}
        return {"auth": {**auth, "user_domain_id": "default", **scope}, "region_name": "RegionOne"}

    def remove(self) -> None:
        for kind, id in (("users", self.user), ("projects", self.project)):
            self.hand.send("DELETE", "identity", f"/{kind}/{id}")


@pytest.fixture
def account(rig: Rig) -> Iterator[Account]:  # noqa: F811
    made = Account(rig.hand, f"iaas-{rig.tag}")
    yield made
    clean(rig)  # what the account's project owns goes before it does
    made.remove()


def use(rig: Rig, entry: Mapping[str, Any]) -> None:  # noqa: F811
    """Let the rig log in so."""
    path = rig.folder / "clouds.yaml"
    path.write_text(yaml.safe_dump({"clouds": {"sandbox": dict(entry)}}))
    rig.clouds = path


def documented_roles() -> list[str]:
    """The roles of the page's table, in its order."""
    text = PAGE.read_text()
    table = text[text.index("<!-- roles: begin -->") : text.index("<!-- roles: end -->")]
    return [line.split("`")[1] for line in table.splitlines() if line.startswith("| `")]


def test_exactly_the_documented_roles_are_enough_for_everything(rig: Rig, account: Account):  # noqa: F811
    assert documented_roles() == ["admin", "ResellerAdmin"]
    for role in documented_roles():
        account.grant(role)
    use(rig, account.entry())
    rig.write(**whole(rig))
    rig.apply()
    assert ops(rig.plan()) == []
    rig.write(vos=VOS)
    for _ in range(2):
        rig.apply("--prune", "--force")
    assert ops(rig.plan("--prune")) == []


def test_without_buckets_and_object_quotas_admin_is_enough(rig: Rig, account: Account):  # noqa: F811
    account.grant("admin")
    use(rig, account.entry())
    rig.write(vos=KEYS)
    rig.apply()
    assert ops(rig.plan()) == []
    rig.rewrite(lambda data: data["vos"]["cms"].update(enabled=False))
    rig.apply("--force")
    rig.write(vos={})
    held = {item["kind"]: item["why"] for item in rig.plan("--prune", "--force")["held"]}
    assert "1 account in the object store that this login may not look at" in held["project"]
    assert {item["kind"] for item in rig.plan()["held"]} == {"project", "user"}
    rig.write(vos=KEYS)
    rig.rewrite(lambda data: data["vos"]["cms"].update(buckets={f"{rig.tag}-b": {}}))
    ran = rig.run("plan")
    assert (ran.code, "the login lacks a role: docs/operations.md" in ran.err) == (1, True)


@pytest.mark.parametrize("role", ["reader", "member", "manager"])
def test_a_lesser_role_is_refused_and_not_shown_half_a_world(rig: Rig, account: Account, role: str):  # noqa: F811
    account.grant(role)
    use(rig, account.entry())
    rig.write(vos=VOS)
    ran = rig.run("plan", expect=1)
    assert "403" in ran.err
    assert "the login lacks a role: docs/operations.md" in ran.err
    assert "Traceback" not in ran.err


def test_a_login_for_the_system_or_for_nothing_is_refused_with_the_reason(rig: Rig, account: Account):  # noqa: F811
    account.grant("admin")
    account.grant("admin", "/system")
    rig.write(vos=VOS)
    use(rig, account.entry(system_scope="all"))
    assert "is for no project" in rig.run("plan", expect=1).err


def test_another_administrator_with_another_project_sees_the_same_site_if_it_is_named(
    rig: Rig,  # noqa: F811
    account: Account,
):
    rig.write(**whole(rig))
    rig.apply()
    for role in documented_roles():
        account.grant(role)
    use(rig, account.entry())
    first = rig.hand.token["project"]["id"]
    plan = rig.plan("--prune")
    assert {"kind": "network", "key": [first, f"{rig.tag}-public"]} in plan["unmanaged"]
    assert {"kind": "image", "key": [f"{rig.tag}-disk", first]} in plan["unmanaged"]
    rig.rewrite(lambda data: data["cloud"].update(admin_projects=[first]))
    plan = rig.plan("--prune")
    assert (ops(plan), plan["held"], plan["conflicts"]) == ([], [], [])


def application_credential(hand: Hand) -> dict[str, Any]:
    own = hand.token["user"]["id"]
    body = {"application_credential": {"name": f"app-{id(hand)}", "unrestricted": True}}
    made = hand.post("identity", f"/users/{own}/application_credentials", body)["application_credential"]
    return dict(made)


@pytest.fixture
def delegated(rig: Rig) -> Iterator[Rig]:  # noqa: F811
    """The administrator, by an application credential."""
    made = application_credential(rig.hand)
    auth = {
        "auth_url": rig.hand.auth_url,
        "application_credential_id": made["id"],
        "application_credential_secret": made["secret"],
    }
    real = rig.clouds
    use(rig, {"auth_type": "v3applicationcredential", "auth": auth, "region_name": "RegionOne"})
    yield rig
    rig.clouds = real
    rig.hand.send(
        "DELETE", "identity", f"/users/{rig.hand.token['user']['id']}/application_credentials/{made['id']}"
    )


def test_declared_keys_and_a_delegated_login_are_refused_before_anything_is_changed(delegated: Rig):
    delegated.write(vos=KEYS)
    ran = delegated.run("apply", "--yes", "--json", expect=1)
    assert "EC2 keys cannot be looked at (1 service user)" in ran.err
    assert "Keystone hides them from a delegated login (application_credential)" in ran.err
    assert "nothing was changed" in ran.err
    assert ran.data["applied"] is False
    assert not any(
        d["name"] == delegated.domain for d in delegated.hand.get("identity", "/domains")["domains"]
    )
    assert not list(delegated.secrets.glob("*.ec2"))
    assert "apply would refuse this" in delegated.run("plan", expect=2).err


def test_a_key_to_be_withdrawn_is_not_missed_by_a_delegated_login(delegated: Rig):
    """Such a login sees no key: it must not say that there is nothing to do, nor plan the key once more."""
    mine = delegated.clouds
    delegated.clouds = delegated.real
    delegated.write(vos=KEYS)
    delegated.apply()
    delegated.clouds = mine
    plan = delegated.run("plan", "--json", expect=2)
    assert ops(plan.data) == []
    assert [item["key"] for item in plan.data["unknown"]] == [["cms-pilot"]]
    assert "application_credential" in plan.data["refused"]
    for user in ({"pilot": {"ec2_key": False}}, {}):
        delegated.rewrite(lambda data, user=user: data["vos"]["cms"].update(service_users=user))
        assert "? ec2_credential cms-pilot: Keystone hides" in delegated.run("plan", expect=2).out
        assert "nothing was changed" in delegated.run("apply", "--yes", expect=1).err
    delegated.clouds = delegated.real
    assert "remove ec2_credential cms-pilot" in " ".join(ops(delegated.apply()))


def test_a_delegated_login_is_enough_where_there_are_no_service_users(delegated: Rig):
    delegated.write(vos=VOS)
    delegated.apply()
    assert ops(delegated.plan()) == []


def test_keystone_itself_refuses_a_delegated_login_every_way_to_a_key(delegated: Rig):
    """Why apply must refuse: what Keystone says to POST, and that it hides what it does not show."""
    entry = yaml.safe_load(delegated.clouds.read_text())["clouds"]["sandbox"]["auth"]
    login = {
        "methods": ["application_credential"],
        "application_credential": {
            "id": entry["application_credential_id"],
            "secret": entry["application_credential_secret"],
        },
    }
    answer = requests.post(f"{entry['auth_url']}/auth/tokens", json={"auth": {"identity": login}}, timeout=60)
    token = {"X-Auth-Token": answer.headers["X-Subject-Token"]}
    hand = delegated.hand
    own = {"user_id": hand.token["user"]["id"], "project_id": hand.token["project"]["id"]}
    blob = json.dumps({"access": f"a{delegated.tag}", "secret": "s"})
    made = hand.post("identity", "/credentials", {"credential": {**own, "type": "ec2", "blob": blob}})[
        "credential"
    ]
    try:
        body = {"credential": {**own, "type": "ec2", "blob": json.dumps({"access": "b", "secret": "s"})}}
        asked = requests.post(f"{entry['auth_url']}/credentials", json=body, headers=token, timeout=60)
        listed = requests.get(f"{entry['auth_url']}/credentials?type=ec2", headers=token, timeout=60)
        old = f"{entry['auth_url']}/users/{own['user_id']}/credentials/OS-EC2"
        older = requests.post(old, json={"tenant_id": own["project_id"]}, headers=token, timeout=60)
        assert (asked.status_code, older.status_code) == (403, 403)
        assert "Delegated tokens cannot access credentials directly" in asked.text
        assert made["id"] not in [item["id"] for item in listed.json()["credentials"]]
    finally:
        hand.send("DELETE", "identity", f"/credentials/{made['id']}")


def test_a_wrong_password_and_an_unknown_entry_are_one_sentence(rig: Rig, account: Account):  # noqa: F811
    rig.write(vos=VOS)
    entry = account.entry()
    entry["auth"]["password"] = "wrong-and-secret"
    use(rig, entry)
    ran = rig.run("apply", "--yes", expect=1)
    assert ran.err.startswith(
        "osg-site-iaas apply: Keystone refuses the login of clouds.yaml entry 'sandbox'"
    )
    assert "wrong-and-secret" not in ran.err
    rig.entry = "nowhere"
    rig.write(vos=VOS)
    assert "clouds.yaml has no usable entry 'nowhere'" in rig.run("plan", expect=1).err
    rig.clouds.write_text("clouds: [")
    assert "clouds.yaml" in rig.run("plan", expect=1).err
