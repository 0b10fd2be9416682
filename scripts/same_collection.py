"""Makes the tarball of a collection independent of when and where it was built.

ansible-galaxy lists files as the file system gives them, and writes the time of the build into the tarball.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path


def normalise(made: Path, into: Path, at: int) -> None:
    """Write a collection's tarball again: files by name, and every time in it ``at``."""
    with tarfile.open(made) as before:
        files = {one.name: one for one in before.getmembers()}
        texts = {name: _read(before, one) for name, one in files.items() if one.isfile()}
    listed = json.loads(texts["FILES.json"])
    listed["files"].sort(key=lambda one: str(one["name"]))
    texts["FILES.json"] = _json(listed)
    manifest = json.loads(texts["MANIFEST.json"])
    manifest["file_manifest_file"]["chksum_sha256"] = hashlib.sha256(texts["FILES.json"]).hexdigest()
    texts["MANIFEST.json"] = _json(manifest)
    first = ("MANIFEST.json", "FILES.json")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.GNU_FORMAT) as after:
        for name in (*first, *sorted(files.keys() - set(first))):
            one = files[name]
            one.mtime, one.pax_headers = at, {}
            if one.isfile():
                one.size = len(texts[name])
            after.addfile(one, io.BytesIO(texts[name]) if one.isfile() else None)
    into.write_bytes(gzip.compress(tar.getvalue(), mtime=at))


def _read(archive: tarfile.TarFile, one: tarfile.TarInfo) -> bytes:
    content = archive.extractfile(one)
    assert content is not None
    return content.read()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=True).encode()
