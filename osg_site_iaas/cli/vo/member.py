"""A login at a site with whatever credential the member has, and the keys that come of it."""

from __future__ import annotations

import datetime as dt
import json
import logging
import secrets
import socket
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Mapping, Optional

import jwt
from keystoneauth1 import exceptions, session

from osg_site_iaas.cli.vo.sites import Place
from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import find, login
from osg_site_iaas.identity.welcome import Provider, Welcome

log = logging.getLogger(__name__)
_IDENTITY = {"endpoint_filter": {"service_type": "identity", "interface": "public"}}


@dataclass(frozen=True)
class Credential:
    """What is shown at the door, and when it ends (aware UTC)."""

    kind: str  # x509 or token
    provider: Provider
    not_after: dt.datetime
    file: Optional[Path] = None  # None: a token from the environment


@dataclass(frozen=True)
class Member:
    """Somebody who is logged in, in one project."""

    place: Place
    site: Welcome
    credential: Credential
    session: session.Session
    vo: str
    project: str
    project_id: str
    user: str
    user_id: str
    roles: tuple[str, ...]
    catalogue: Mapping[str, str]  # public URL by service type

    @property
    def s3_url(self) -> Optional[str]:
        """Where S3 is: an endpoint of its own, else Swift's address without its path."""
        if "s3" in self.catalogue:
            return self.catalogue["s3"]
        swift = self.catalogue.get("object-store")
        return swift.split("/v1/")[0].rstrip("/") if swift else None


@dataclass(frozen=True)
class Kept:
    """An application credential, and its own end (aware UTC)."""

    id: str
    secret: str
    ends: dt.datetime


def choose(welcome: Welcome, proxy: Optional[str], token: Optional[str]) -> Credential:
    """The credential to show: the one named, else a token that the site takes, else the proxy; else SiteError."""
    environ, uid = find.here()
    if token or not proxy:
        found = _token({"BEARER_TOKEN_FILE": token} if token else environ, uid, welcome, asked=bool(token))
        if found:
            return found
    file = Path(proxy).expanduser() if proxy else find.proxy_file(environ, uid)
    provider = welcome.provider("x509")
    if provider is None:
        raise SiteError("the site takes no certificates", todo=_tokens_wanted(welcome))
    try:
        usable = find.read_proxy(file, dt.datetime.now(dt.timezone.utc))
    except SiteError as error:
        more = "" if proxy else f"; or {_tokens_wanted(welcome)}"
        raise SiteError(error.what, where=error.where, todo=f"{error.todo}{more}") from error
    return Credential("x509", provider, usable.not_after, file.absolute())


def _token(environ: Mapping[str, str], uid: int, welcome: Welcome, *, asked: bool) -> Optional[Credential]:
    text = find.bearer_token(environ, uid)
    if text is None:
        return None
    try:
        claims: Mapping[str, Any] = jwt.decode(text, options={"verify_signature": False})
        end = dt.datetime.fromtimestamp(float(claims["exp"]), dt.timezone.utc)
    except (jwt.PyJWTError, KeyError, TypeError, ValueError, OverflowError) as error:
        if asked:
            raise SiteError("the token cannot be read", todo="get a new one from your VO's issuer") from error
        return None
    provider = welcome.provider("token", str(claims.get("iss")))
    if provider is None:
        if asked:
            raise SiteError(
                f"the site does not take tokens of {claims.get('iss')}", todo=_tokens_wanted(welcome)
            )
        return None
    named = environ.get("BEARER_TOKEN_FILE")
    from_file = (
        Path(named).expanduser().absolute() if named and not environ.get("BEARER_TOKEN", "").strip() else None
    )
    return Credential("token", provider, end, from_file)


def _tokens_wanted(welcome: Welcome) -> str:
    issuers = [issuer for provider in welcome.providers for issuer in provider.issuers]
    return f"bring a token of {', '.join(issuers)}" if issuers else "ask the site"


def plugin(place: Place, credential: Credential, **scope: Any) -> Any:
    """The keystoneauth plugin for a credential; with no scope it gives an unscoped token."""
    common = {
        "auth_url": place.url,
        "identity_provider": credential.provider.id,
        "protocol": credential.provider.protocol,
        **scope,
    }
    file = str(credential.file) if credential.file else None
    if credential.kind == "x509":
        return login.GridProxy(proxy=file, **common)
    return login.GridToken(token_file=file, **common)


