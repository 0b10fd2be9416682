"""What a VO used in a month, added up: the statement that an administrator mails."""

from __future__ import annotations

import calendar
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Iterable, Mapping, Optional

from osg_site_iaas.accounting import ledger as states
from osg_site_iaas.accounting.ledger import Stored
from osg_site_iaas.accounting.model import DAY, State, epoch, moment
from osg_site_iaas.accounting.traffic import Octets, add_up
from osg_site_iaas.errors import AccountingError

GB = 10**9  # bytes


@dataclass(frozen=True)
class Month:
    """A calendar month in UTC."""

    year: int
    month: int

    @classmethod
    def of(cls, text: str) -> Month:
        """From text as in 2026-11; AccountingError for anything else."""
        try:
            when = datetime.strptime(text, "%Y-%m").replace(tzinfo=timezone.utc)
        except ValueError as error:
            raise AccountingError(f"{text!r} is not a month", todo="write it as 2026-11") from error
        return cls(when.year, when.month)

    @property
    def start(self) -> int:
        """Its first second."""
        return epoch(datetime(self.year, self.month, 1, tzinfo=timezone.utc))

    @property
    def days(self) -> int:
        """How many days it has."""
        return calendar.monthrange(self.year, self.month)[1]

    @property
    def end(self) -> int:
        """The second after its last."""
        return self.start + self.days * DAY

    def __str__(self) -> str:
        return f"{self.year}-{self.month:02}"


@dataclass
class Use:
    """What some servers used. Durations are seconds."""

    wall: int = 0
    core: int = 0
    gpu: int = 0
    servers: set[str] = field(default_factory=set)
    octets: Optional[Octets] = None  # of network traffic, as far as it was read

    def add(self, stored: Stored) -> None:
        """Add a slice."""
        found = stored.found
        self.wall += found.wall
        self.core += found.core_seconds
        self.gpu += found.wall * found.size.gpus
        self.servers.add(found.uuid)
        self.octets = add_up([self.octets or (None, None), (found.received, found.transmitted)])


@dataclass
class Statement:
    """A VO's month. ``reported`` is what the collector has acknowledged of the core seconds."""

    vo: str
    month: Month
    total: Use = field(default_factory=Use)
    by_day: dict[int, Use] = field(default_factory=dict)  # day of the month
    by_flavour: dict[str, Use] = field(default_factory=dict)
    by_user: dict[str, Use] = field(default_factory=dict)
    others: Counter[State] = field(default_factory=Counter)  # seconds in other states
    reported: int = 0
    waiting: int = 0
    refused: int = 0
    assumed: int = 0  # core seconds of slices that assume something

    def add(self, stored: Stored, user: str) -> None:
        """Add a slice."""
        found = stored.found
        day = moment(found.start).day
        for use in (
            self.total,
            self.by_day.setdefault(day, Use()),
            self.by_flavour.setdefault(found.size.flavour, Use()),
            self.by_user.setdefault(user, Use()),
        ):
            use.add(stored)
        self.others.update(found.others)
        if stored.state == states.SENT:
            self.reported += found.core_seconds
        elif stored.state == states.NEW:
            self.waiting += found.core_seconds
        elif stored.state == states.POISON:
            self.refused += found.core_seconds
        if found.assumed:
            self.assumed += found.core_seconds


def statements(slices: Iterable[Stored], month: Month, users: Mapping[str, str]) -> dict[str, Statement]:
    """Statements of every VO that had a server in the month, by VO; slices of no VO are left out."""
    found: dict[str, Statement] = {}
    for stored in slices:
        if stored.vo:
            statement = found.setdefault(stored.vo, Statement(stored.vo, month))
            statement.add(stored, users.get(stored.user, stored.user))
    return dict(sorted(found.items()))


def day_rows(statement: Statement) -> list[dict[str, object]]:
    """The statement as rows of a CSV: one a day, days without use too."""
    rows: list[dict[str, object]] = []
    for day in range(1, statement.month.days + 1):
        use = statement.by_day.get(day, Use())
        rows.append({
            "vo": statement.vo,
            "day": f"{statement.month}-{day:02}",
            "servers": len(use.servers),
            "wall_hours": f"{use.wall / 3600:.4f}",
            "core_hours": f"{use.core / 3600:.4f}",
            "gpu_hours": f"{use.gpu / 3600:.4f}",
            "gb_received": f"{use.octets.received / GB:.6f}" if use.octets else "",
            "gb_transmitted": f"{use.octets.transmitted / GB:.6f}" if use.octets else "",
        })  # fmt: skip
    return rows
