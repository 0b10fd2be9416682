"""Taking away: the bound, the stages of pruning, and a VO that is destroyed with all it holds, and no other."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.sandbox.reconcile_cases import many
from tests.sandbox.reconcile_kit import Hand, Rig, ops, rig, wait_for  # noqa: F401

pytestmark = pytest.mark.sandbox
ACCESS = {"access": [{"fqan": "/cms/*"}]}


def test_a_plan_past_the_bound_is_refused_until_forced(rig: Rig):  # noqa: F811
    rig.write(**many(8, volumes=False))
    rig.apply()
    before = groups(rig)
    assert len(before) == 8

    def lose_half(data: dict[str, Any]) -> None:
        data["vos"] = dict(list(data["vos"].items())[:4])

    rig.rewrite(lose_half)
    refused = rig.run("apply", "--yes", expect=1)
    assert all(words in refused.err for words in ("4 of 8 VOs (50 %)", "4 of 8 group objects (50 %)"))
    with pytest.raises(SystemExit, match="2"):
        rig.run("apply", "--yes", "--max-removed", "nan")
    assert "apply would refuse this" in rig.run("plan", expect=2).err
    assert groups(rig) == before
    rig.run("apply", "--yes", "--max-removed", "60", expect=0)
    assert ops(rig.plan()) == []


def test_vos_that_are_disabled_are_bounded_like_those_that_go(rig: Rig):  # noqa: F811
    rig.write(**many(4, volumes=False))
    rig.apply()

    def disable(number: int) -> None:
        rig.rewrite(
            lambda data: [vo.update(enabled=i >= number) for i, vo in enumerate(data["vos"].values())]
        )

    disable(4)
    assert "leaves no VO at all; 4 would lose" in rig.run("apply", "--yes", expect=1).err
    disable(2)
    refused = rig.run("apply", "--yes", expect=1).err
    assert all(words in refused for words in ("2 of 4 VOs (50 %)", "4 of 8 user objects (50 %)"))
    disable(1)
    rig.apply()
    assert not rig.hand.get("identity", f"/projects/{rig.project('vo000')}")["project"]["enabled"]


def groups(rig: Rig) -> list[str]:  # noqa: F811
    found = rig.hand.get("identity", f"/groups?domain_id={rig.domain_id}")["groups"]
    return sorted(item["name"] for item in found)


def test_limits_that_shrink_everywhere_are_past_the_bound(rig: Rig):  # noqa: F811
    rig.write(**many(6, volumes=False))
    rig.apply()
    rig.rewrite(lambda data: data["defaults"]["quota"]["compute"].update(cores=1))
    assert "6 of 6 compute quota objects (100 %)" in rig.run("apply", "--yes", expect=1).err
    rig.run("apply", "--yes", "--force", expect=0)
    rig.rewrite(lambda data: data["defaults"]["quota"]["compute"].update(cores=99))
    rig.run("apply", "--yes", expect=0)


def test_the_last_vo_does_not_go_by_accident(rig: Rig):  # noqa: F811
    rig.write(vos={"cms": ACCESS})
    rig.apply()
    rig.write(vos={})
    assert "no VO at all" in rig.run("apply", "--yes", expect=1).err
    rig.run("apply", "--yes", "--force", expect=0)
    assert rig.hand.get("identity", f"/groups?domain_id={rig.domain_id}")["groups"] == []
    assert [
        p["name"] for p in rig.hand.get("identity", f"/projects?domain_id={rig.domain_id}")["projects"]
    ] == ["cms"]


def test_destroy_takes_exactly_the_named_vo_with_all_it_holds(rig: Rig):  # noqa: F811
    t = rig.tag
    nets = {
        f"{t}-{vo}": {"vo": vo, "subnets": {f"{t}-{vo}-v4": {"cidr": "203.0.113.0/24"}}}
        for vo in ("cms", "ligo")
    }
    buckets = {vo: {f"{t}-{vo}": {}} for vo in ("cms", "ligo")}
    firewalls = {f"{t}-{vo}": {"vo": vo, "rules": [{"protocol": "icmp"}]} for vo in ("cms", "ligo")}
    rig.write(
        flavours={f"{t}.small": {"vcpus": 1, "ram": "64 MiB", "disk": 1}},
        networks=nets,
        security_groups=firewalls,
        routers={f"{t}-cms": {"vo": "cms", "subnets": [f"{t}-cms-v4"]}},
        vos={
            "cms": {**ACCESS, "project": "cms-project", "buckets": buckets["cms"]},
            "ligo": {"access": [{"fqan": "/ligo/*"}], "buckets": buckets["ligo"]},
            "empty": {"access": [{"fqan": "/empty/*"}]},
        },
    )
    rig.apply()
    ids = {name: rig.project(name) for name in ("cms-project", "ligo", "empty")}
    for name in ("cms-project", "ligo"):
        fill(rig, ids[name], "cms" if name == "cms-project" else "ligo")
    kept = inside(rig, ids["ligo"])
    assert kept["servers"] == 1
    assert inside(rig, ids["cms-project"]) == kept

    rig.write(
        flavours=rig.say["flavours"], **only("ligo", nets, firewalls), vos={"ligo": rig.say["vos"]["ligo"]}
    )
    rig.apply("--force")
    assert inside(rig, ids["cms-project"]) == kept  # access is withdrawn, nothing else

    first = rig.plan("--prune", "--destroy", "cms")
    assert {op for op in ops(first) if " project " in op} == {
        "disable project cms-project",
        "disable project empty",
    }
    rig.apply("--prune", "--destroy", "cms", "--force")
    assert inside(rig, ids["cms-project"])["servers"] == 1  # the first run never deletes a machine

    late = f"{rig.hand.account(ids['empty'])}/late"
    rig.hand.http.put(late, timeout=60).raise_for_status()
    rig.hand.http.put(f"{late}/object", data=b"x", timeout=60).raise_for_status()
    # at once: the account has not heard of the object yet
    held = {tuple(item["key"]): item["why"] for item in rig.plan("--prune")["held"]}
    assert "still holds" in held["cms-project",]
    assert held["cms-project",].endswith("add --destroy cms")
    assert "1 objects" in held["empty",]
    rig.hand.http.delete(f"{late}/object", timeout=60).raise_for_status()
    deadline = time.monotonic() + 60
    while "empty" in names(rig) and time.monotonic() < deadline:  # Swift's counters come a little later
        rig.apply("--prune", "--force")  # without the name: only what is empty goes
    assert names(rig) == {"cms-project", "ligo"}

    ran = rig.run("apply", "--prune", "--destroy", "cmss", "--yes", expect=1)
    assert "nothing of ours belongs to a VO 'cmss'" in ran.err
    text = rig.run("plan", "--prune", "--destroy", "cms").out
    assert "destroys 1 servers" in text
    rig.apply("--prune", "--destroy", "cms", "--force")
    assert names(rig) == {"ligo"}
    assert set(inside(rig, ids["cms-project"]).values()) == {0}
    assert inside(rig, ids["ligo"]) == kept
    last = rig.plan("--prune")
    assert (ops(last), last["held"]) == ([], [])


def only(vo: str, *sections: Any) -> dict[str, Any]:
    keys = ("networks", "security_groups")
    return {
        key: {name: item for name, item in section.items() if item["vo"] == vo}
        for key, section in zip(keys, sections)
    }


def names(rig: Rig) -> set[str]:  # noqa: F811
    return {p["name"] for p in rig.hand.get("identity", f"/projects?domain_id={rig.domain_id}")["projects"]}


def fill(rig: Rig, project: str, vo: str) -> None:  # noqa: F811
    """A server on the VO's network, a volume, an object in its bucket, and a network that the VO made itself."""
    t, hand = rig.tag, rig.hand
    user = {
        "name": f"filler-{vo}",
        "domain_id": rig.domain_id,
        "password": f"pw-{t}",
        "default_project_id": project,
    }
    made = hand.post("identity", "/users", {"user": user})["user"]["id"]
    for role in ("member",):
        id = hand.named("identity", "/roles", "roles", role)["id"]
        hand.send("PUT", "identity", f"/projects/{project}/users/{made}/roles/{id}")
    own = Hand(
        {
            "auth_url": hand.auth_url,
            "username": user["name"],
            "password": user["password"],
            "user_domain_name": rig.domain,
            "project_name": "cms-project" if vo == "cms" else vo,
            "project_domain_name": rig.domain,
        }
    )
    network = own.named("network", f"/networks?project_id={project}", "networks", f"{t}-{vo}")["id"]
    flavour = own.named("compute", "/flavors", "flavors", f"{t}.small")["id"]
    image = {"name": f"{t}-{vo}-own", "disk_format": "raw", "container_format": "bare", "protected": True}
    image = own.post("image", "/images", image)["id"]
    own.send(
        "PUT",
        "image",
        f"/images/{image}/file",
        data=b"x" * 512,
        headers={"Content-Type": "application/octet-stream"},
    )
    server = {"name": f"{t}-{vo}", "imageRef": image, "flavorRef": flavour, "networks": [{"uuid": network}]}
    server = {**server, "security_groups": [{"name": f"{t}-{vo}"}]}
    id = own.post("compute", "/servers", {"server": server})["server"]["id"]
    wait_for(lambda: is_now("ACTIVE", own.get("compute", f"/servers/{id}")["server"]))
    if own.has("volume"):
        volume = own.post("volume", "/volumes", {"volume": {"size": 1, "name": f"{t}-{vo}"}})["volume"]["id"]
        wait_for(lambda: is_now("available", own.get("volume", f"/volumes/{volume}")["volume"]))
        own.post("volume", "/snapshots", {"snapshot": {"volume_id": volume, "name": f"{t}-{vo}"}})
    own.post("network", "/networks", {"network": {"name": f"{t}-{vo}-own"}})
    own.http.put(f"{own.account(project)}/{t}-{vo}/some/object", data=b"x", timeout=60).raise_for_status()