def enter(place: Place, welcome: Welcome, credential: Credential, vo: Optional[str]) -> Member:
    """Log in, in the project of ``vo`` or in the only one there is; SiteError, with what the site said."""
    try:
        unscoped = session.Session(plugin(place, credential), verify=place.verify)
        projects = {p["name"]: p["id"] for p in unscoped.get(f"{place.url}/auth/projects").json()["projects"]}
        name = _project(welcome, projects, vo)
        scoped = session.Session(plugin(place, credential, project_id=projects[name]), verify=place.verify)
        access = scoped.auth.get_access(scoped)
    except exceptions.ClientException as error:
        raise SiteError(f"login refused: {error}", where=place.name) from error
    catalogue = {
        service["type"]: endpoint["url"]
        for service in access.service_catalog.catalog
        for endpoint in service["endpoints"]
        if endpoint["interface"] == "public" and endpoint.get("region_id") in (None, welcome.region)
    }
    by_project = {project: known for known, project in welcome.vos.items()}
    return Member(
        place, welcome, credential, scoped, by_project.get(name, name), name, projects[name],
        access.username, access.user_id, tuple(sorted(access.role_names)), catalogue,
    )  # fmt: skip


def _project(welcome: Welcome, projects: Mapping[str, str], vo: Optional[str]) -> str:
    if vo is not None:
        name = welcome.vos.get(vo, vo)
        if name not in projects:
            raise SiteError(
                f"your credential does not make you a member of {vo} there",
                todo=f"it opens {', '.join(projects) or 'nothing'}",
            )
        return name
    if len(projects) == 1:
        return next(iter(projects))
    raise SiteError(
        f"your credential opens {', '.join(projects) if projects else 'no project'}",
        todo="say which: --vo VO" if projects else "ask the site",
    )


def ec2_key(member: Member, known: Optional[str] = None) -> Optional[tuple[str, str]]:
    """An EC2 key of the member in the project: the one that is known if it is still there, else any, else a new one.

    None where the site issues none to this member.
    """
    path = f"/users/{member.user_id}/credentials/OS-EC2"
    try:
        listed = member.session.get(path, **_IDENTITY).json()["credentials"]
        ours = [key for key in listed if key["tenant_id"] == member.project_id]
        ours.sort(key=lambda key: key["access"] != known)
        if ours:
            return str(ours[0]["access"]), str(ours[0]["secret"])
        asked = {"tenant_id": member.project_id}
        answer = member.session.post(path, json=asked, raise_exc=False, **_IDENTITY)
        if (
            answer.status_code == 403
        ):  # a site that issues keys to some only lets them make it at the general address
            return _general_key(member)
        if answer.status_code >= 400:
            raise exceptions.from_response(answer, "POST", path)
        made = answer.json()["credential"]
        return str(made["access"]), str(made["secret"])
    except exceptions.Forbidden:
        return None
    except exceptions.ClientException as error:
        raise SiteError(f"no EC2 key: {error}", where=member.place.name) from error


def _general_key(member: Member) -> tuple[str, str]:
    access, secret = uuid.uuid4().hex, secrets.token_hex(32)
    key = {
        "type": "ec2", "blob": json.dumps({"access": access, "secret": secret}),
        "user_id": member.user_id, "project_id": member.project_id,
    }  # fmt: skip
    member.session.post("/credentials", json={"credential": key}, log=False, **_IDENTITY)
    return access, secret


def application_credential(member: Member, known: Optional[Kept], days: int, now: dt.datetime) -> Kept:
    """An application credential of the member in the project, good for ``days``: the known one while it is there
    and has half of that before it, else a new one in its place."""
    path = f"/users/{member.user_id}/application_credentials"
    try:
        if known is not None:
            there = member.session.get(f"{path}/{known.id}", raise_exc=False, **_IDENTITY).status_code == 200
            if there and known.ends - now >= dt.timedelta(days=days) / 2:
                return known
            if there:
                member.session.delete(f"{path}/{known.id}", **_IDENTITY)
        ends = (now + dt.timedelta(days=days)).replace(microsecond=0)
        asked = {
            "name": f"osg-iaas-{uuid.uuid4().hex[:8]}",
            "description": f"made by osg-iaas on {socket.gethostname()}"[:255],
            "expires_at": ends.astimezone(dt.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000"),
        }
        answer = member.session.post(path, json={"application_credential": asked}, **_IDENTITY)
        made = answer.json()["application_credential"]
        return Kept(str(made["id"]), str(made["secret"]), ends)
    except exceptions.Forbidden as error:
        raise SiteError(
            "the site issues no application credentials to you",
            where=member.place.name,
            todo="ask its administrators",
        ) from error
    except exceptions.ClientException as error:
        raise SiteError(f"no application credential: {error}", where=member.place.name) from error
