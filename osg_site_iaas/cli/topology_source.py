"""Where ``init`` reads Topology and vo-client: a folder or the service itself. Only I/O; nothing is understood here."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional
from urllib.parse import urljoin, urlsplit

import requests

from osg_site_iaas.declaration.topology import voclient
from osg_site_iaas.declaration.topology.document import LARGEST
from osg_site_iaas.declaration.topology.voclient import VOClient
from osg_site_iaas.errors import SiteError

URL = "https://topology.opensciencegrid.org"
MAPFILE = "voms-mapfile-default"
_INSTALLED = (Path("/usr/share/osg") / MAPFILE, Path("/etc/grid-security/vomsdir"))
_CONNECT, _READ = 10.0, 60.0  # seconds
_WHOLE = 300.0  # seconds for one document
_MOST_REDIRECTIONS = 5
_AGAIN = "try again, or download the two documents and give their folder"
_MAPFILE_LARGEST = 4 * 1024 * 1024  # bytes
_LOCAL = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Source:
    """Bytes that were read, each with the name of where."""

    name: str
    resources: bytes
    resources_at: str
    organisations: bytes
    organisations_at: str
    client: VOClient


def read(topology: str, vo_client: Optional[str]) -> Source:
    """Topology's two documents from a folder or a URL, and vo-client's lists if they are at hand; SiteError if not."""
    if "://" in topology:
        base = _base(topology)
        places = (f"{base}/rgsummary/xml", f"{base}/vosummary/xml")
        documents = (fetch(places[0]), fetch(places[1]))
        client = _client(Path(vo_client)) if vo_client is not None else _installed()
        return Source(base, documents[0], places[0], documents[1], places[1], client)
    folder = Path(topology)
    if not folder.is_dir():
        todo = f"give a folder with rgsummary.xml and vosummary.xml, or a URL such as {URL}"
        raise SiteError("it is no folder", where=topology, todo=todo)
    paths = (folder / "rgsummary.xml", folder / "vosummary.xml")
    documents = (read_file(paths[0], LARGEST), read_file(paths[1], LARGEST))
    beside = [place for place in (folder / "vo-client", folder) if (place / MAPFILE).is_file()]
    if vo_client is not None:
        client = _client(Path(vo_client))
    else:
        client = _client(beside[0]) if beside else _installed()
    return Source(topology, documents[0], str(paths[0]), documents[1], str(paths[1]), client)


def fetch(url: str) -> bytes:
    """What a URL serves; SiteError if it does not answer in time, with a page of another kind, or with too much."""
    until = time.monotonic() + _WHOLE
    try:
        with requests.Session() as session, _answer(session, url) as answer:
            if answer.status_code != requests.codes.ok:
                raise SiteError(
                    f"the server answers {answer.status_code} {answer.reason}", where=url, todo=_AGAIN
                )
            return _body(answer, url, until)
    except (requests.RequestException, ValueError) as error:
        raise SiteError(f"it cannot be read: {_reason(error)}", where=url, todo=_AGAIN) from error


def _answer(session: requests.Session, url: str) -> requests.Response:
    """The answer to a request, whose redirections are followed as long as each is as trustworthy as the first."""
    for _ in range(_MOST_REDIRECTIONS):
        _secure(url)
        answer = session.get(url, stream=True, timeout=(_CONNECT, _READ), allow_redirects=False)
        if not answer.is_redirect:
            # urllib3 1.26, EL's, takes half an answer for a whole one
            answer.raw.enforce_content_length = True
            return answer
        url = urljoin(url, answer.headers["location"])
        answer.close()
    raise SiteError("it redirects without an end", where=url, todo=_AGAIN)


def _body(answer: requests.Response, url: str, until: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    for chunk in answer.iter_content(64 * 1024):
        size += len(chunk)
        if size > LARGEST:
            raise SiteError(f"it is larger than {LARGEST // 1024 // 1024} MiB", where=url, todo=_AGAIN)
        if time.monotonic() > until:
            raise SiteError(f"it took longer than {_WHOLE:.0f} s", where=url, todo=_AGAIN)
        chunks.append(chunk)
    return b"".join(chunks)


def read_file(path: Path, largest: int) -> bytes:
    """A file's content; SiteError if there is none, or too much."""
    try:
        with path.open("rb") as file:
            content = file.read(largest + 1)
    except OSError as error:
        todo = f"give a folder that has it, or a URL such as {URL}"
        raise SiteError(
            f"it cannot be read: {error.strerror or error}", where=str(path), todo=todo
        ) from error
    if len(content) > largest:
        raise SiteError(f"it is larger than {largest // 1024 // 1024} MiB", where=str(path))
    return content


def _client(folder: Path) -> VOClient:
    return _lists(folder / MAPFILE, folder / "vomsdir")


def _installed() -> VOClient:
    """The lists that the RPM vo-client has put on this machine, if it has."""
    mapfile, vomsdir = _INSTALLED
    return _lists(mapfile, vomsdir) if mapfile.is_file() else VOClient()


def _lists(mapfile: Path, vomsdir: Path) -> VOClient:
    content = read_file(mapfile, _MAPFILE_LARGEST)
    try:
        folders = [entry.name for entry in vomsdir.iterdir() if entry.is_dir()] if vomsdir.is_dir() else []
    except OSError as error:
        raise SiteError(f"it cannot be read: {error.strerror or error}", where=str(vomsdir)) from error
    return voclient.read(content, folders, str(mapfile))


def _base(url: str) -> str:
    """The service's address, from which both documents are asked for; it is written into site.yml."""
    parts = urlsplit(url)
    if parts.username or parts.password or parts.query or parts.fragment:
        todo = f"give the service's address alone, such as {URL}"
        raise SiteError("a URL of Topology has no user, password, ? or #", where="--topology", todo=todo)
    _secure(url)
    base = url.rstrip("/")
    for end in ("/rgsummary/xml", "/vosummary/xml"):
        base = base[: -len(end)] if base.endswith(end) else base
    return base


def _secure(url: str) -> None:
    """Who may enter a site is not read over a line that anybody can write to."""
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in _LOCAL):
        todo = "use https://, or a folder with the documents"
        raise SiteError("it decides who may enter, and is not served over https", where=url, todo=todo)


def _reason(error: Exception) -> str:
    """What the operating system said, if it did; else the end of the error's words, where they say something."""
    words = str(error) or type(error).__name__
    found = re.search(r"\[Errno -?\d+\] ([^'\")]+)", words)
    return found[1] if found else words.rpartition(">: ")[2][:300]
