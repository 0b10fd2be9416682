"""What starting and ending instances costs at the EC2 door, beside native Nova and ec2-api 17.0.0, in one run.

    .venv/bin/python benchmarks/ec2_door.py --rounds 9 --mode secrets service

"Native" is the raw request with a token in hand: to start ten, one request that does not say their ids; to end ten, one
request each, one after the other. Each figure is the median of alternating runs, so that all sides meet the same load.
Requests are counted where OpenStack answers them, so Nova's own to Neutron and Glance are among them; said is the most
usual count of the rounds. Left out is what belongs to no launch: services that log in, look again whether a token is
good (each every five minutes, whoever comes first), and Nova's scheduler, which begins when the answer is given.
ec2_polling.py measures the reading.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sandbox"))

import ec2_fixtures as site
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from parts import ec2_api


class Figures(dict[str, float]):
    """Figures that are said on stderr as they come: a run takes minutes."""

    def __setitem__(self, name: str, value: float) -> None:
        print(f"{name}: {value:.3g}", file=sys.stderr, flush=True)
        super().__setitem__(name, value)

    def update(self, more: dict[str, float]) -> None:  # type: ignore[override]
        for name, value in more.items():
            self[name] = value


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


class Native:
    """Nova as a client with a token sees it."""

    def __init__(self, vo: site.Vo) -> None:
        self.session = requests.Session()
        self.url = vo.cloud.session.get_endpoint(service_type="compute")
        self.headers = {
            "X-Auth-Token": vo.cloud.session.get_token(),
            "OpenStack-API-Version": "compute 2.92",
        }
        self.network = next(vo.cloud.network.networks(project_id=vo.project)).id
        self.image = next(vo.cloud.image.images(owner=vo.project)).id
        self.flavour = vo.cloud.compute.find_flavor("m1.tiny").id

    def get(self, path: str) -> Any:
        answer = self.session.get(self.url + path, headers=self.headers, timeout=300)
        answer.raise_for_status()
        return answer.json()

    def start(self, count: int) -> list[str]:
        body = {
            "name": "bench",
            "imageRef": self.image,
            "flavorRef": self.flavour,
            "networks": [{"uuid": self.network}],
            "min_count": count,
            "max_count": count,
            "return_reservation_id": True,
        }
        answer = self.session.post(
            f"{self.url}/servers", json={"server": body}, headers=self.headers, timeout=300
        )
        answer.raise_for_status()
        reservation = answer.json()["reservation_id"]
        return [one["id"] for one in self.get(f"/servers?reservation_id={reservation}")["servers"]]

    def start_only(self, count: int) -> str:
        body = {
            "name": "bench",
            "imageRef": self.image,
            "flavorRef": self.flavour,
            "networks": [{"uuid": self.network}],
            "min_count": count,
            "max_count": count,
            "return_reservation_id": True,
        }
        answer = self.session.post(
            f"{self.url}/servers", json={"server": body}, headers=self.headers, timeout=300
        )
        answer.raise_for_status()
        return str(answer.json()["reservation_id"])

    def end(self, servers: list[str]) -> None:
        for one in servers:
            self.session.delete(f"{self.url}/servers/{one}", headers=self.headers, timeout=300)


def settled(native: Native, count: int) -> None:
    """Wait until so many servers are active and none is on its way."""

    def done() -> bool:
        states = [one["status"] for one in native.get("/servers/detail")["servers"]]
        return len(states) == count and set(states) <= {"ACTIVE"}

    site.wait_for(done, 900)


class Side:
    """What starts and ends servers: ``start`` and ``end`` are timed, ``ids`` says what was started."""

    name = "native"

    def __init__(self, native: Native) -> None:
        self.native = native

    def start(self, count: int) -> Any:
        return self.native.start_only(count)

    def ids(self, started: Any) -> list[str]:
        return [one["id"] for one in self.native.get(f"/servers?reservation_id={started}")["servers"]]

    def end(self, ids: list[str]) -> Any:
        self.native.end(ids)


class Ec2Side(Side):
    """By signed requests without an SDK: what botocore does with an answer is the client's own time."""

    def __init__(self, name: str, vo: site.Vo, url: str, image: str) -> None:
        self.name, self.vo, self.url, self.image = name, vo, url, image
        self.session = requests.Session()

    def ask(self, action: str, **form: str) -> str:
        return asker(self.vo, self.url, action, self.session)(**form).text

    def start(self, count: int) -> Any:
        return self.ask(
            "RunInstances",
            ImageId=self.image,
            InstanceType="m1.tiny",
            MinCount=str(count),
            MaxCount=str(count),
            ClientToken=secrets.token_hex(16),
        )

    def ids(self, started: Any) -> list[str]:
        return re.findall("<instanceId>(i-[0-9a-f]+)</instanceId>", started)

    def end(self, ids: list[str]) -> Any:
        self.ask("TerminateInstances", **{f"InstanceId.{at}": one for at, one in enumerate(ids, 1)})