def is_now(status: str, item: dict[str, Any]) -> bool:
    assert item["status"].lower() != "error", item
    return bool(item["status"] == status)


def inside(rig: Rig, project: str) -> dict[str, int]:  # noqa: F811
    hand = rig.hand
    found = {
        "servers": len(hand.get("compute", f"/servers?all_tenants=1&project_id={project}")["servers"]),
        "images": len(hand.get("image", f"/images?owner={project}")["images"]),
    }
    for kind in ("networks", "subnets", "security-groups"):
        things = hand.get("network", f"/{kind}?project_id={project}")[kind.replace("-", "_")]
        # asking for a project's firewalls makes its default one
        found[kind] = sum(item["name"] != "default" for item in things)
    if hand.has("volume"):
        for kind in ("volumes", "snapshots"):
            found[kind] = len(hand.get("volume", f"/{kind}?all_tenants=1&project_id={project}")[kind])
    # each container's own list: what the account says of their objects comes late
    answer = hand.http.get(f"{hand.account(project)}?format=json", timeout=60)
    containers = answer.json() if answer.status_code == 200 else []
    found["objects"] = sum(len(objects(rig, project, item["name"])) for item in containers)
    return found


def objects(rig: Rig, project: str, container: str) -> list[Any]:  # noqa: F811
    answer = rig.hand.http.get(f"{rig.hand.account(project)}/{container}?format=json", timeout=60)
    return list(answer.json()) if answer.status_code == 200 else []


