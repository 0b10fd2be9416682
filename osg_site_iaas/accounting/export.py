"""Slices as CSV and JSON, for people and their spreadsheets. Includes what was not sent, and says so."""

from __future__ import annotations

import csv
import json
from typing import Iterable, Iterator, Mapping, TextIO, Union

from osg_site_iaas.accounting.ledger import Stored
from osg_site_iaas.accounting.model import State, iso

Cell = Union[str, int, None]
OTHERS = tuple(state for state in State if state is not State.ACTIVE)
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for a formula


def rows(
    slices: Iterable[Stored], projects: Mapping[str, str], users: Mapping[str, str]
) -> Iterator[dict[str, Cell]]:
    """One row a slice; ``projects`` and ``users`` are names by Keystone id. Times are UTC, durations seconds."""
    for stored in slices:
        found = stored.found
        yield {
            "vo": stored.vo,
            "project": projects.get(stored.project, stored.project),
            "user": users.get(stored.user, stored.user),
            "server": found.uuid,
            "name": stored.name,
            "start": iso(found.start),
            "end": iso(found.end),
            "flavour": found.size.flavour,
            "vcpus": found.size.vcpus,
            "memory_mib": found.size.memory,
            "disk_gib": found.size.disk,
            "gpus": found.size.gpus,
            "wall_seconds": found.wall,
            "core_seconds": found.core_seconds,
            **{f"{state.name.lower()}_seconds": found.others.get(state, 0) for state in OTHERS},
            "public_ips": found.public_ips,
            "volumes": found.volumes,
            "network_received_bytes": found.received,  # None: nobody asked for it
            "network_transmitted_bytes": found.transmitted,
            "last_state": "deleted" if found.final else found.last.value,
            "assumed": " ".join(sorted(mark.value for mark in found.assumed)),
            "record": stored.state,
            "why": stored.why,
        }


def write_csv(file: TextIO, data: Iterable[Mapping[str, Cell]]) -> int:
    """Write rows as CSV; how many."""
    writer = None
    count = 0
    for row in data:
        if writer is None:
            writer = csv.DictWriter(file, fieldnames=list(row))
            writer.writeheader()
        writer.writerow({name: harmless(value) for name, value in row.items()})
        count += 1
    return count


def write_json(file: TextIO, data: Iterable[Mapping[str, Cell]]) -> int:
    """Write rows as one JSON array, a row a line, without holding them all; how many."""
    count = 0
    file.write("[")
    for row in data:
        file.write(",\n " if count else "\n ")
        json.dump(row, file, ensure_ascii=False)
        count += 1
    file.write("\n]\n" if count else "]\n")
    return count


def harmless(value: Cell) -> Cell:
    """The value; text that a spreadsheet would run gets an apostrophe before it. Users name their servers."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
