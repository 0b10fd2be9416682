"""What plan and apply cost, beside a plain script of the same work and beside the services alone, in one run.

    .venv/bin/python benchmarks/reconcile.py --vos 100

A VO here is a project, two service users with EC2 keys, and limits in Nova, Neutron and Cinder. The script asks one
thing after the other, as a first attempt would: it lists once, compares, and creates what is missing. "alone" is the
slowest service's own share of a plan with nothing to do, asked by as many threads and by nobody else. Needs a sandbox
that is up, named by OSG_SITE_IAAS_TEST_SANDBOX; what it makes there is removed again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Callable

from osg_site_iaas.cloud.connect import Cloud, connect
from osg_site_iaas.cloud.observe import desired
from osg_site_iaas.declaration.load import load
from osg_site_iaas.plan.document import seen_to_data
from osg_site_iaas.plan.model import Seen
from osg_site_iaas.sandbox import Sandbox

WORKERS = 8
COMPUTE = {"instances": 20, "cores": 40, "ram": 81920}
NETWORK = {"floatingip": 2}
VOLUME = {"volumes": 10, "gigabytes": 100}


def declaration(domain: str, vos: int) -> str:
    """A site.yml of so many VOs, in a Keystone domain of its own."""
    lines = [
        "version: 1",
        f"site: {{resource: {domain}, fqdn: cloud.example.org}}",
        f"cloud: {{name: sandbox, domain: {domain}}}",
        "defaults:",
        "  quota:",
        "    compute: {instances: 20, cores: 40, ram: 80 GiB}",
        "    network: {floatingip: 2}",
        "    volume: {volumes: 10, gigabytes: 100}",
        "vos:",
    ]
    for number in range(vos):
        lines += [f"  {domain}{number}:", "    service_users:"]
        lines += ["      pilot: {ec2_key: true}", "      factory: {ec2_key: true}"]
    return "\n".join(lines) + "\n"


def command(*words: str) -> tuple[float, dict[str, Any]]:
    """Seconds and JSON of one of our commands, its start included."""
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "osg_site_iaas", *words, "--json"], capture_output=True, text=True, check=False
    )
    seconds = time.monotonic() - start
    if done.returncode not in (0, 2):
        sys.exit(done.stderr)
    return seconds, json.loads(done.stdout)


class Script:
    """The peer: the same work, one request after the other."""

    def __init__(self, cloud: Cloud, domain: str) -> None:
        self.cloud = cloud
        self.domain = domain
        self.requests = 0

    def _ask(self, method: str, service: str, path: str, **more: Any) -> Any:
        self.requests += 1
        answer = self.cloud.request(method, service, path, **more)
        return answer.json() if answer.content else None

    def run(self, vos: int) -> float:
        """Make it so, or find that it is; seconds."""
        start = time.monotonic()
        found = self._ask("GET", "identity", f"/domains?name={self.domain}")["domains"]
        domain = (
            found[0]
            if found
            else self._ask("POST", "identity", "/domains", json={"domain": {"name": self.domain}})["domain"]
        )
        where = f"?domain_id={domain['id']}"
        projects = {p["name"]: p["id"] for p in self._ask("GET", "identity", f"/projects{where}")["projects"]}
        users = {u["name"]: u["id"] for u in self._ask("GET", "identity", f"/users{where}")["users"]}
        roles = {r["name"]: r["id"] for r in self._ask("GET", "identity", "/roles")["roles"]}
        held = {
            (a["user"]["id"], a["scope"]["project"]["id"])
            for a in self._ask("GET", "identity", "/role_assignments")["role_assignments"]
            if "user" in a and "project" in a["scope"]
        }
        keys = {c["user_id"] for c in self._ask("GET", "identity", "/credentials?type=ec2")["credentials"]}
        limits = {q["project_id"]: q for q in self._ask("GET", "network", "/quotas")["quotas"]}
        for number in range(vos):
            name = f"{self.domain}{number}"
            project = projects.get(name)
            if project is None:
                body = {"project": {"name": name, "domain_id": domain["id"]}}
                project = self._ask("POST", "identity", "/projects", json=body)["project"]["id"]
            self._limits("compute", project, COMPUTE)
            self._limits("volume", project, VOLUME)
            if any(limits.get(project, {}).get(key) != value for key, value in NETWORK.items()):
                self._ask("PUT", "network", f"/quotas/{project}", json={"quota": NETWORK})
            for user in ("pilot", "factory"):
                self._user(f"{name}-{user}", users, project, domain["id"], roles["member"], held, keys)
        return time.monotonic() - start

    def _limits(self, service: str, project: str, wanted: dict[str, int]) -> None:
        path = f"/os-quota-sets/{project}"
        found = self._ask("GET", service, path)["quota_set"]
        if any(found[key] != value for key, value in wanted.items()):
            self._ask("PUT", service, path, json={"quota_set": wanted})

    def _user(
        self, name: str, users: Any, project: str, domain: str, role: str, held: Any, keys: Any
    ) -> None:
        user = users.get(name)
        if user is None:
            body = {"user": {"name": name, "domain_id": domain, "password": secrets.token_urlsafe(24)}}
            user = self._ask("POST", "identity", "/users", json=body)["user"]["id"]
        if (user, project) not in held:
            self._ask("PUT", "identity", f"/projects/{project}/users/{user}/roles/{role}")
        if user not in keys:
            path = f"/users/{user}/credentials/OS-EC2"
            self._ask("POST", "identity", path, json={"tenant_id": project})


def alone(cloud: Cloud, domain: str) -> dict[str, float]:
    """Seconds that each service needs for its share of a plan, when nobody else asks anything."""
    found = cloud.get("identity", f"/domains?name={domain}")["domains"][0]["id"]
    projects = [p["id"] for p in cloud.get("identity", f"/projects?domain_id={found}")["projects"]]

    def share(service: str) -> Callable[[], None]:
        def ask() -> None:
            with ThreadPoolExecutor(WORKERS) as pool:
                list(pool.map(lambda one: cloud.get(service, f"/os-quota-sets/{one}"), projects))

        return ask

    def identity() -> None:
        for path in (f"/users?domain_id={found}", "/role_assignments", "/credentials?type=ec2", "/roles"):
            cloud.get("identity", path)

    return {
        "nova": timed(share("compute")),
        "cinder": timed(share("volume")),
        "keystone": timed(identity),
        "neutron": timed(lambda: cloud.get("network", "/quotas")),
    }


def timed(act: Callable[[], Any]) -> float:
    """The median of three, in seconds."""
    times = []
    for _ in range(3):
        start = time.monotonic()
        act()
        times.append(time.monotonic() - start)
    return statistics.median(times)


def memory(folder: Path, vos: int) -> tuple[float, float]:
    """MB and seconds of planning so many VOs from recorded observations, in a process of its own."""
    file = folder / "many.yml"
    file.write_text(declaration("many", vos))
    site = load(file)
    seen = [Seen(w.ref, f"id-{n}", w.attrs, True, w.needs, w.vo) for n, w in enumerate(desired(site))]
    kinds = ["identity", "compute", "network", "volume", "image", "object"]
    record = {"seen": seen_to_data(seen), "roles": {"member": "1"}, "services": kinds}
    (folder / "seen.json").write_text(json.dumps(record))
    seconds, data = command("plan", str(file), "--from", str(folder / "seen.json"))
    if data["changes"]:
        sys.exit("the plan from recorded observations is not empty")
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024, seconds


def remove(cloud: Cloud, domain: str) -> None:
    """Take a domain away, and all that is in it."""
    for found in cloud.get("identity", f"/domains?name={domain}")["domains"]:
        cloud.request("PATCH", "identity", f"/domains/{found['id']}", json={"domain": {"enabled": False}})
        cloud.request("DELETE", "identity", f"/domains/{found['id']}")


def total(data: dict[str, Any]) -> int:
    """All the requests that a command says it made."""
    return sum(data["requests"].values())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vos", type=int, default=100)
    args = parser.parse_args()
    name = os.environ.get("OSG_SITE_IAAS_TEST_SANDBOX", "default")
    sandbox = Sandbox.open(state=name) if "/" in name else Sandbox.open(name)
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(sandbox.clouds_yaml)
    cloud = connect("sandbox", workers=WORKERS)
    ours, theirs = (f"{word}{secrets.token_hex(3)}" for word in ("ours", "theirs"))
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        # first, since the largest child of this process is what counts
        megabytes, planning = memory(folder, 1000)
        file = folder / "site.yml"
        file.write_text(declaration(ours, args.vos))
        try:
            script = Script(cloud, theirs)
            script_first, script_requests = script.run(args.vos), script.requests
            first, applied = command("apply", str(file), "--yes")
            script.requests = 0
            script_again = statistics.median(script.run(args.vos) for _ in range(3))
            script_again_requests = script.requests // 3
            runs = [command("plan", str(file)) for _ in range(3)]
            again = statistics.median(seconds for seconds, _ in runs)
            floors = alone(cloud, ours)
        finally:
            remove(cloud, ours)
            remove(cloud, theirs)
    slowest = max(floors, key=lambda service: floors[service])
    rows = [
        ("first apply", first, total(applied), script_first, script_requests),
        ("nothing to do", again, total(runs[0][1]), script_again, script_again_requests),
    ]
    print(f"{args.vos} VOs, {WORKERS} workers, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| | osg-site-iaas s | requests | script s | requests | ratio |")
    print("|---|---|---|---|---|---|")
    for what, mine, asked, peer, peer_asked in rows:
        print(f"| {what} | {mine:.2f} | {asked} | {peer:.2f} | {peer_asked} | {mine / peer:.2f} |")
    print("\n| service alone | s |\n|---|---|")
    for service, seconds in floors.items():
        print(f"| {service} | {seconds:.2f} |")
    print(f"\nnothing to do is {again / floors[slowest]:.2f} times what {slowest} needs for its share alone")
    print(f"1,000 VOs from recorded observations: {megabytes:.0f} MB at most, {planning:.2f} s")


if __name__ == "__main__":
    main()
