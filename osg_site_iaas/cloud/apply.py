"""Carries out a plan: each change as soon as what it needs is there, several at a time.

A change that fails holds up only what needs it; the rest is done, and all failures are reported together. Nothing
is kept on the side: the next plan is made from what is really there.
"""

from __future__ import annotations

import logging
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Callable, Optional, Sequence

from osg_site_iaas.cloud import secrets
from osg_site_iaas.cloud.connect import Cloud
from osg_site_iaas.cloud.kind import Ids, Work
from osg_site_iaas.cloud.kinds import BY_NAME
from osg_site_iaas.cloud.observe import World
from osg_site_iaas.declaration.model import Site
from osg_site_iaas.errors import CloudError, SiteError
from osg_site_iaas.plan.diff import apart
from osg_site_iaas.plan.model import Change, Op, Plan, Ref
from osg_site_iaas.plan.order import waits

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What became of a plan."""

    done: tuple[Change, ...]
    failed: tuple[tuple[Change, str], ...]  # with the reason
    skipped: tuple[Change, ...]  # for they need something that failed


class Interrupted(KeyboardInterrupt):
    """Somebody stopped an apply; what was begun is ended, and nothing more was."""

    def __init__(self, done: Sequence[Change], failed: Sequence[tuple[Change, str]], total: int) -> None:
        super().__init__(f"interrupted after {len(done)} of {total} changes")
        self.done, self.failed, self.total = tuple(done), tuple(failed), total


def check_login(cloud: Cloud, plan: Plan) -> None:
    """Raise CloudError if this login cannot see what the plan must know, before anything is changed.

    A key that it does not see would be made once more, or stay when it is to be withdrawn.
    """
    if plan.unknown:
        number = len(plan.unknown)
        raise CloudError(
            f"EC2 keys cannot be looked at ({number} service user{'s' if number > 1 else ''}): {plan.unknown[0].why}",
            todo=f"log in with a password or by federation in the clouds.yaml entry {cloud.name!r}; "
            "nothing was changed",
        )


def check_secrets(site: Site, plan: Plan) -> None:
    """Raise SiteError if a password that site.yml takes from elsewhere cannot be had, before anything is changed."""
    new = {
        change.ref.key[-1]
        for change in plan.changes
        if change.ref.kind == "user" and change.after.get("password")
    }
    for vo in site.vos:
        for user in vo.service_users:
            if user.name in new and user.password is not None and user.password.source != "generated":
                try:
                    secrets.resolve(user.password)
                except SiteError as error:
                    where = f"{site.file}:{user.at.line}"
                    raise SiteError(
                        f"the password of {user.name}: {error.what}", where=where, todo=error.todo
                    ) from error


def apply(
    cloud: Cloud,
    site: Site,
    world: World,
    plan: Plan,
    *,
    workers: int = 8,
    progress: Optional[Callable[[Change, Optional[str]], None]] = None,
    say: Optional[Callable[[str], None]] = None,
) -> Outcome:
    """Carry the plan out. ``progress`` hears of each change as it ends, with the reason if it failed.

    Interrupted, it starts nothing more, waits for the requests under way, and raises Interrupted.
    """
    work = Work(cloud, site, Ids(apart(world.seen)), world.roles)
    if say:
        work.say = say
    by_ref = {change.ref: change for change in plan.changes}
    waiting = {ref: set(others) for ref, others in waits(plan.changes).items()}
    dependants: dict[Ref, list[Ref]] = {}
    for ref, others in waiting.items():
        for other in others:
            dependants.setdefault(other, []).append(ref)
    done: list[Change] = []
    failed: list[tuple[Change, str]] = []
    lost: set[Ref] = set()
    ready = sorted(ref for ref, others in waiting.items() if not others)
    running: dict[Future[None], Change] = {}
    pool = ThreadPoolExecutor(workers, thread_name_prefix="apply")
    try:
        while ready or running:
            while ready:
                change = by_ref[ready.pop(0)]
                running[pool.submit(_carry_out, work, change)] = change
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                change = running.pop(future)
                reason = _reason(future)
                if reason is None:
                    done.append(change)
                    for ref in dependants.get(change.ref, ()):
                        waiting[ref].discard(change.ref)
                        if not waiting[ref] and ref not in lost:
                            ready.append(ref)
                else:
                    failed.append((change, reason))
                    _lose(change.ref, dependants, lost)
                if progress:
                    progress(change, reason)
    except KeyboardInterrupt:
        work.say("interrupted: nothing more is begun; waiting for what is under way")
        pool.shutdown(wait=True, cancel_futures=True)
        ended = [(change, _reason(future)) for future, change in running.items() if not future.cancelled()]
        done += [change for change, reason in ended if reason is None]
        failed += [(change, reason) for change, reason in ended if reason is not None]
        raise Interrupted(done, failed, len(by_ref)) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    stuck = set(by_ref) - {c.ref for c in done} - {c.ref for c, _ in failed} - lost
    if stuck:
        raise CloudError("these changes wait for one another: " + ", ".join(map(str, sorted(stuck))))
    return Outcome(tuple(done), tuple(failed), tuple(by_ref[ref] for ref in sorted(lost)))


def _carry_out(work: Work, change: Change) -> None:
    kind = BY_NAME[change.ref.kind]
    if change.op is Op.CREATE:
        work.ids[change.ref] = kind.create(work, change)
    elif change.op is Op.REMOVE:
        kind.remove(work, change)
    else:
        kind.update(work, change)
    log.info("%s %s", change.op.value, change.ref)


def _reason(future: Future[None]) -> Optional[str]:
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, SiteError):
        return str(error)
    if not isinstance(error, Exception):
        raise error
    log.error("unexpected", exc_info=error)  # one fault of ours must not leave the other changes undone
    return f"{type(error).__name__}: {error}\n  -> this is a fault of osg-site-iaas: please report it"


def _lose(ref: Ref, dependants: dict[Ref, list[Ref]], lost: set[Ref]) -> None:
    for other in dependants.get(ref, ()):
        if other not in lost:
            lost.add(other)
            _lose(other, dependants, lost)
