"""Who had an address at a time: the server, its VO, and the person or service behind its user."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Iterable, Optional

from osg_site_iaas.declaration.model import Site
from osg_site_iaas.identity.logins import Login
from osg_site_iaas.mapping.credential import Certificate, Credential, Token
from osg_site_iaas.mapping.names import person
from osg_site_iaas.ops.addresses.store import Had, Server, Store


@dataclass(frozen=True)
class Who:
    """Somebody behind a server's user."""

    user: str  # Keystone's name, or the id if it has forgotten it
    dn: Optional[str] = None
    issuer: Optional[str] = None
    subject: Optional[str] = None
    service_of: Optional[str] = None  # the VO whose service user it is
    fqans: tuple[str, ...] = ()  # those with which they came for this VO, or groups and scopes
    last_login: Optional[str] = None


@dataclass(frozen=True)
class Answer:
    """A server that had the address. ``sure``: as far as can be told, nobody else had it in that network then."""

    sure: bool
    server: Server
    project: str
    vo: Optional[str]
    who: Who
    ec2_keys: tuple[
        str, ...
    ]  # access keys that the user had for the project; which of them was used is not known
    network: Optional[str] = None  # its name, if that is known
    had: Optional[Had] = None  # None: it was never seen with an address, and was there at the time


@dataclass(frozen=True)
class Found:
    """Everything there is to say.

    ``possible``: servers of which no address was ever seen, alive at the time; not those that never ran.
    """

    looked: Optional[int]  # when addresses were last looked at
    answers: tuple[Answer, ...]
    possible: tuple[Answer, ...] = ()


def ask(store: Store, site: Site, logins: Iterable[Login], ip: str, at: int) -> Found:
    """Who had ``ip`` at a time, sure answers first."""
    logins, looked = tuple(logins), store.note("looked")
    answers = []
    for row in store.rows(
        "SELECT * FROM address WHERE ip = ? AND earliest <= ? AND (gone IS NULL OR gone >= ?)", (ip, at, at)
    ):
        had = Had(*tuple(row)[1:])
        server = _server(store, had.server)
        if server.created > at or (server.ended is not None and server.ended < at):
            continue
        answers.append(_answer(store, site, logins, server, had, sure=_sure(had, server, at, looked or 0)))
    possible = store.rows(
        "SELECT * FROM server WHERE created <= ? AND (ended IS NULL OR ended >= ?) AND ran"
        " AND NOT EXISTS (SELECT 1 FROM address WHERE server = uuid)",
        (at, at),
    )
    return Found(
        looked,
        tuple(sorted(answers, key=lambda one: not one.sure)),
        tuple(_answer(store, site, logins, Server.of(row), None, sure=False) for row in possible),
    )


def _sure(had: Had, server: Server, at: int, looked: int) -> bool:
    """Whether it was seen before and after; a fixed address comes and goes with its server, which Nova dates.

    Of what has happened since the last look nothing is known: the address may be somebody else's by now.
    """
    first, last = had.first, had.last
    if had.gone is None and server.ended is None:
        last = max(last, min(at, looked))
    if had.kind == "fixed":
        if had.earliest == server.created:
            first = server.created
        if server.ended is not None and (had.gone is None or server.ended <= had.gone):
            last = max(last, server.ended)
    return first <= at <= last


def _server(store: Store, uuid: str) -> Server:
    found = store.rows("SELECT * FROM server WHERE uuid = ?", (uuid,))
    return Server.of(found[0]) if found else Server(uuid, "", "", "", "", 0)


def _answer(
    store: Store, site: Site, logins: tuple[Login, ...], server: Server, had: Optional[Had], *, sure: bool
) -> Answer:
    project = _name(store, "project", server.project)
    vo = next((one.name for one in site.vos if one.project == project), None)
    keys = store.rows(
        "SELECT access FROM ec2_key WHERE user = ? AND project = ? ORDER BY first",
        (server.user, server.project),
    )
    who = _who(site, logins, _name(store, "user", server.user), vo)
    network = _known(store, "network", had.network) if had is not None else None
    return Answer(sure, server, project, vo, who, tuple(row["access"] for row in keys), network, had)


def _who(site: Site, logins: tuple[Login, ...], name: str, vo: Optional[str]) -> Who:
    service = next((one.name for one in site.vos for user in one.service_users if user.name == name), None)
    came = [login for login in logins if login.name == name]
    here = [login for login in came if login.vo == vo] or came
    last = max(here, key=lambda login: login.last) if here else None
    credential: Optional[Credential] = last.credential if last is not None else person(name)
    if isinstance(credential, Token):
        return Who(
            name, issuer=credential.issuer, subject=credential.subject, service_of=service,
            fqans=(*credential.groups, *credential.scopes), last_login=last.last if last else None,
        )  # fmt: skip
    if isinstance(credential, Certificate):
        return Who(
            name, dn=credential.dn, service_of=service, fqans=tuple(credential.fqans),
            last_login=last.last if last else None,
        )  # fmt: skip
    return Who(name, service_of=service)


def _name(store: Store, table: str, number: str) -> str:
    return _known(store, table, number) or number


def _known(store: Store, table: str, number: str) -> Optional[str]:
    found = store.rows(f"SELECT name FROM {table} WHERE id = ?", (number,))  # noqa: S608
    return str(found[0]["name"]) or None if found else None
