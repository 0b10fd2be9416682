"""From one HTTP request to one answer: who, what, how it is said. Whatever fails is answered as EC2 would."""

from __future__ import annotations

import logging
import sqlite3
import time
import uuid
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Mapping, Optional

from osg_site_iaas import journal
from osg_site_iaas.ec2.actions import load_actions
from osg_site_iaas.ec2.actions.registry import Action, Call
from osg_site_iaas.ec2.actions.sts import sts_answer, sts_error
from osg_site_iaas.ec2.auth.keystone import Grant, Keystone
from osg_site_iaas.ec2.auth.request import HttpRequest
from osg_site_iaas.ec2.auth.verify import read_claim
from osg_site_iaas.ec2.backend.http import Cloud, Pool, RefusedError, translate
from osg_site_iaas.ec2.backend.kept import Lookups
from osg_site_iaas.ec2.backend.servers import Views
from osg_site_iaas.ec2.errors import Ec2Error, internal, throttled
from osg_site_iaas.ec2.protocol.model import LATEST, Model, load_model
from osg_site_iaas.ec2.protocol.parse import parse_input
from osg_site_iaas.ec2.protocol.query import operation_parameters, parse_form
from osg_site_iaas.ec2.protocol.write import Writer, error_answer
from osg_site_iaas.ec2.settings import Settings
from osg_site_iaas.ec2.store import Store

LOG = logging.getLogger(__name__)
ACCESS = logging.getLogger("osg_site_iaas.ec2.access")


@dataclass
class Reply:
    """An answer, and what the log and the counters say of it."""

    status: int = 200
    body: bytes = b""
    code: str = ""
    action: str = ""
    access_key: str = ""
    address: str = ""  # the client's
    project: str = ""
    requests: int = 0
    waited: float = 0.0  # seconds, for those requests
    retry_after: Optional[int] = None
    request_id: str = field(default_factory=lambda: f"req-{uuid.uuid4()}")


