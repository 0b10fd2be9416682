"""What is kept of one membership between commands: the folder of its files, and when it was last proven."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fcntl
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, Mapping, Optional

from keystoneauth1 import exceptions

from osg_site_iaas.cli.vo import files, member, sites
from osg_site_iaas.cloud import secrets
from osg_site_iaas.ec2.ids import ec2_id
from osg_site_iaas.errors import SiteError

RENEW = dt.timedelta(hours=1)  # a login proves the membership for this long before it is proven again


@dataclass(frozen=True)
class State:
    """One membership. Times are ISO 8601, UTC."""

    site: str
    vo: str
    proxy: Optional[str]
    token: Optional[str]
    access: Optional[str]  # None: the site issues no EC2 key to this member
    secret: Optional[str]
    proven: str
    ends: str  # end of the credential that proved it
    ttl: Optional[int]  # minutes that keys outlive the last login; None: not known
    url: str = ""  # the site's address and CA, so that the folder is enough to come back with
    ca: Optional[str] = None
    app: Optional[Mapping[str, str]] = (
        None  # an application credential, if one was asked for: id, secret, ends
    )

    @property
    def application_credential(self) -> Optional[member.Kept]:
        """The application credential that is kept here."""
        if not self.app:
            return None
        return member.Kept(self.app["id"], self.app["secret"], dt.datetime.fromisoformat(self.app["ends"]))

    @property
    def place(self) -> sites.Place:
        """Where to log in again."""
        return sites.Place(self.site, self.url, self.ca) if self.url else sites.find(self.site, None)

    @property
    def keys_until(self) -> dt.datetime:
        """Until when the key surely works."""
        if self.ttl is None:
            return dt.datetime.fromisoformat(self.ends)
        return dt.datetime.fromisoformat(self.proven) + dt.timedelta(minutes=self.ttl)


def folder(place: sites.Place, vo: str) -> Path:
    """Where the files of a membership lie."""
    return sites.home() / re.sub(r"[^A-Za-z0-9.-]", "_", place.name) / re.sub(r"[^A-Za-z0-9.-]", "_", vo)


def load(where: Path) -> State:
    """The membership whose files lie there; SiteError if there is none."""
    try:
        return State(**json.loads((where / "state.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SiteError("nobody has logged in here", where=str(where), todo="osg-iaas login") from error


@contextlib.contextmanager
def only_one(where: Path) -> Iterator[None]:
    """Two commands at once would make two keys: the second waits."""
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(where / ".lock", "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prove(
    place: sites.Place,
    vo: Optional[str],
    proxy: Optional[str],
    token: Optional[str],
    where: Optional[Path] = None,
    app_days: Optional[int] = None,
) -> tuple[member.Member, Path, State]:
    """Log in, make sure of the key, and write every file anew.

    With ``app_days`` there is an application credential too; one that is kept from before stays in the files.
    """
    welcome = sites.ask(place)
    credential = member.choose(welcome, proxy, token)
    found = member.enter(place, welcome, credential, vo)
    where = where or folder(place, found.vo)
    with only_one(where):
        before: Optional[State] = None
        with contextlib.suppress(SiteError):
            before = load(where)
        access, secret = member.ec2_key(found, before.access if before else None) or (None, None)
        app = before.application_credential if before else None
        now = dt.datetime.now(dt.timezone.utc)
        if app_days is not None:
            app = member.application_credential(found, app, app_days, now)
        elif app is not None and app.ends <= now:
            app = None
        proven = State(
            place.name, found.vo, proxy and str(Path(proxy).expanduser().absolute()),
            token and str(Path(token).expanduser().absolute()), access, secret,
            now.isoformat(timespec="seconds"),
            credential.not_after.isoformat(timespec="seconds"), credential.provider.authorization_ttl,
            place.url, place.ca,
            {"id": app.id, "secret": app.secret, "ends": app.ends.isoformat(timespec="seconds")} if app else None,
        )  # fmt: skip
        texts = files.all_files(_keys(found, proven), where, command(where))
        for name, text in texts.items():
            secrets.write(where / name, text)
        for name in files.NAMES - texts.keys():  # of a key that there is no more
            (where / name).unlink(missing_ok=True)
        secrets.write(where / "state.json", json.dumps(dataclasses.asdict(proven), indent=1) + "\n")
    return found, where, proven


def command(where: Path) -> str:
    """What boto3 and awscli run to get keys."""
    beside = Path(sys.argv[0]).absolute() if sys.argv[0].endswith("osg-iaas") else None
    start = str(beside) if beside and beside.exists() else "osg-iaas"
    return f"{shlex.quote(start)} aws-credential-process --dir {shlex.quote(str(where))}"


def _keys(found: member.Member, proven: State) -> files.Keys:
    image, flavour = _something_to_start(found)
    return files.Keys(
        name=f"{found.vo}-{found.site.resource}".lower(),
        auth_url=found.place.url,
        ca=found.place.verify if isinstance(found.place.verify, str) else None,
        plugin="v3gridproxy" if found.credential.kind == "x509" else "v3gridtoken",
        provider=found.credential.provider.id,
        protocol=found.credential.provider.protocol,
        credential=proven.proxy if found.credential.kind == "x509" else proven.token,
        project_id=found.project_id,
        project=found.project,
        region=found.site.region,
        access=proven.access,
        secret=proven.secret,
        ec2_url=found.catalogue.get("ec2"),
        s3_url=found.s3_url,
        image=image,
        flavour=flavour,
        application_credential=(proven.app["id"], proven.app["secret"]) if proven.app else None,
    )


def _something_to_start(found: member.Member) -> tuple[Optional[str], Optional[str]]:
    """The newest image and the smallest flavour that the member sees, for the example; None without them."""
    image = flavour = None
    harmless = (exceptions.ClientException, KeyError, ValueError)  # an example must not stop a login
    with contextlib.suppress(*harmless):
        url = f"{found.catalogue['image'].rstrip('/')}/v2/images?status=active&sort=created_at:desc&limit=1"
        images = found.session.get(url).json()["images"]
        image = ec2_id("ami", images[0]["id"]) if images else None
    with contextlib.suppress(*harmless):
        flavours = found.session.get(f"{found.catalogue['compute'].rstrip('/')}/flavors/detail").json()[
            "flavors"
        ]
        flavour = min(flavours, key=lambda f: (f["vcpus"], f["ram"], f["disk"]))["name"] if flavours else None
    return image, flavour
