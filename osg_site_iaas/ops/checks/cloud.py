"""Keystone, the other services, the mapping, and the VOs' quotas."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import Iterator

from keystoneauth1 import exceptions as ksa

from osg_site_iaas.cloud.connect import SERVICES, Cloud, Forbidden, Missing
from osg_site_iaas.cloud.kinds import BY_NAME, RULES
from osg_site_iaas.cloud.observe import desired, observe, plan
from osg_site_iaas.cloud.scope import Scope
from osg_site_iaas.cloud.silence import why_silent
from osg_site_iaas.errors import SiteError
from osg_site_iaas.ops.finding import Finding
from osg_site_iaas.ops.subject import QUICK, Subject
from osg_site_iaas.ops.usage import usage, way_out
from osg_site_iaas.plan.model import Ref

ALLOWED_SKEW = 60  # seconds; signatures are good for 300, and nodes of the cloud differ among themselves
FULL = 0.95  # of a quota
NAMED = 4  # changes that a finding names


def keystone(subject: Subject) -> Iterator[Finding]:
    """Keystone lets the administrator's entry of clouds.yaml in, with the role that apply needs."""
    cloud, error = subject.login()
    if error is not None:
        yield Finding(
            error.what, error.todo or "check clouds.yaml", error.where or f"clouds.yaml, {cloud.name}"
        )
        return
    token = cloud.login()
    roles = {role["name"] for role in token.get("roles", ())}
    if "admin" not in roles:
        yield Finding(
            f"the login has the roles {', '.join(sorted(roles)) or 'none'}, and plan and apply need admin",
            "docs/operations.md, section Roles that apply needs",
            f"clouds.yaml, {cloud.name}",
        )


def clock(subject: Subject) -> Iterator[Finding]:
    """This host and Keystone's agree on the time: signatures and tokens rest on it."""
    cloud = subject.cloud()
    before = time.time()
    answer = cloud.session.get(
        cloud.endpoint("identity"), raise_exc=False, authenticated=False, timeout=QUICK
    )
    after = time.time()
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError, TypeError) as error:
        raise SiteError("Keystone's answer has no date", todo="compare the clocks by hand") from error
    ahead = apart(before, theirs, after)
    if abs(ahead) > ALLOWED_SKEW:
        yield Finding(
            f"this host's clock is {_span(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} that of Keystone's host",
            "which is wrong? `chronyc tracking` on both tells; let chrony (or another) keep both right:"
            " EC2 signatures are refused beyond 300 s",
            cloud.endpoint("identity"),
        )


def apart(before: float, theirs: float, after: float) -> float:
    """By how much our clock is at least ahead of one that said ``theirs``, in whole seconds, between two times of ours.

    Less than 0: behind.
    """
    return max(before - theirs - 1, 0.0) or min(after - theirs, 0.0)


def _span(seconds: float) -> str:
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def services(subject: Subject) -> Iterator[Finding]:
    """Every service of the catalogue answers, and its agents are up."""
    cloud = subject.cloud()
    there = [name for name in SERVICES if cloud.has(name)]
    for name in ("compute", "network", "image", "placement"):
        if name not in there:
            yield Finding(
                f"the catalogue has no {SERVICES[name][0][0]} service in region {cloud.region}",
                "no server can start without it: `openstack catalog list`",
            )
    with ThreadPoolExecutor(len(there) or 1) as pool:
        for name, wrong in zip(there, pool.map(lambda one: _alive(cloud, one), there)):
            if wrong:
                yield Finding(
                    f"{name} {wrong}",
                    "look at that service's units and log on its host",
                    cloud.endpoint(name),
                )
    yield from _agents(cloud)


def _alive(cloud: Cloud, service: str) -> str:
    """What is wrong with a service's answer at its root; empty if there is one."""
    root = re.match(r"https?://[^/]+(?:/(?!v\d)[^/]+)?", cloud.endpoint(service))
    url = f"{root[0]}/" if root else cloud.endpoint(service)
    if service == "object":
        url = f"{url.rstrip('/')}/healthcheck" if re.match(r"https?://[^/]+/$", url) else url
    try:
        status = cloud.session.get(
            url, raise_exc=False, authenticated=False, timeout=QUICK, connect_retries=0
        ).status_code
    except (ksa.ClientException, OSError) as error:
        return f"does not answer: {why_silent(error) or str(error)[:160]}"
    return f"answers {status}" if status >= 500 else ""


