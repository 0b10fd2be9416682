"""What the EC2 door costs beside native Nova, in one run on one sandbox.

    .venv/bin/python benchmarks/ec2_door.py --servers 100 --mode secrets

"Native" is the raw request with a token in hand. Each figure is the median of alternating runs, so that both sides meet
the same load. Prints a table, or with --json the figures.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "sandbox"))

import ec2_fixtures as site
import requests


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


def alternate(rounds: int, **works: Callable[[], Any]) -> dict[str, float]:
    """Median milliseconds of each."""
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(timed(work))
    return {name: statistics.median(times) for name, times in found.items()}


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


def reads(native: Native, client: Any, door: site.Door, vo: site.Vo, rounds: int) -> dict[str, float]:
    client.describe_instances()
    ids = [i["InstanceId"] for r in client.describe_instances()["Reservations"] for i in r["Instances"]]
    one = native.get("/servers")["servers"][0]["id"]
    figures = {}

    session = requests.Session()

    def poll() -> None:
        ask(client, session)

    # The pause between rounds is longer than what the door calls fresh: each poll asks for changes.
    native_times, door_times = [], []
    for _ in range(rounds):
        native_times.append(timed(lambda: native.get("/servers/detail")))
        time.sleep(5.5)
        door_times.append(timed(poll))
    figures["native list"] = statistics.median(native_times)
    figures["polled list, asking for changes"] = statistics.median(door_times)
    figures["polled list, within fresh_seconds"] = statistics.median([timed(poll) for _ in range(rounds)])
    figures.update(
        {
            f"one id: {name}": value
            for name, value in alternate(
                rounds,
                native=lambda: native.get(f"/servers/{one}"),
                door=lambda: client.describe_instances(InstanceIds=[ids[0]]),
            ).items()
        }
    )
    return figures


def ask(client: Any, session: requests.Session) -> bytes:
    """DescribeInstances as bytes: what botocore does with an answer is the client's own time."""
    url = client.generate_presigned_url("describe_instances", ExpiresIn=60, HttpMethod="GET")
    answer = session.get(url, timeout=300)
    answer.raise_for_status()
    return answer.content


def pollers(client_of: Callable[[], Any], seconds: float = 10.0, count: int = 8) -> float:
    """Calls a second of so many pollers together."""
    done, stop = [0], time.monotonic() + seconds

    def poll(client: Any) -> None:
        session = requests.Session()
        while time.monotonic() < stop:
            ask(client, session)
            done[0] += 1

    threads = [threading.Thread(target=poll, args=(client_of(),)) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done[0] / seconds


def writes(native: Native, client: Any, image: str, rounds: int) -> dict[str, float]:
    found: dict[str, list[float]] = {}

    def note(name: str, work: Callable[[], Any]) -> Any:
        result: list[Any] = []
        found.setdefault(name, []).append(timed(lambda: result.append(work())))
        return result[0]

    for _ in range(rounds):
        for count in (1, 10):
            reservation = note(f"start {count}: native", lambda count=count: native.start_only(count))
            asked = {"ImageId": image, "InstanceType": "m1.tiny", "MinCount": count, "MaxCount": count}
            started = note(f"start {count}: door", lambda asked=asked: client.run_instances(**asked))
            ours = [one["InstanceId"] for one in started["Instances"]]
            theirs = [one["id"] for one in native.get(f"/servers?reservation_id={reservation}")["servers"]]
            site.wait_for(
                lambda: all(one["status"] != "BUILD" for one in native.get("/servers/detail")["servers"]), 300
            )
            note(f"end {count}: native", lambda theirs=theirs: native.end(theirs))
            note(f"end {count}: door", lambda ours=ours: client.terminate_instances(InstanceIds=ours))
            time.sleep(3)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--mode", choices=("secrets", "service"), default="secrets")
    parser.add_argument("--sandbox", default="dev")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    box = site.Sandbox.open(args.sandbox)
    admin = site.connect(box, "sandbox")
    with contextlib.ExitStack() as stack:
        vo = site.make_vo(box, admin, f"ec2-bench-{secrets.token_hex(2)}")
        stack.callback(site.clean, admin, vo)
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
        left = args.servers
        while left:
            native.start(min(50, left))
            left -= min(50, left)
        settled(native, args.servers)
        figures = Figures()
        for at in range(2):
            with site.running_door(clouds, folder / f"cold{at}", keystone=args.mode) as door:
                client = door.client(vo)
                client.describe_key_pairs()  # the key is verified, nothing else is known
                figures["cold list: native"] = timed(lambda: native.get("/servers/detail"))
                session = requests.Session()
                figures["cold list: door"] = timed(lambda: ask(client, session))  # noqa: B023
        with site.running_door(clouds, folder / "warm", keystone=args.mode) as door:
            client = door.client(vo)
            figures.update(reads(native, client, door, vo, args.rounds))
            figures["8 pollers, calls/s: door"] = pollers(lambda: door.client(vo))
            figures["memory of the worker and its master, MiB"] = memory(door.pid)
            figures.update(writes(native, client, image, max(2, args.rounds // 2)))
    if args.json:
        print(json.dumps({"servers": args.servers, "mode": args.mode, **figures}, indent=1))
        return
    print(f"{args.servers} servers, mode {args.mode}, milliseconds unless said otherwise")
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
