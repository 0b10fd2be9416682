"""Plan with nothing to do, beside the openstack.cloud Ansible modules that find nothing to do: per object, in one run.

    OSG_SITE_IAAS_TEST_SANDBOX=bench .venv/bin/python benchmarks/openstack_cloud.py --vos 100 --peer-vos 10

The peer is a playbook of openstack.cloud's own modules (project, group, two users with a role, quota): eight objects a
VO, as a site would write it. It is installed from PyPI into an environment of its own, the first time: the package
`ansible`, which carries the collection. Requests are counted by the services' access logs, for both sides alike.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import reconcile
from parts.peers import environment

from osg_site_iaas.cloud.connect import connect
from osg_site_iaas.sandbox import Sandbox

# openstack.cloud 2.5 does not run with openstacksdk 4.15 or newer.
PEER = ("ansible==12.3.0", "openstacksdk==4.4.0")
OBJECTS = 8  # project, group, its role, quota; two users, each with a role
PLAY = """
- hosts: localhost
  gather_facts: false
  module_defaults:
    group/openstack.cloud.openstack: {cloud: sandbox}
  tasks:
    - openstack.cloud.identity_domain: {name: "{{ domain }}"}
    - openstack.cloud.project: {name: "{{ item }}", domain: "{{ domain }}"}
      loop: "{{ vos }}"
    - openstack.cloud.identity_group: {name: "{{ item }}", domain_id: "{{ domain_id }}"}
      loop: "{{ vos }}"
    - openstack.cloud.role_assignment:
        {group: "{{ item }}", project: "{{ item }}", role: member, domain: "{{ domain_id }}"}
      loop: "{{ vos }}"
    - openstack.cloud.identity_user:
        name: "{{ item.0 }}-{{ item.1 }}"
        domain: "{{ domain }}"
        password: "{{ lookup('env', 'PEER_PASSWORD') }}"
        update_password: on_create
      loop: "{{ vos | product(['pilot', 'factory']) }}"
    - openstack.cloud.role_assignment:
        {user: "{{ item.0 }}-{{ item.1 }}", project: "{{ item.0 }}", role: member, domain: "{{ domain_id }}"}
      loop: "{{ vos | product(['pilot', 'factory']) }}"
    - openstack.cloud.quota:
        {name: "{{ item }}", instances: 20, cores: 40, ram: 81920, floating_ips: 2, volumes: 10, gigabytes: 100}
      loop: "{{ vos }}"
"""


def peer(programs: Path, folder: Path, clouds: Path, domain: str, domain_id: str, vos: int) -> float:
    """Seconds of one run of the playbook."""
    variables = {"domain": domain, "domain_id": domain_id, "vos": [f"{domain}{n}" for n in range(vos)]}
    env = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "OS_CLIENT_CONFIG_FILE": str(clouds),
        "PEER_PASSWORD": secrets.token_urlsafe(12),
        "ANSIBLE_PYTHON_INTERPRETER": str(programs / "python"),
    }
    (folder / "play.yml").write_text(PLAY)
    start = time.monotonic()
    words = ["ansible-playbook", "-i", "localhost,", "-c", "local", "-e", json.dumps(variables), "play.yml"]
    done = subprocess.run(
        [str(programs / words[0]), *words[1:]],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(done.stdout[-3000:] + done.stderr[-1000:])
    return time.monotonic() - start


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--vos", type=int, default=100, help="how many of ours")
    parser.add_argument("--peer-vos", type=int, default=10, help="how many of the modules'")
    args = parser.parse_args()
    programs = environment("openstack-cloud", PEER)
    name = os.environ.get("OSG_SITE_IAAS_TEST_SANDBOX", "default")
    sandbox = Sandbox.open(state=name) if "/" in name else Sandbox.open(name)
    os.environ["OS_CLIENT_CONFIG_FILE"] = str(sandbox.clouds_yaml)
    cloud = connect("sandbox")
    ours, theirs = (f"{word}{secrets.token_hex(3)}" for word in ("ours", "theirs"))
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        try:
            body = {"domain": {"name": theirs}}
            domain_id = cloud.request("POST", "identity", "/domains", json=body).json()["domain"]["id"]
            file = folder / "site.yml"
            file.write_text(reconcile.declaration(ours, args.vos))
            _, applied = reconcile.command("apply", str(file), "--yes")
            peer(programs, folder, sandbox.clouds_yaml, theirs, domain_id, args.peer_vos)
            mark = sandbox.mark()
            seconds = peer(programs, folder, sandbox.clouds_yaml, theirs, domain_id, args.peer_vos)
            asked = sandbox.requests(mark)
            rows.append(("openstack.cloud", args.peer_vos * OBJECTS, seconds, asked))
            mark = sandbox.mark()
            seconds, data = reconcile.command("plan", str(file))
            rows.append(("osg-site-iaas", int(applied["done"]), seconds, sandbox.requests(mark)))
            if data["changes"]:
                sys.exit("the second plan is not empty")
        finally:
            reconcile.remove(cloud, ours)
            reconcile.remove(cloud, theirs)
    print(f"nothing to do, load {os.getloadavg()[0]:.1f} at the end\n")
    print("| | objects | s | requests | tokens | ms an object |")
    print("|---|---|---|---|---|---|")
    each = []
    for what, objects, seconds, asked in rows:
        clients = [one for one in asked if not inner(one)]
        tokens = sum(one.method == "POST" and one.path.endswith("/auth/tokens") for one in clients)
        each.append(1000 * seconds / objects)
        print(f"| {what} | {objects} | {seconds:.1f} | {len(clients)} | {tokens} | {each[-1]:.1f} |")
    print(f"\n{each[0] / each[1]:.0f} times faster per object")


def inner(asked: object) -> bool:
    """Whether a service of OpenStack asked it of another; both sides come through openstacksdk."""
    return "openstacksdk" not in str(getattr(asked, "agent", ""))


if __name__ == "__main__":
    main()
