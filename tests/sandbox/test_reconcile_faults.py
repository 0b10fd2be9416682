"""Services that are down, slow, busy, or talk nonsense: one clear sentence, exit code 1, and nothing half-done."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import pytest
import yaml

from osg_site_iaas.cloud import connect
from tests.sandbox.fault_proxy import (
    PREFIXES,
    Answer,
    Call,
    Dropped,
    Proxy,
    Rule,
    clouds_yaml,
    failing,
    running,
)
from tests.sandbox.reconcile_cases import DATA, whole
from tests.sandbox.reconcile_kit import Rig, clean, make_rig, ops

pytestmark = pytest.mark.sandbox
VOS = {"cms": {"access": [{"fqan": "/cms/*"}]}}
BUSY = Answer(503, b"<html><body>Service Unavailable</body></html>")


@pytest.fixture
def behind(cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Rig, Proxy]]:
    monkeypatch.setattr(connect, "LONGEST_PAUSE", 0.01)
    rig = make_rig(cloud.clouds_yaml, tmp_path)
    with running(rig.hand) as proxy:
        rig.clouds = clouds_yaml(proxy, cloud.clouds_yaml, tmp_path / "clouds.yaml")
        yield rig, proxy
        proxy.rule = Rule()
    clean(rig)


def sections(rig: Rig) -> dict[str, Any]:
    """Something of every service."""
    quota = {"compute": {"cores": 5}, "network": {"network": 5}, "object": {"bytes": 1000}}
    if rig.hand.has("volume"):
        quota["volume"] = {"volumes": 5}
    return {
        "networks": {f"{rig.tag}-net": {"shared": True}},
        "vos": {"cms": {**VOS["cms"], "quota": quota}},
    }


def one_sentence(err: str, *words: str) -> None:
    """An error for a person: the command, what, where, and what to do; nothing of Python's."""
    assert "Traceback" not in err
    told = [line for line in err.splitlines() if line.startswith("osg-site-iaas ")]
    assert len(told) == 1, err
    for word in words:
        assert word in err


def untouched(rig: Rig) -> bool:
    return not any(d["name"] == rig.domain for d in rig.hand.get("identity", "/domains")["domains"])


@pytest.mark.parametrize(
    "service, fault",
    [
        *((service, "closed port") for service in PREFIXES),
        ("identity", "no answer"),
        ("network", "no answer"),
        ("compute", "503"),
        ("object", "503"),
    ],
)
def test_a_service_that_is_down_is_named_and_nothing_is_changed(
    behind: tuple[Rig, Proxy], service: str, fault: str
):
    rig, proxy = behind
    if service not in proxy.targets:
        pytest.skip("this sandbox has no such service")
    rig.write(**sections(rig))
    if service in (
        "compute",
        "volume",
        "object",
    ):  # what has only quotas here is asked once there is a project
        rig.apply()
    if fault == "closed port":
        entry = yaml.safe_load(rig.clouds.read_text())
        entry["clouds"]["sandbox"][f"{PREFIXES[service]}_endpoint_override"] = "http://127.0.0.1:1/v3"
        rig.clouds.write_text(yaml.safe_dump(entry))
    elif fault == "no answer":
        proxy.rule = Silent(lambda call: call.service == service and not call.logs_in)
    else:
        proxy.rule = failing(lambda call: call.service == service and not call.logs_in, BUSY)
    rig.rewrite(lambda data: data["vos"].update(new=VOS["cms"]))
    ran = rig.run("apply", "--yes", expect=1)
    one_sentence(ran.err, f"{service}: ")
    rig.clouds = Path(rig.folder / "clouds.yaml")
    if not untouched(rig):
        names = [
            p["name"] for p in rig.hand.get("identity", f"/projects?domain_id={rig.domain_id}")["projects"]
        ]
        assert names == ["cms"]


class Silent(Rule):
    """Ends the connection of requests that match, before or after the service has had them."""

    def __init__(self, matches: Callable[[Call], bool], *, late: bool = False) -> None:
        self.matches, self.late = matches, late

    def before(self, call: Call) -> Optional[Answer]:
        if not self.late and self.matches(call):
            raise Dropped
        return None

    def after(self, call: Call, status: int, body: bytes) -> Optional[Answer]:
        if self.late and self.matches(call):
            raise Dropped
        return None


def test_keystone_that_is_down_at_the_login_is_one_sentence(behind: tuple[Rig, Proxy]):
    rig, proxy = behind
    rig.write(vos=VOS)
    for rule in (Silent(lambda call: True), failing(lambda call: True, BUSY)):
        proxy.rule = rule
        one_sentence(rig.run("plan", expect=1).err, "cannot log in to cloud 'sandbox'", "auth_url")


