"""A site of its own in the sandbox for a test of plan and apply, and a plain way to look at what became of it.

What a test looks at and changes by hand goes through ``Hand``: plain requests that share no code with the product.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator, Mapping, Optional

import pytest
import requests
import yaml

from osg_site_iaas.cli import main as cli

TYPES = {
    "identity": "identity",
    "compute": "compute",
    "network": "network",
    "image": "image",
    "volume": "block-storage",
    "object": "object-store",
}
REGION = "RegionOne"
VERSIONS = {"identity": "/v3", "compute": "/v2.1", "network": "/v2.0", "image": "/v2", "volume": "/v3"}


class Hand:
    """An administrator with curl: requests to the real services, with the status checked."""

    def __init__(self, auth: Mapping[str, Any]) -> None:
        self.auth_url = str(auth["auth_url"])
        self.http = requests.Session()
        answer = self.http.post(
            f"{self.auth_url}/auth/tokens", json={"auth": password_auth(auth)}, timeout=60
        )
        assert answer.status_code == 201, answer.text
        self.http.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]
        self.token = answer.json()["token"]
        self.urls = {}
        for entry in self.token.get("catalog", ()):
            for endpoint in entry["endpoints"]:
                # other tests may have a region of their own beside ours
                if endpoint["interface"] == "public" and endpoint["region_id"] == REGION:
                    self.urls[entry["type"]] = endpoint["url"].rstrip("/")

    def url(self, service: str) -> str:
        names = [TYPES[service], "volumev3"] if service == "volume" else [TYPES[service]]
        url = next((self.urls[name] for name in names if name in self.urls), "")
        version = VERSIONS.get(service, "")
        return url if not version or version in url else url + version

    def has(self, service: str) -> bool:
        return bool(self.url(service))

    def send(self, method: str, service: str, path: str, **arguments: Any) -> requests.Response:
        answer = self.http.request(method, self.url(service) + path, timeout=60, **arguments)
        assert answer.status_code < 300, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer

    def get(self, service: str, path: str, **arguments: Any) -> Any:
        return self.send("GET", service, path, **arguments).json()

    def post(self, service: str, path: str, body: Any, **arguments: Any) -> Any:
        answer = self.send("POST", service, path, json=body, **arguments)
        return answer.json() if answer.content else None

    def account(self, project: str) -> str:
        """The URL of a project's account in the object store."""
        return f"{self.url('object').rsplit('/', 1)[0]}/AUTH_{project}"

    def named(self, service: str, path: str, member: str, name: str) -> dict[str, Any]:
        """The one thing of that name in a list; an AssertionError if there is none, or more than one."""
        found = [item for item in self.get(service, path)[member] if item["name"] == name]
        assert len(found) == 1, f"{len(found)} of {path} are named {name}"
        return dict(found[0])