def _agents(cloud: Cloud) -> Iterator[Finding]:
    asked = {
        "compute": ("/os-services", "services", "binary"),
        "volume": ("/os-services", "services", "binary"),
        "network": ("/agents", "agents", "agent_type"),
    }
    for service, (path, member, kind) in asked.items():
        try:
            found = cloud.get(service, path)[member] if cloud.has(service) else []
        except (Missing, Forbidden):
            continue
        except SiteError as error:
            yield Finding(error.what, error.todo or "look at the service's log")
            continue
        for item in found:
            up = item.get("alive", item.get("state") == "up")
            since = item.get("updated_at") or item.get("heartbeat_timestamp") or "ever"
            if not up:
                yield Finding(
                    f"{item[kind]} on {item['host']} is down since {str(since)[:19]}",
                    "start it on that host, or disable it if the host is away on purpose",
                )
            elif item.get("status") == "disabled" and service == "compute":
                yield Finding(
                    f"{item[kind]} on {item['host']} is disabled: {item.get('disabled_reason') or 'no reason given'}",
                    f"openstack compute service set --enable {item['host']} {item[kind]}, when it may take servers",
                )


def mapping(subject: Subject) -> Iterator[Finding]:
    """Keystone knows the groups, providers and rules that site.yml's access lines need."""
    site, cloud = subject.site(), subject.cloud()
    scope = Scope(vos=frozenset(vo.name for vo in site.vos), parts=frozenset({"access"}))
    world = observe(cloud, site, workers=subject.workers, scope=scope, secrets=False)
    made = plan(site, world, scope=scope)
    if made.changes:
        named = ", ".join(f"{change.op.value} {change.ref}" for change in made.changes[:NAMED])
        more = f" and {len(made.changes) - NAMED} more" if len(made.changes) > NAMED else ""
        yield Finding(f"apply would {named}{more}", f"osg-site-iaas apply {subject.file}", str(site.file))
    for conflict in made.conflicts:
        yield Finding(f"{conflict.ref}: {conflict.why}", conflict.todo)
    for item in made.left:
        if item.attrs.get("enabled") is False:
            yield Finding(
                f"{item.ref} was disabled by hand, and stays so",
                "enable it by hand, or write `enabled: true` in site.yml, when it is to work again",
            )


def strangers(subject: Subject) -> Iterator[Finding]:
    """Nobody was let in by hand beside site.yml: no member of our groups, no role on our projects."""
    site, cloud = subject.site(), subject.cloud()
    kinds = [
        BY_NAME[name] for name in ("domain", "project", "group", "user", "group_member", "role_assignment")
    ]
    world = observe(cloud, site, workers=subject.workers, kinds=kinds, secrets=False)
    wanted = {item.ref for item in desired(site, kinds)}
    for item in world.seen:
        if RULES[item.ref.kind].grants and not item.ours and not item.other and item.ref not in wanted:
            yield Finding(
                f"{item.ref}{_called(cloud, item.ref)} is not of site.yml",
                "is it meant? Then declare it; if not, take it away by hand: osg-site-iaas plan --unmanaged lists all",
            )


def _called(cloud: Cloud, ref: Ref) -> str:
    """The name of a user of another domain, of which a plan shows the id."""
    number = next(
        (part.rpartition("/")[2] for part in ref.key if re.fullmatch(r"(user/)?[0-9a-f]{32}", part)), None
    )
    if number is None:
        return ""
    try:
        user = cloud.get("identity", f"/users/{number}")["user"]
    except SiteError:
        return ""
    return f" ({user['name']}, domain {user['domain_id']})"


def quotas(subject: Subject) -> Iterator[Finding]:
    """No VO has used its quota up."""
    site, cloud = subject.site(), subject.cloud()
    for vo, uses in usage(cloud, site, subject.projects(), workers=subject.workers).items():
        for use in uses:
            if use.limit > 0 and use.used >= FULL * use.limit:
                yield Finding(
                    f"VO {vo} uses {use.used} of {use.limit} {use.words}",
                    way_out(site, site.vo(vo), use),
                    site.where(f"vos.{vo}"),
                )
