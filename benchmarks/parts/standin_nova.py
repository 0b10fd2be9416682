"""Keystone's login and Nova's reading calls over HTTP for any number of servers, none of which is stored.

  python benchmarks/parts/standin_nova.py SERVERS ACTIVE NOW

Prints its address once it listens. Answers are as large as Nova 34's and follow from a server's number alone, so that
a million servers cost this process nothing and the program that reads them everything. ``PUT /now/SECONDS/ENDED`` sets
the clock, and lets the first so many of the running servers end half an hour before.
"""

from __future__ import annotations

import json
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Optional
from urllib.parse import parse_qs, urlsplit

DAY = 86400
PROJECTS = 300
FLAVOURS = (("osg.small", 1, 2048, 20), ("osg.medium", 4, 8192, 40), ("osg.large", 16, 65536, 160))
ID = "00000000-0000-4000-8000-%012x"
SERVER = """{"id":"%(id)s","name":"worker-%(number)d","status":"%(status)s","tenant_id":"p%(project)d",
"user_id":"%(user)s","hostId":"3e2f0b1c9d8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e","image":{"id":"70a599e0-31e7-49b7-b260-868f441e862b",
"links":[{"rel":"bookmark","href":"http://127.0.0.1/images/70a599e0-31e7-49b7-b260-868f441e862b"}]},"flavor":{"vcpus":%(vcpus)d,
"ram":%(ram)d,"disk":%(disk)d,
"ephemeral":0,"swap":0,"original_name":"%(flavour)s","extra_specs":{}},"created":"%(created)s",
"updated":"%(updated)s","addresses":{"cms":[{"version":4,"addr":"192.0.2.1","OS-EXT-IPS:type":"fixed",
"OS-EXT-IPS-MAC:mac_addr":"fa:16:3e:00:00:01"}]},"accessIPv4":"","accessIPv6":"","links":[{"rel":"self",
"href":"http://127.0.0.1/v2.1/servers/%(id)s"},{"rel":"bookmark","href":"http://127.0.0.1/servers/%(id)s"}],
"OS-DCF:diskConfig":"MANUAL","progress":0,"OS-EXT-AZ:availability_zone":"nova","config_drive":"","key_name":null,
"OS-SRV-USG:launched_at":"%(launched)s","OS-SRV-USG:terminated_at":%(ended)s,"OS-EXT-SRV-ATTR:host":"compute-%(host)d",
"OS-EXT-SRV-ATTR:instance_name":"instance-%(number)08x","OS-EXT-SRV-ATTR:hypervisor_hostname":"compute-%(host)d",
"OS-EXT-SRV-ATTR:reservation_id":"r-12345678","OS-EXT-SRV-ATTR:launch_index":0,"OS-EXT-SRV-ATTR:hostname":"worker",
"OS-EXT-SRV-ATTR:kernel_id":"","OS-EXT-SRV-ATTR:ramdisk_id":"","OS-EXT-SRV-ATTR:root_device_name":"/dev/vda",
"OS-EXT-SRV-ATTR:user_data":null,"OS-EXT-STS:task_state":null,"OS-EXT-STS:vm_state":"%(state)s","OS-EXT-STS:power_state":1,
"os-extended-volumes:volumes_attached":[],"metadata":{},"locked":false,"description":null,"tags":[],"host_status":"UP"}""".replace(
    "\n", ""
)  # fmt: skip


class Servers:
    """Servers of the day before: those that have ended ran for some hours, the first ``active`` of them run on."""

    def __init__(self, count: int, active: int, now: int) -> None:
        self.count, self.active, self.first = count, active, now
        self.now, self.ended, self.ended_at = now, 0, now

    def ends(self, number: int) -> Optional[int]:
        """When a server ended; None for one that runs."""
        if number < self.ended:
            return self.ended_at
        return None if number < self.active else self.created(number) + 3600 + number % 20_000

    def created(self, number: int) -> int:
        return self.first - DAY + number % 40_000

    def changed(self, since: int) -> range:
        """Servers by number whose row has changed since a time; all of them long ago but those that were ended."""
        if since > self.ended_at:
            return range(0)
        return range(self.ended) if since > self.first - DAY // 4 else range(self.count)

    def row(self, number: int) -> str:
        created, ended = self.created(number), self.ends(number)
        flavour, vcpus, ram, disk = FLAVOURS[number % len(FLAVOURS)]
        return SERVER % {
            "id": ID % number, "number": number, "project": number % PROJECTS, "user": f"u{number % PROJECTS}",
            "status": "ACTIVE" if ended is None else "DELETED", "state": "active" if ended is None else "deleted",
            "flavour": flavour, "vcpus": vcpus, "ram": ram, "disk": disk, "host": number % 500,
            "created": stamp(created), "launched": stamp(created + 9)[:-1] + ".000000",
            "updated": stamp(created + 9 if ended is None else ended),
            "ended": "null" if ended is None else f'"{stamp(ended)[:-1]}.000000"',
        }  # fmt: skip

    def actions(self, number: int) -> list[dict[str, Any]]:
        """As Nova lists them, the latest first."""
        created, ended = self.created(number), self.ends(number)
        steps = [("create", created, created + 9)]
        if ended is not None:
            steps += [("stop", created + 1000, created + 1005), ("start", created + 1060, created + 1062)]
            steps.append(("delete", ended - 1, ended))
        return [
            {
                "action": name, "instance_uuid": ID % number, "request_id": f"req-{number:024x}-{at}",
                "user_id": "u", "project_id": "p",
                "start_time": stamp(start), "updated_at": stamp(finish), "message": None,
            }
            for at, (name, start, finish) in reversed(list(enumerate(steps)))
        ]  # fmt: skip