@pytest.mark.parametrize("status, headers", [(503, {}), (429, {"Retry-After": "0"}), (502, {}), (504, {})])
def test_a_service_that_is_busy_for_a_moment_is_asked_again(
    behind: tuple[Rig, Proxy], status: int, headers: Any
):
    rig, proxy = behind
    rig.write(**sections(rig))
    first = threading.Lock()
    done: set[tuple[str, str]] = set()

    class Once(Rule):
        """Every request but a POST fails the first time; of the POSTs only 429 says that nothing was done."""

        def before(self, call: Call) -> Optional[Answer]:
            with first:
                again = (call.method, call.path) in done or call.logs_in
                done.add((call.method, call.path))
            if again or (call.method == "POST" and status != 429):
                return None
            return Answer(status, b"{}", headers)

    proxy.rule = Once()
    rig.apply()
    proxy.rule = Rule()
    assert ops(rig.plan()) == []


@pytest.mark.parametrize("late", [False, True], ids=["before it arrives", "after it arrived"])
def test_a_post_that_may_have_arrived_is_not_sent_twice(behind: tuple[Rig, Proxy], late: bool):
    rig, proxy = behind
    rig.write(**sections(rig))
    proxy.rule = Silent(lambda call: call.method == "POST" and call.path.endswith("/networks"), late=late)
    ran = rig.run("apply", "--yes", expect=1)
    assert "failed: network" in ran.err
    assert "Traceback" not in ran.err
    assert "the same command does the rest" in ran.out
    proxy.rule = Rule()
    rig.apply()
    assert ops(rig.plan("--prune")) == []
    assert len(rig.hand.get("network", f"/networks?name={rig.tag}-net")["networks"]) == 1


def test_what_fails_holds_up_what_needs_it_and_nothing_else(behind: tuple[Rig, Proxy]):
    rig, proxy = behind
    rig.write(**whole(rig))
    fault = Answer(500, json.dumps({"error": {"message": "a fault of Keystone's"}}).encode())
    proxy.rule = failing(lambda call: call.method == "POST" and call.path.endswith("/users"), fault)
    ran = rig.run("apply", "--yes", "--json", expect=1)
    failed = {"/".join([item["kind"], *item["key"]]) for item in ran.data["failed"]}
    assert failed == {"user/cms-pilot", "user/cms-bot"}
    assert all("a fault of Keystone's" in item["reason"] for item in ran.data["failed"])
    skipped = {item["kind"] for item in ran.data["skipped"]}
    assert skipped == {"role_assignment", "ec2_credential"}
    total = ran.data["done"] + len(ran.data["failed"]) + len(ran.data["skipped"])
    assert total == len(ran.data["changes"])
    proxy.rule = Rule()
    assert {op.split()[1] for op in ops(rig.plan())} == {"user", "role_assignment", "ec2_credential"}
    rig.apply()
    assert ops(rig.plan()) == []


class Altered(Rule):
    """Changes the JSON of answers that match."""

    def __init__(self, matches: Callable[[Call], bool], change: Callable[[Any], Any]) -> None:
        self.matches, self.change = matches, change

    def after(self, call: Call, status: int, body: bytes) -> Optional[Answer]:
        if not self.matches(call):
            return None
        data = json.loads(body)
        self.change(data)
        # a login's token is in a header, which a changed answer must keep
        return Answer(
            status, json.dumps(data).encode(), {"Content-Type": "application/json", **self.headers(call)}
        )

    def headers(self, call: Call) -> dict[str, str]:
        return {}


def test_a_list_that_keystone_cut_off_is_no_ground_for_a_plan(behind: tuple[Rig, Proxy]):
    rig, proxy = behind
    rig.write(vos=VOS)
    rig.apply()
    proxy.rule = Altered(lambda call: "/projects?" in call.path, lambda data: data.update(truncated=True))
    one_sentence(
        rig.run("apply", "--yes", expect=1).err, "/projects", "is cut off after 1 entries", "list_limit"
    )


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b"[]", b'{"other": []}', b"", b'{"projects": {}}'], ids=repr
)
def test_nonsense_from_a_service_is_said_to_be_nonsense(behind: tuple[Rig, Proxy], body: bytes):
    rig, proxy = behind
    rig.write(vos=VOS)
    rig.apply()
    proxy.rule = failing(lambda call: "/projects?" in call.path, Answer(200, body))
    one_sentence(
        rig.run("plan", expect=1).err, "identity: GET /projects", "is the endpoint in the catalogue right?"
    )


