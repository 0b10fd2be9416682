"""Reads what hypervisors have counted of servers' networks, through Nova: one request a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Mapping, Optional, Sequence, Union

from osg_site_iaas.accounting.model import epoch
from osg_site_iaas.accounting.nova import answered_at
from osg_site_iaas.accounting.traffic import Answers, Octets, Reading, Target
from osg_site_iaas.cloud.connect import Cloud, Conflicting, Forbidden, Missing
from osg_site_iaas.errors import CloudError

VERSION = "2.48"  # the first whose answer is the same for every hypervisor
MOST = 1 << 60  # no counter is as high: it would be a fault of its driver
PATIENCE = 3  # hypervisors that may fail before any has answered


class Diagnostics:
    """Counters from Nova behind a session; ``workers`` requests go at a time, and none to a host that has failed."""

    def __init__(self, cloud: Cloud, now: datetime, *, workers: int = 4) -> None:
        self._cloud = cloud
        self._now = epoch(now)
        self._workers = workers
        self._failed: set[str] = set()
        self._works = False
        self._denied = False

    def __call__(self, targets: Sequence[Target]) -> Answers:
        """What the servers' hypervisors have counted. One that has stopped or gone meanwhile is left out."""
        with ThreadPoolExecutor(self._workers, thread_name_prefix="diagnostics") as pool:
            answers = list(pool.map(self._ask, targets))
        readings = [answer for answer in answers if isinstance(answer, Reading)]
        why = next((answer for answer in answers if isinstance(answer, str)), "")
        go_on = not self._denied and (self._works or len(self._failed) < PATIENCE)
        return readings, why, go_on

    def _ask(self, target: Target) -> Union[Reading, str, None]:
        if self._denied or target.host in self._failed:
            return None
        path = f"/servers/{target.uuid}/diagnostics"
        try:
            answer = self._cloud.request("GET", "compute", path, version=VERSION)
            found = counters(answer.json())
        except (Missing, Conflicting):  # it was deleted, or does not run
            return None
        except Forbidden as error:
            self._denied = True
            return f"{error.what} (os_compute_api:os-server-diagnostics needs the admin role)"
        except (
            CloudError
        ) as error:  # an old driver that has none, or a host that does not answer: not again this time
            self._failed.add(target.host)
            return f"host {target.host or 'unknown'}: {error.what}"
        except ValueError as error:
            return f"host {target.host or 'unknown'}: no diagnostics: {error}"
        self._works = True
        return Reading(target.uuid, answered_at(answer, self._now), found)


def counters(body: Mapping[str, Any]) -> Mapping[str, Octets]:
    """The counters of an answer by interface; one whose hypervisor does not count is left out.

    ValueError for what is no answer of Nova's.
    """
    details = body.get("nic_details") if isinstance(body, dict) else None
    if not isinstance(details, list) or not all(isinstance(nic, dict) for nic in details):
        raise ValueError("nic_details is not a list of interfaces")
    found: dict[str, Octets] = {}
    for number, nic in enumerate(details):
        received, transmitted = _count(nic.get("rx_octets")), _count(nic.get("tx_octets"))
        if received is None or transmitted is None:
            continue
        name = nic.get("mac_address") or f"#{number}"
        last = found.get(name, Octets(0, 0))
        found[name] = Octets(last.received + received, last.transmitted + transmitted)
    return found


def _count(value: Any) -> Optional[int]:
    return value if isinstance(value, int) and 0 <= value < MOST else None