def asker(
    vo: site.Vo, url: str, action: str, session: requests.Session | None = None
) -> Callable[..., requests.Response]:
    """Sends one signed request each time; keeps its connection."""
    kept, url = session or requests.Session(), url.rstrip("/") + "/"
    signer = SigV4Auth(Credentials(vo.access, vo.secret), "ec2", site.REGION)
    fixed = {"Action": action, "Version": "2016-11-15"}

    def ask(**form: str) -> requests.Response:
        body = urlencode({**fixed, **form})
        kind = {"Content-Type": "application/x-www-form-urlencoded"}
        request = AWSRequest("POST", url, data=body, headers=kind)
        signer.add_auth(request)
        answer = kept.post(url, data=body, headers=dict(request.headers), timeout=600)
        answer.raise_for_status()
        return answer

    return ask


def counts(request: Any) -> bool:
    """Whether a request was made for the sake of the launch that is measured."""
    logs_in = request.service == "keystone" and not request.path.startswith("/v3/ec2tokens")
    return not logs_in and request.service != "placement"


def writes(box: Any, native: Native, sides: list[Side], rounds: int) -> dict[str, float]:
    """Medians of starting and ending 1 and 10, side by side in changing order; the most usual number of requests."""
    found: dict[str, list[float]] = {}
    counted: dict[str, list[int]] = {}

    def note(name: str, work: Callable[[], Any]) -> Any:
        result: list[Any] = []
        mark = box.mark()
        found.setdefault(name, []).append(timed(lambda: result.append(work())))
        counted.setdefault(name, []).append(sum(1 for one in box.requests(mark) if counts(one)))
        return result[0]

    def quiet(left: int) -> None:
        site.wait_for(
            lambda: [one["status"] for one in native.get("/servers/detail")["servers"]] == ["ACTIVE"] * left,
            900,
        )

    for side in sides:  # what each keeps is warm
        side.end(side.ids(side.start(1)))
        quiet(0)
    for at in range(rounds):
        order = sides[at % len(sides) :] + sides[: at % len(sides)]
        for count in (1, 10):
            for side in order:
                started = note(
                    f"start {count}: {side.name}", lambda side=side, count=count: side.start(count)
                )
                ids = side.ids(started)
                assert len(ids) == count
                quiet(count)
                note(f"end {count}: {side.name}", lambda side=side, ids=ids: side.end(ids))
                quiet(0)
    figures = {name: statistics.median(times) for name, times in found.items()}
    for name, value in list(figures.items()):
        word, _, side = name.partition(": ")
        if side != "native":
            figures[f"{word}: {side} to native"] = value / figures[f"{word}: native"]
    figures.update({f"{name}, requests, with Nova's own": statistics.mode(n) for name, n in counted.items()})
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-peer", action="store_true", help="leave ec2-api out")
    parser.add_argument("--rounds", type=int, default=5)
    modes = ("secrets", "service")
    parser.add_argument(
        "--mode", choices=modes, nargs="+", default=modes, help="one door each (default: both)"
    )
    parser.add_argument("--sandbox", default="dev")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    box = site.Sandbox.open(args.sandbox)
    admin = site.connect(box, "sandbox")
    figures = Figures()
    with contextlib.ExitStack() as stack:
        vo = site.make_vo(box, admin, f"ec2-bench-{secrets.token_hex(2)}")
        stack.callback(site.clean, admin, vo)
        site.flavours.__wrapped__(admin)
        image = site.make_image(vo, "bench")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        class Factory:
            @staticmethod
            def mktemp(_: str) -> Path:
                return folder

        users = site.door_users.__wrapped__(box, admin, Factory)
        clouds = next(users)
        stack.callback(lambda: next(users, None))
        native = Native(vo)
        sides: list[Side] = [Side(native)]
        for mode in args.mode:
            door = stack.enter_context(site.running_door(clouds, folder / mode, keystone=mode))
            sides.append(Ec2Side(f"door, mode {mode}", vo, door.url, image))
        if not args.no_peer:
            url = stack.enter_context(ec2_api.running(box, folder / "ec2-api", site.free_port()))
            theirs = asker(vo, url, "DescribeImages")(**{"Owner.1": "self"}).text
            sides.append(Ec2Side("ec2-api", vo, url, re.findall("<imageId>(ami-[0-9a-f]+)", theirs)[0]))
        figures["load before"] = os.getloadavg()[0]
        figures.update(writes(box, native, sides, args.rounds))
        figures["load after"] = os.getloadavg()[0]
    if args.json:
        print(json.dumps(figures, indent=1))
        return
    print("milliseconds unless said otherwise")
    for name, value in figures.items():
        print(f"  {name:45} {value:9.1f}")


def memory(pid: int) -> float:
    """Resident MiB of a process and its children."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = 0
    for one in (str(pid), *children):
        pages = int(Path(f"/proc/{one}/statm").read_text().split()[1])
        total += pages * 4096
    return total / 2**20


if __name__ == "__main__":
    main()