def test_a_service_that_does_not_answer_in_time_is_named(behind: tuple[Rig, Proxy]):
    rig, proxy = behind
    entry = yaml.safe_load(rig.clouds.read_text())
    entry["clouds"]["sandbox"]["api_timeout"] = 1
    rig.clouds.write_text(yaml.safe_dump(entry))
    rig.write(vos=VOS)

    class Slow(Rule):
        def before(self, call: Call) -> Optional[Answer]:
            if call.service == "image":
                time.sleep(2)
                raise Dropped
            return None

    proxy.rule = Slow()
    one_sentence(rig.run("plan", expect=1).err, "image: GET /images", "no answer came in time")


def test_a_token_that_runs_out_is_renewed_and_the_run_goes_on(behind: tuple[Rig, Proxy]):
    rig, proxy = behind
    rig.write(**sections(rig))
    expired = Answer(401, json.dumps({"error": {"message": "expired"}}).encode())
    proxy.rule = failing(lambda call: call.writes and "/projects" in call.path, expired, times=1)
    rig.apply()
    logins = [status for call, status in proxy.answered() if call.logs_in]
    assert logins == [201, 201]
    assert ops(rig.plan()) == []


def test_an_upload_is_never_sent_on_from_its_middle(behind: tuple[Rig, Proxy]):
    """A refused token in the middle of an upload would otherwise make an image of its second half."""
    rig, proxy = behind
    image = whole(rig)["images"][f"{rig.tag}-disk"]
    image.pop("vos")
    rig.write(images={f"{rig.tag}-disk": image}, vos=VOS)
    expired = Answer(401, json.dumps({"error": {"message": "expired"}}).encode())
    proxy.rule = failing(lambda call: call.method == "PUT" and call.path.endswith("/file"), expired, times=1)
    ran = rig.run("apply", "--yes", expect=1)
    assert "failed: image" in ran.err
    assert rig.hand.get("image", f"/images?name={rig.tag}-disk")["images"] == []
    rig.apply()
    (made,) = rig.hand.get("image", f"/images?name={rig.tag}-disk")["images"]
    assert (made["status"], made["size"]) == ("active", len(DATA))


@pytest.mark.parametrize(
    "change, said",
    [
        (lambda rig: (rig.folder / "disk.raw").unlink(), "cannot read the image"),
        (lambda rig: (rig.folder / "disk.raw").write_bytes(DATA[:-1]), "not the declared one"),
        (lambda rig: (rig.folder / "disk.raw").write_bytes(b""), "not the declared one"),
    ],
    ids=["absent", "other data", "empty"],
)
def test_an_image_that_is_not_what_was_declared_is_not_kept(
    behind: tuple[Rig, Proxy], change: Any, said: str
):
    rig, _ = behind
    image = whole(rig)["images"][f"{rig.tag}-disk"]
    image.pop("vos")
    rig.write(images={f"{rig.tag}-disk": image}, vos=VOS)
    change(rig)
    ran = rig.run("apply", "--yes", expect=1)
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert rig.hand.get("image", f"/images?name={rig.tag}-disk")["images"] == []


@pytest.mark.parametrize("service, part", [("volume", "volume"), ("object", "object")])
def test_a_service_that_the_cloud_does_not_have_is_in_the_way_only_where_it_is_declared(
    behind: tuple[Rig, Proxy], service: str, part: str
):
    rig, proxy = behind
    types = {"volume": ("block-storage", "volumev3"), "object": ("object-store",)}[service]
    rig.clouds = clouds_yaml(proxy, Path(rig.clouds), rig.folder / "clouds.yaml")
    entry = yaml.safe_load(rig.clouds.read_text())
    entry["clouds"]["sandbox"].pop(f"{PREFIXES[service]}_endpoint_override", None)
    rig.clouds.write_text(yaml.safe_dump(entry))
    token: dict[str, str] = {}

    class Without(Altered):
        def headers(self, call: Call) -> dict[str, str]:
            return {"X-Subject-Token": token["id"]}

    def drop(data: Any) -> None:
        catalog = data["token"]["catalog"]
        data["token"]["catalog"] = [item for item in catalog if item["type"] not in types]

    token["id"] = str(rig.hand.http.headers["X-Auth-Token"])
    proxy.rule = Without(lambda call: call.logs_in, drop)
    rig.write(vos={"cms": {**VOS["cms"], "quota": {part: {"volumes" if part == "volume" else "bytes": 5}}}})
    ran = rig.run("plan", expect=2)
    assert f"the cloud has no {service} service" in ran.out
    assert rig.run("apply", "--yes", expect=1)
    # the VO waits; what is nobody's, as the domain, does not
    assert rig.hand.get("identity", f"/projects?domain_id={rig.domain_id}")["projects"] == []
    rig.write(vos=VOS)
    rig.apply()
    assert ops(rig.plan("--prune")) == []