class Door:
    """Everything one worker process needs to answer; safe for many threads."""

    def __init__(
        self, settings: Settings, keystone: Keystone, model: Model, actions: Mapping[str, Action]
    ) -> None:
        self.settings = settings
        self.keystone = keystone
        self.actions = actions
        self.model = model
        self.writer = Writer(model, strict=settings.strict)
        self.pool = Pool(timeout=settings.timeout, verify=settings.cacert or True)
        self.store = Store(settings.state / "store.sqlite")
        self.lookups = Lookups(self.store, settings.kept_seconds)
        self.views = Views(
            self.store, fresh_seconds=settings.fresh_seconds, full_seconds=settings.full_seconds
        )

    def answer(self, request: HttpRequest, address: str = "") -> Reply:
        """The reply to a request whose form could be read, from ``address``; never raises."""
        reply = Reply(action=request.form.get("Action", "")[:80], address=address)
        token = journal.request_id.set(reply.request_id)
        try:
            self._answer(request, reply)
        finally:
            journal.request_id.reset(token)
        return reply

    def _answer(self, request: HttpRequest, reply: Reply) -> None:
        started = time.monotonic()
        sts = request.form.get("Version", "") == "2011-06-15"
        cloud: Optional[Cloud] = None
        try:
            grant = self._grant(request, reply)
            cloud = Cloud(self.pool, grant.token, grant.urls, reply.request_id)
            try:
                reply.body = self._run(request, reply, grant, cloud)
            except RefusedError as error:
                if error.status != 401 or (
                    cloud.count > 1 and any(not x.startswith("GET ") for x in cloud.log)
                ):
                    raise
                # The kept token was revoked, and nothing has been changed with it yet: once more with a new one.
                self.keystone.forget(reply.access_key)
                grant = self.keystone.grant(read_claim(request, datetime.now(timezone.utc)), request)
                cloud.token, cloud.urls = grant.token, grant.urls
                reply.body = self._run(request, reply, grant, cloud)
        except Ec2Error as error:
            self._fail(reply, error, sts)
        except RefusedError as error:
            if error.status == 401:
                self.keystone.forget(reply.access_key)
            self._fail(reply, translate(error), sts)
        except Exception:
            LOG.exception("%s: %s failed", reply.request_id, reply.action)
            self._fail(reply, internal(), sts)
        if cloud is not None:
            reply.requests, reply.waited = cloud.count, cloud.seconds
        self._log(reply, time.monotonic() - started)

    def _grant(self, request: HttpRequest, reply: Reply) -> Grant:
        claim = read_claim(request, datetime.now(timezone.utc))
        reply.access_key = claim.access_key  # of a stranger too: the log tells who was refused
        grant = self.keystone.grant(claim, request)
        reply.project = grant.project_id
        try:
            fits = self.store.take(grant.access_key, self.settings.rate, self.settings.burst)
        except sqlite3.Error as error:
            LOG.error("the store cannot bound rates: %s", error)
            return grant
        if not fits:
            raise throttled()
        return grant

    def _run(self, request: HttpRequest, reply: Reply, grant: Grant, cloud: Cloud) -> bytes:
        name = request.form.get("Action", "")
        if not name:
            raise Ec2Error("MissingAction", "The request is missing an action")
        version = request.form.get("Version", LATEST)
        action = self.actions.get(name)
        if action is None or (action.service == "ec2" and name not in self.model.operations):
            if name in self.model.known:
                raise Ec2Error("UnsupportedOperation", f"The action {name} is not supported by this cloud.")
            raise Ec2Error("InvalidAction", f"The action {name[:100]} is not valid for this web service.")
        call = Call(
            cloud,
            grant,
            self.store,
            self.settings,
            self.lookups,
            self.views,
            self.writer,
            request.headers.get("host", ""),
        )
        if action.service == "sts":
            return sts_answer(name, action.run(call, {}) or {}, reply.request_id)
        parameters = parse_input(self.model, name, operation_parameters(request.form))
        action.check(parameters)
        return self.writer.answer(name, action.answer(call, parameters), reply.request_id, version)

    def fail(self, error: Ec2Error, address: str = "") -> Reply:
        """The reply to a request that could not even be read."""
        reply = Reply(address=address)
        self._fail(reply, error, sts=False)
        self._log(reply, 0.0)
        return reply

    def _fail(self, reply: Reply, error: Ec2Error, sts: bool) -> None:
        reply.status, reply.code, reply.retry_after = error.status, error.code, error.retry_after
        write = sts_error if sts else error_answer
        reply.body = write(error.code, error.message, reply.request_id)

    def _log(self, reply: Reply, seconds: float) -> None:
        ACCESS.info(
            "%s",
            journal.line(
                time=journal.stamp(),
                request_id=reply.request_id,
                address=reply.address,
                action=reply.action,
                status=reply.status,
                code=reply.code,
                access_key=reply.access_key,
                project=reply.project,
                ms=round(seconds * 1000, 1),
                requests=reply.requests,
                openstack_ms=round(reply.waited * 1000, 1),
                bytes=len(reply.body),
            ),
        )
        known = reply.action if reply.action in self.actions else "other"
        try:
            self.store.count(known, reply.code or "ok", seconds, reply.requests)
        except sqlite3.Error as error:  # a full disk must not cost an answer that is there
            LOG.error("the store cannot count: %s", error)


def read_request(method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> HttpRequest:
    """The request with its form read: query and body are one, and no name may be in both."""
    form = parse_form(query.encode("latin-1", "replace"))
    if body:
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("", "application/x-www-form-urlencoded"):
            raise Ec2Error("UnsupportedMediaType", "The body must be application/x-www-form-urlencoded", 415)
        for name, value in parse_form(body).items():
            if name in form:
                raise Ec2Error("MalformedQueryString", f"The parameter {name[:100]} is given twice")
            form[name] = value
    return HttpRequest(method, path, query, headers, body, form)


def make_door(settings: Settings, session: Any, reader: Any = None) -> Door:
    """A door whose own user's keystoneauth session is ``session``, and that of its system reader ``reader``."""
    actions = load_actions()
    model = load_model(name for name, action in actions.items() if action.service == "ec2")
    keystone = Keystone(
        session,
        mode=settings.keystone,
        grant_seconds=settings.grant_seconds,
        interface=settings.interface,
        region=settings.region,
        reader=reader,
    )
    return Door(settings, keystone, model, actions)