def stamp(seconds: int) -> str:
    days, rest = divmod(seconds, DAY)
    return f"{_date(days)}T{rest // 3600:02}:{rest % 3600 // 60:02}:{rest % 60:02}Z"


_DATES: dict[int, str] = {}


def _date(days: int) -> str:
    if days not in _DATES:
        from datetime import date

        _DATES[days] = date.fromordinal(date(1970, 1, 1).toordinal() + days).isoformat()
    return _DATES[days]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    servers: Servers
    address: str

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        catalog = [
            {
                "type": kind, "name": kind,
                "endpoints": [{"interface": "public", "region": "R", "region_id": "R", "url": url}],
            }
            for kind, url in (("compute", f"{self.address}/v2.1"), ("identity", f"{self.address}/v3"))
        ]  # fmt: skip
        token = {
            "methods": ["password"], "issued_at": "2026-01-01T00:00:00.000000Z",
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "user": {"id": "u", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "project": {"id": "p", "name": "admin", "domain": {"id": "default", "name": "Default"}},
            "roles": [{"id": "r", "name": "admin"}], "catalog": catalog,
        }  # fmt: skip
        self._answer(json.dumps({"token": token}).encode(), 201, {"X-Subject-Token": "t"})

    def do_PUT(self) -> None:
        _, _, now, ended = self.path.split("/")
        if int(ended) != self.servers.ended:
            self.servers.ended, self.servers.ended_at = int(ended), int(now) - 1800
        self.servers.now = int(now)
        self._answer(b"{}")

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        found = re.search(r"/servers/[0-9a-f-]+-([0-9a-f]{12})/(os-instance-actions|diagnostics)", url.path)
        if found:
            number = int(found.group(1), 16)
            body: Any = {"instanceActions": self.servers.actions(number)}
            if found.group(2) == "diagnostics":
                moved = self.servers.now - self.servers.created(number)
                nic = {"mac_address": "fa:16:3e:00:00:01", "rx_octets": 1000 * moved, "tx_octets": moved}
                body = {"nic_details": [nic], "state": "running", "driver": "libvirt", "uptime": moved}
            self._answer(json.dumps(body).encode())
        elif url.path.endswith("/servers/detail"):
            self._page(self.servers.changed(_seconds(query["changes-since"])), query, self.servers.row)
        else:
            running = range(self.servers.ended, self.servers.active)
            self._page(running, query, lambda number: f'{{"id":"{ID % number}","name":"worker","links":[]}}')

    def _page(self, numbers: range, query: dict[str, str], row: Any) -> None:
        marker = int(query["marker"].rpartition("-")[2], 16) if "marker" in query else -1
        first = max(marker + 1, numbers.start)
        rows = [row(number) for number in range(first, min(first + int(query["limit"]), numbers.stop))]
        more = first + len(rows) < numbers.stop
        links = ',"servers_links":[{"rel":"next","href":"http://127.0.0.1/"}]' if more else ""
        self._answer(f'{{"servers":[{",".join(rows)}]{links}}}'.encode())

    def _answer(self, body: bytes, status: int = 200, headers: Optional[dict[str, str]] = None) -> None:
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(self.servers.now))
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _seconds(text: str) -> int:
    from calendar import timegm
    from time import strptime

    return timegm(strptime(text, "%Y-%m-%dT%H:%M:%SZ"))


def main() -> None:
    count, active, now = (int(word) for word in sys.argv[1:4])
    Handler.servers = Servers(count, active, now)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.address = f"http://127.0.0.1:{server.server_port}"
    print(Handler.address, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
