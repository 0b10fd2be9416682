"""What a Keystone's host has to lose when it is upgraded: who may come in, who was here, and who is shut out.

Run as a program it uses the hosts as the earlier program put them there, and notes what there is afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

HOSTS = {"osg-upgrade-front": "osg-site-iaas-front", "osg-upgrade-apache": "apache2"}
BEFORE = Path(os.environ.get("MOLECULE_EPHEMERAL_DIRECTORY", ".")) / "before.json"
SITE = "https://cloud.example.org:5000"
LOGIN = f"{SITE}/v3/OS-FEDERATION/identity_providers/grid/protocols/mapped/auth"
# Constants of osg_site_iaas.identity.middleware: one that both programs have, and one that the earlier has not.
BOTH, NEW = b"osg_site_iaas.provider", b"osg_site_iaas.outcome"
BANS = "/etc/osg/site-iaas/bans.yml"
BAN = """\
- dn: /DC=org/DC=example/O=Grid/OU=People/CN=Jane Pilot
  reason: put there by hand before the upgrade
"""
KEPT = "/etc/grid-security/certificates /etc/grid-security/vomsdir /etc/osg/site-iaas /etc/keystone"
ROWS = """
import json, sqlite3
db = sqlite3.connect("/var/lib/osg-site-iaas/identity/logins.sqlite")
print(json.dumps([list(row) for row in db.execute("select user_id, name, vo, credential, first from login")]))
"""


def on(host: str, *words: str, text: str = "") -> str:
    """What a command says on a host."""
    argv = ["podman", "exec", "--interactive", host, *words]
    done = subprocess.run(argv, capture_output=True, text=True, input=text)
    if done.returncode:
        raise SystemExit(
            f"{host}: {' '.join(words)[:200]}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done.stdout


def ask(host: str, who: str = "", url: str = LOGIN, *more: str) -> tuple[int, dict, str]:
    """Status, body and token that Keystone answers a member with this proxy."""
    cert = ["--cert", f"/root/{who}.pem", "--key", f"/root/{who}.pem"] if who else []
    # its unit is up before Keystone is loaded
    wait = ["--retry", "100", "--retry-delay", "2", "--retry-connrefused"]
    told = on(host, "curl", "-sS", *wait, "-D", "/root/head", "--cacert", "/root/ca.pem", *cert, *more, url)
    head = on(host, "cat", "/root/head")
    token = re.search(r"(?mi)^x-subject-token: (\S+)", head)
    return int(head.split()[1]), json.loads(told), token[1] if token else ""


def loaded(host: str) -> list[tuple[float, bool]]:
    """Of each process of Keystone's user that has loaded our middleware: when it began, and whether it has the new one.

    The memory of the process itself says so, whatever lies on the disk or stands in its arguments.
    """
    top = subprocess.run(["podman", "top", host, "hpid", "user"], capture_output=True, text=True, check=True)
    processes = [line.split() for line in top.stdout.splitlines()[1:]]
    theirs = [Path("/proc") / pid for pid, user in processes if user == "keystone"]
    return [(began(one), holds(one, NEW)) for one in theirs if holds(one, BOTH)]


def began(process: Path) -> float:
    """When a process began, in seconds since the epoch."""
    ticks = int((process / "stat").read_text().rpartition(")")[2].split()[19])
    boot = re.search(r"(?m)^btime (\d+)", Path("/proc/stat").read_text())
    assert boot
    return int(boot[1]) + ticks / os.sysconf("SC_CLK_TCK")


def holds(process: Path, words: bytes) -> bool:
    """Whether these bytes are anywhere in the data of a process."""
    with open(process / "maps") as maps, open(process / "mem", "rb", 0) as memory:
        for line in maps:
            place, rights, *rest = line.split()
            if not rights.startswith("rw") or (len(rest) > 3 and rest[3] != "[heap]"):
                continue
            start, end = (int(at, 16) for at in place.split("-"))
            memory.seek(start)
            if words in memory.read(end - start):
                return True
    return False


def state(host: str) -> dict:
    """What the host keeps: the program in use, sums of files, and who was here."""
    return {
        "program": on(host, "readlink", "/opt/osg-site-iaas/current").strip(),
        "files": sorted(on(host, "sh", "-c", f"find {KEPT} -type f -exec sha256sum {{}} +").splitlines()),
        "logins": json.loads(on(host, "python3", "-c", ROWS)),
    }


def use(host: str) -> dict:
    assert ask(host)[0] == 401
    on(host, "python3", "/root/federate.py", f"{SITE}/v3")
    status, body, token = ask(host, "jane")
    assert status == 201, body
    user = body["token"]["user"]["id"]
    running = loaded(host)
    assert running
    assert not any(new for _, new in running), "this program is no earlier one"
    on(host, "sh", "-c", f"cat > {BANS}", text=BAN)
    lsc = "/etc/grid-security/vomsdir/byhand"
    on(host, "sh", "-c", f"mkdir {lsc} && echo /DC=org/CN=by-hand > {lsc}/voms.example.org.lsc")
    status, body, _ = ask(host, "jane")
    assert status == 401, body
    return {**state(host), "user": user, "token": token}


if __name__ == "__main__":
    BEFORE.write_text(json.dumps({host: use(host) for host in HOSTS}))