def test_a_bucket_with_objects_waits_for_its_vos_name(rig: Rig):  # noqa: F811
    name = f"{rig.tag}-data"
    rig.write(vos={"cms": {**ACCESS, "buckets": {name: {}}}, "ligo": {"access": [{"fqan": "/ligo/*"}]}})
    rig.apply()
    url = f"{rig.hand.account(rig.project('cms'))}/{name}"
    rig.hand.http.put(f"{url}/a b/c", data=b"x", timeout=60).raise_for_status()
    rig.rewrite(lambda data: data["vos"]["cms"].pop("buckets"))
    assert ops(rig.plan("--prune")) == []
    assert "1 objects" in json.dumps(rig.plan("--prune")["held"])
    assert ops(rig.plan("--prune", "--destroy", "ligo")) == []
    rig.apply("--prune", "--destroy", "cms")
    assert rig.hand.http.head(url, timeout=60).status_code == 404
    assert rig.plan("--prune")["held"] == []


def test_a_network_in_use_waits_until_it_is_not(rig: Rig):  # noqa: F811
    name = f"{rig.tag}-net"
    subnets = {f"{name}-v4": {"cidr": "203.0.113.0/24"}}
    rig.write(networks={name: {"vo": "cms", "subnets": subnets}}, vos={"cms": ACCESS})
    rig.apply()
    network = rig.hand.named("network", "/networks", "networks", name)["id"]
    port = rig.hand.post("network", "/ports", {"port": {"network_id": network}})["port"]["id"]
    rig.rewrite(lambda data: data.pop("networks"))
    plan = rig.plan("--prune")
    assert (ops(plan), [item["kind"] for item in plan["held"]]) == ([], ["network", "subnet"])
    rig.hand.send("DELETE", "network", f"/ports/{port}")
    rig.apply("--prune")
    assert rig.hand.get("network", f"/networks?name={name}")["networks"] == []


def test_destroy_without_prune_is_a_mistake(rig: Rig):  # noqa: F811
    rig.write(vos={"cms": ACCESS})
    assert (
        "--destroy does nothing without --prune"
        in rig.run("apply", "--yes", "--destroy", "cms", expect=1).err
    )