def password_auth(auth: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a login with a password, from an entry of clouds.yaml."""
    domain = (
        {"name": auth["user_domain_name"]}
        if "user_domain_name" in auth
        else {"id": auth.get("user_domain_id", "default")}
    )
    body: dict[str, Any] = {
        "identity": {
            "methods": ["password"],
            "password": {"user": {"name": auth["username"], "password": auth["password"], "domain": domain}},
        }
    }
    if "project_name" in auth:
        where = (
            {"name": auth["project_domain_name"]}
            if "project_domain_name" in auth
            else {"id": auth.get("project_domain_id", "default")}
        )
        body["scope"] = {"project": {"name": auth["project_name"], "domain": where}}
    elif auth.get("system_scope"):
        body["scope"] = {"system": {"all": True}}
    return body


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@dataclass
class Rig:
    """One site: its folder, its declaration as data, the cloud, and a hand in the cloud."""

    folder: Path
    tag: str  # unique: part of every name that is not in the site's own domain
    clouds: Path
    hand: Hand
    say: dict[str, Any] = field(default_factory=dict)
    entry: str = "sandbox"
    real: Path = field(init=False)  # the administrator's own login, where a test puts another in its place

    def __post_init__(self) -> None:
        self.real = self.clouds

    @property
    def domain(self) -> str:
        return f"rec-{self.tag}"

    @property
    def site(self) -> Path:
        return self.folder / "site.yml"

    @property
    def secrets(self) -> Path:
        return self.folder / "secrets"

    def write(self, **sections: Any) -> None:
        """site.yml with these sections, and a provider of its own so that no other test's is touched."""
        data: dict[str, Any] = {
            "version": 1,
            "site": {"resource": "Test", "fqdn": "cloud.example.org"},
            "cloud": {"name": self.entry, "domain": self.domain, "secrets": "secrets"},
            "identity_providers": {f"grid-{self.tag}": {"type": "x509"}},
            **copy.deepcopy(sections),
        }
        self.say = data
        self.site.write_text(yaml.safe_dump(data, sort_keys=False))

    def rewrite(self, change: Callable[[dict[str, Any]], Any]) -> None:
        """Change the declaration in place."""
        data = copy.deepcopy(self.say)
        change(data)
        self.write(**{key: value for key, value in data.items() if key not in ("version", "site")})

    def run(self, *words: str, expect: Optional[int] = None) -> Ran:
        """A command in this process, as `osg-site-iaas WORDS site.yml`."""
        out, err = io.StringIO(), io.StringIO()
        with (
            environment(OS_CLIENT_CONFIG_FILE=str(self.clouds)),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            code = cli.main([words[0], str(self.site), *words[1:]])
        ran = Ran(code, out.getvalue(), err.getvalue())
        if expect is not None:
            assert code == expect, f"exit code {code}\n{ran.out}\n{ran.err}"
        return ran

    def plan(self, *words: str) -> Any:
        """The plan as data."""
        ran = self.run("plan", "--json", *words)
        assert ran.code in (0, 2), ran.err
        return ran.data

    def apply(self, *words: str) -> Any:
        """Apply without questions; the report as data. AssertionError unless all went well."""
        ran = self.run("apply", "--json", "--yes", *words)
        assert ran.code == 0, ran.err + ran.out[:4000]
        return ran.data

    def start(self, *words: str, env: Optional[Mapping[str, str]] = None) -> subprocess.Popen[str]:
        """A command in a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "osg_site_iaas", words[0], str(self.site), *words[1:]],
            env={**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds), **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=takes_ctrl_c,
        )

    def project(self, name: str) -> str:
        """The id of a project of the site's domain."""
        return str(
            self.hand.named("identity", f"/projects?domain_id={self.domain_id}", "projects", name)["id"]
        )

    @property
    def domain_id(self) -> str:
        return str(self.hand.named("identity", "/domains", "domains", self.domain)["id"])


def openstack(rig: Rig, *words: str) -> None:
    """The real client."""
    environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(rig.clouds), "OS_CLOUD": "sandbox"}
    command = [str(Path(sys.executable).parent / "openstack"), *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr


def takes_ctrl_c() -> None:
    """In a child before it starts: what a shell has put into the background ignores Ctrl-C, and hands that down."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Environment variables for a while."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def ops(data: Any) -> list[str]:
    """A plan's changes in words: ``update user cms-pilot``."""
    return [f"{c['op']} {c['kind']} {'/'.join(c['key'])}" for c in data["changes"]]


def change(data: Any, kind: str, *key: str) -> Any:
    """The one change of an object in a plan; None if there is none."""
    found = [c for c in data["changes"] if c["kind"] == kind and c["key"] == list(key)]
    assert len(found) <= 1
    return found[0] if found else None


def log_in(rig: Rig, user: str, password: str) -> None:
    """Log a user of the site in to project cms; an AssertionError if Keystone refuses."""
    who = {"name": user, "domain": {"name": rig.domain}, "password": password}
    scope = {"project": {"name": "cms", "domain": {"name": rig.domain}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}}
    answer = requests.post(f"{rig.hand.auth_url}/auth/tokens", json=body, timeout=60)
    assert answer.status_code == 201, answer.text


def make_rig(clouds: Path, folder: Path, *, entry: str = "sandbox", tag: Optional[str] = None) -> Rig:
    """A site that nobody else has."""
    folder.mkdir(parents=True, exist_ok=True)
    auth = yaml.safe_load(clouds.read_text())["clouds"]["sandbox"]["auth"]
    return Rig(folder, tag or secrets.token_hex(3), clouds, Hand(auth), entry=entry)


def clean(rig: Rig) -> None:
    """Everything that carries the rig's tag, away again, by hand: a developer's sandbox lives on."""
    hand, tag = rig.hand, rig.tag
    domains = [d for d in hand.get("identity", "/domains")["domains"] if d["name"] == rig.domain]
    projects = [
        p["id"] for d in domains for p in hand.get("identity", f"/projects?domain_id={d['id']}")["projects"]
    ]
    for project in projects:
        _clean_project(hand, project)
    for service, path, member in (
        ("network", "/routers", "routers"),
        ("network", "/networks", "networks"),
        ("network", "/security-groups", "security_groups"),
        ("image", "/images?limit=1000", "images"),
        ("compute", "/flavors?is_public=none", "flavors"),
    ):
        for item in hand.get(service, path)[member]:
            if tag in item["name"] or item.get("project_id") in projects:
                if member == "routers":
                    _unplug(hand, item["id"])
                if member == "images" and item["protected"]:
                    _unprotect(hand, item["id"])
                if member == "networks":
                    _clean_ports(hand, f"network_id={item['id']}")
                _drop(hand, service, f"{path.split('?')[0]}/{item['id']}")
    for item in hand.get("identity", "/OS-FEDERATION/identity_providers")["identity_providers"]:
        if tag in item["id"]:
            _drop(hand, "identity", f"/OS-FEDERATION/identity_providers/{item['id']}")
    for item in hand.get("identity", "/OS-FEDERATION/mappings")["mappings"]:
        if tag in item["id"]:
            _drop(hand, "identity", f"/OS-FEDERATION/mappings/{item['id']}")
    for domain in domains:
        hand.send("PATCH", "identity", f"/domains/{domain['id']}", json={"domain": {"enabled": False}})
        _drop(hand, "identity", f"/domains/{domain['id']}")


def _clean_project(hand: Hand, project: str) -> None:
    servers = f"/servers?all_tenants=1&project_id={project}"
    for server in hand.get("compute", servers)["servers"]:
        _drop(hand, "compute", f"/servers/{server['id']}")
    wait_for(lambda: not hand.get("compute", servers)["servers"])
    if hand.has("volume"):
        volumes = f"/volumes?all_tenants=1&project_id={project}"
        for volume in hand.get("volume", volumes)["volumes"]:
            _drop(hand, "volume", f"/volumes/{volume['id']}?cascade=true&force=true")
        wait_for(lambda: not hand.get("volume", volumes)["volumes"])
    _clean_ports(hand, f"project_id={project}")
    if hand.has("object"):
        _clean_account(hand, hand.account(project))


def _clean_account(hand: Hand, account: str) -> None:
    answer = hand.http.get(f"{account}?format=json", timeout=60)
    for container in answer.json() if answer.status_code == 200 else ():
        url = f"{account}/{container['name']}"
        for item in hand.http.get(f"{url}?format=json", timeout=60).json():
            hand.http.delete(f"{url}/{item['name']}", timeout=60)
        hand.http.delete(url, timeout=60)


def _clean_ports(hand: Hand, query: str) -> None:
    for port in hand.get("network", f"/ports?{query}")["ports"]:
        if not port["device_owner"].startswith("network:router"):
            _drop(hand, "network", f"/ports/{port['id']}")


def _unplug(hand: Hand, router: str) -> None:
    hand.send("PUT", "network", f"/routers/{router}", json={"router": {"external_gateway_info": None}})
    for port in hand.get("network", f"/ports?device_id={router}")["ports"]:
        hand.send(
            "PUT", "network", f"/routers/{router}/remove_router_interface", json={"port_id": port["id"]}
        )


def _unprotect(hand: Hand, image: str) -> None:
    headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
    body = [{"op": "replace", "path": "/protected", "value": False}]
    hand.send("PATCH", "image", f"/images/{image}", json=body, headers=headers)


def _drop(hand: Hand, service: str, path: str) -> None:
    hand.http.delete(hand.url(service) + path, timeout=60)


def wait_for(what: Callable[[], Any], seconds: float = 180.0) -> Any:
    """What ``what()`` gives as soon as it is true."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = what()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s")


@pytest.fixture
def rig(cloud: Any, tmp_path: Path) -> Iterator[Rig]:
    """A site of its own for one test."""
    made = make_rig(cloud.clouds_yaml, tmp_path)
    yield made
    clean(made)


@pytest.fixture(scope="module")
def shared_rig(cloud: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One site for a whole module, whose tests build on one another."""
    made = make_rig(cloud.clouds_yaml, tmp_path_factory.mktemp("site"))
    yield made
    clean(made)
