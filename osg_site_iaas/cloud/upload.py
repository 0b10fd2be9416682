"""Carries an image's data from a file or a URL to Glance, and checks it on the way."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Iterator, Optional, Protocol
from urllib.parse import urlsplit

import requests

from osg_site_iaas.cloud.kind import Work
from osg_site_iaas.errors import CloudError

BLOCK = 1 << 20
TIMEOUT = (15, 60)  # seconds to connect, and between two pieces
SLOWEST = 900  # seconds for Glance to take the last piece, with a slow store behind it


class Readable(Protocol):
    """What gives bytes a piece at a time."""

    def read(self, amount: int, /) -> bytes: ...


class WrongData(CloudError):
    """The data is not what the declaration says; none of it may be used."""


class Checked:
    """A readable stream that hashes what passes, and never gives its last piece before the checksum is right."""

    def __init__(self, source: Readable, size: Optional[int], checksum: Optional[str], name: str) -> None:
        self._source = source
        self._name = name
        algorithm, _, self._expected = (checksum or "sha512:").partition(":")
        self._hash = hashlib.new(algorithm)
        self._next = b""
        self._started = False
        self.size = size
        self.passed = 0

    def read(self, amount: int = -1) -> bytes:
        """Up to a block; empty at the end. Raises WrongData instead of the last block if the sum is wrong."""
        if not self._started:
            self._started = True
            self._next = self._take()
            if not self._next:
                self._check(0)
        piece, self._next = self._next, self._take() if self._next else b""
        if piece and not self._next:
            self._check(len(piece))
        self.passed += len(piece)
        return piece

    def __iter__(self) -> Iterator[bytes]:
        while True:
            piece = self.read()
            if not piece:
                return
            yield piece

    def _take(self) -> bytes:
        piece = self._source.read(BLOCK)
        self._hash.update(piece)
        return piece

    def _check(self, last: int) -> None:
        total = self.passed + last
        if self.size is not None and total != self.size:
            raise WrongData(f"{self._name} ended after {total} of {self.size} bytes", todo="try again")
        found = self._hash.hexdigest()
        if self._expected and found != self._expected.lower():
            raise WrongData(
                f"{self._name} has the checksum {self._hash.name}:{found}, not the declared one",
                todo="nothing was kept; find out which of the two is right before you change site.yml",
            )


class _Sized(Checked):
    """A stream whose length is known: requests then sends it with Content-Length, which every server takes."""

    def __len__(self) -> int:
        return self.size or 0


def send(work: Work, image: str, source: str, checksum: Optional[str]) -> None:
    """Upload to a queued image, and see that all of it arrived; CloudError if anything is wrong."""
    with _open(source) as (stream, size):
        data: Any = (_Sized if size else Checked)(stream, size, checksum, source)
        try:
            work.cloud.request(
                "PUT",
                "image",
                f"/images/{image}/file",
                data=data if size else iter(data),
                headers={"Content-Type": "application/octet-stream"},
                log=False,
                timeout=SLOWEST,
            )
        except WrongData:
            raise
        except requests.RequestException as error:
            raise CloudError(f"{source}: {error}", todo="run the same command again") from error
        kept = work.cloud.get("image", f"/images/{image}")
        if (kept["status"], kept["size"]) != ("active", data.passed):
            raise CloudError(
                f"Glance has {kept['size']} of {data.passed} bytes of {source}, in status {kept['status']}",
                todo="run the same command again",
            )


@contextmanager
def _open(source: str) -> Iterator[tuple[Readable, Optional[int]]]:
    """The stream, and its length in bytes where it is known."""
    if urlsplit(source).scheme in ("http", "https"):
        try:
            with requests.get(source, stream=True, timeout=TIMEOUT) as answer:
                if answer.status_code != 200:
                    raise CloudError(f"{source} answers {answer.status_code}", todo="check the URL")
                length = answer.headers.get("Content-Length", "")
                packed = answer.headers.get("Content-Encoding")  # the length would be that of the packed data
                answer.raw.decode_content = True
                # urllib3 1.26, EL's, takes half an answer for a whole one
                answer.raw.enforce_content_length = True
                yield answer.raw, int(length) if length.isdigit() and not packed else None
        except requests.RequestException as error:
            raise CloudError(
                f"cannot read {source}: {error}", todo="check the URL and the network"
            ) from error
        return
    path = Path(source[len("file:") :] if source.startswith("file:") else source)
    try:
        with path.open("rb") as file:
            yield file, path.stat().st_size
    except OSError as error:
        raise CloudError(
            f"cannot read the image {path}: {error.strerror}", todo="check images in site.yml"
        ) from error
