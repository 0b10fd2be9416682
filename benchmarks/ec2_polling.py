"""Polling many servers: the EC2 door beside native Nova and beside the retired ec2-api 17.0.0, in one run.

    .venv/bin/python benchmarks/ec2_polling.py --sandbox bench --servers 300 --many 3000

One server is started; the others are copies of its rows in Nova's database (parts/nova_rows.py). "Native" is the raw
GET of servers/detail with a token in hand. Each client signs and sends the same DescribeInstances. Requests are counted
where Nova, Neutron and the others answer them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, Callable

import ec2_door as common
import requests
from ec2_door import Native, memory, site, timed
from parts import ec2_api, nova_rows


def asker(vo: site.Vo, url: str, instance: str = "") -> Callable[[], requests.Response]:
    """Sends one signed DescribeInstances each time, of all or of one; keeps its connection."""
    ask = common.asker(vo, url, "DescribeInstances")
    form = {"InstanceId.1": instance} if instance else {}
    return lambda: ask(**form)


def instances(answer: requests.Response) -> int:
    return answer.content.count(b"<instanceId>")


def calls_a_second(asks: list[Callable[[], Any]], seconds: float) -> float:
    """Of so many clients together; each ends with the call that it has under way when the time is over."""
    done, started = [0], time.monotonic()
    lock = threading.Lock()

    def poll(ask: Callable[[], Any]) -> None:
        while time.monotonic() - started < seconds:
            ask()
            with lock:
                done[0] += 1

    threads = [threading.Thread(target=poll, args=(ask,)) for ask in asks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done[0] / (time.monotonic() - started)


class Run:
    """What every part needs, and the figures so far."""

    def __init__(self, box: Any, vo: site.Vo, clouds: Path, folder: Path, mode: str, rounds: int) -> None:
        self.box, self.vo, self.clouds, self.folder = box, vo, clouds, folder
        self.mode, self.rounds = mode, rounds
        self.native = Native(vo)
        self.figures = common.Figures()

    def list(self) -> int:
        """Servers in the native list, all its pages."""
        count, path = 0, "/servers/detail?limit=1000"
        while path:
            answer = self.native.get(path)
            count += len(answer["servers"])
            following = [one["href"] for one in answer.get("servers_links", ()) if one["rel"] == "next"]
            path = f"/servers/detail?{following[0].partition('?')[2]}" if following else ""
        return count

    def door(self, name: str, **settings: Any) -> Any:
        return site.running_door(self.clouds, self.folder / name, threads=16, keystone=self.mode, **settings)

    def note(self, name: str, **values: float) -> None:
        for key, value in values.items():
            self.figures[f"{name}: {key}"] = value


def cold(run: Run, count: int) -> None:
    native, ours = [], []
    for at in range(run.rounds):
        with run.door(f"cold-{count}-{at}") as door:
            door.client(run.vo).describe_key_pairs()  # the key is verified, nothing else is known
            native.append(timed(lambda: run.list()))
            answers: list[Any] = []
            ours.append(timed(lambda: answers.append(asker(run.vo, door.url)())))  # noqa: B023
            assert instances(answers[0]) == count
    run.note(
        f"{count} servers, cold",
        native_ms=statistics.median(native),
        door_ms=statistics.median(ours),
        ratio=statistics.median(ours) / statistics.median(native),
        requests=float(answers[0].headers["x-backend-requests"]),
    )


def polled(run: Run, count: int, rounds: int) -> None:
    """Unchanged servers, each poll asking Nova for changes; and a poll within the time that is called fresh."""
    with run.door(f"warm-{count}", fresh_seconds=0.01) as asking, run.door(f"fresh-{count}") as keeping:
        each, soon = asker(run.vo, asking.url), asker(run.vo, keeping.url)
        each(), soon()
        native, changes, kept = [], [], []
        for _ in range(rounds):
            native.append(timed(run.list))
            changes.append(timed(each))
            soon()
            kept.append(timed(soon))
        base = statistics.median(native)
        run.note(
            f"{count} servers, polled",
            native_ms=base,
            door_asking_ms=statistics.median(changes),
            ratio_asking=statistics.median(changes) / base,
            door_fresh_ms=statistics.median(kept),
            ratio_fresh=statistics.median(kept) / base,
            requests=float(each().headers["x-backend-requests"]),
            memory_mib=memory(keeping.pid),
        )


def pollers(run: Run, count: int, clients: int, seconds: float, peer: bool) -> None:
    def native() -> Callable[[], Any]:
        one = Native.__new__(Native)
        one.__dict__.update(run.native.__dict__, session=requests.Session())
        return lambda: one.get("/servers/detail")

    def load() -> float:
        return os.getloadavg()[0]

    name = f"{clients} pollers of {count}"
    with run.door(f"pollers-{count}") as door:
        asker(run.vo, door.url)()
        ours = calls_a_second([asker(run.vo, door.url) for _ in range(clients)], seconds)
    run.note(name, door_calls_s=ours, load=load())
    run.note(name, native_calls_s=calls_a_second([native() for _ in range(clients)], seconds), load=load())
    if peer:
        with ec2_api.running(run.box, run.folder / "ec2-api", site.free_port()) as url:
            first = asker(run.vo, url)
            assert instances(first()) == count
            mark = run.box.mark()
            single = timed(first)
            counted = len(run.box.requests(mark))
            theirs = calls_a_second([asker(run.vo, url) for _ in range(clients)], seconds)
        run.note(name, ec2_api_calls_s=theirs, load=load(), door_to_ec2_api=ours / theirs)
        run.note("ec2-api, one call", ms=single, requests=counted)


def one_of_many(run: Run, server: str, count: int) -> None:
    name = f"i-{server.replace('-', '')[:17]}"
    native, cold_ms, requests_made = [], [], 0.0
    with run.door(f"one-{count}") as door:
        door.client(run.vo).describe_key_pairs()
        native.append(timed(run.list))
        answers: list[Any] = []
        cold_ms.append(timed(lambda: answers.append(asker(run.vo, door.url, name)())))
        assert instances(answers[0]) == 1
        requests_made = float(answers[0].headers["x-backend-requests"])
        run.note(
            f"one id of {count}, cold",
            native_list_ms=native[0],
            door_ms=cold_ms[0],
            ratio=cold_ms[0] / native[0],
            requests=requests_made,
        )
    with run.door(f"one-{count}", fresh_seconds=0.01, state=run.folder / f"one-{count}" / "state") as door:
        ask = asker(run.vo, door.url, name)
        ask()  # another worker: no list, but the id is in the store
        got, ours = [], []
        for _ in range(2 * run.rounds):
            got.append(timed(lambda: run.native.get(f"/servers/{server}")))
            ours.append(timed(ask))
        base = statistics.median(got)
        run.note(
            f"one id of {count}, warm",
            native_get_ms=base,
            door_ms=statistics.median(ours),
            ratio=statistics.median(ours) / base,
            requests=float(ask().headers["x-backend-requests"]),
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--servers", type=int, default=300)
    parser.add_argument("--many", type=int, default=3000)
    parser.add_argument("--mode", choices=("secrets", "service"), default="secrets")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=30.0, help="how long the pollers poll")
    parser.add_argument("--no-peer", action="store_true", help="leave ec2-api out")
    parser.add_argument("--sandbox", default="dev")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    box = site.Sandbox.open(args.sandbox)
    admin = site.connect(box, "sandbox")
    with contextlib.ExitStack() as stack:
        vo = site.make_vo(box, admin, f"ec2-poll-{secrets.token_hex(2)}")
        stack.callback(site.clean, admin, vo)
        site.make_image(vo, "bench")
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))

        class Factory:
            @staticmethod
            def mktemp(_: str) -> Path:
                return folder

        users = site.door_users.__wrapped__(box, admin, Factory)
        clouds = next(users)
        stack.callback(lambda: next(users, None))
        run = Run(box, vo, clouds, folder, args.mode, args.rounds)
        (server,) = run.native.start(1)
        common.settled(run.native, 1)
        database = box.folder / "db"
        for step, total in ((0, args.servers), (1, args.many)):
            copies = nova_rows.copy(database, server, total - run.list())
            stack.callback(nova_rows.remove, database, copies)
            assert run.list() == total
            run.note("load", at_start=os.getloadavg()[0])
            if step == 0:
                cold(run, total)
                polled(run, total, args.rounds)
                pollers(run, total, args.clients, args.seconds, not args.no_peer)
            else:
                one_of_many(run, server, total)
                polled(run, total, 2)
    if args.json:
        print(json.dumps(run.figures, indent=1))
        return
    for name, value in run.figures.items():
        print(f"  {name:45} {value:9.2f}")


if __name__ == "__main__":
    sys.exit(main())
