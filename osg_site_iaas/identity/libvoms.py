"""VOMS's own library (``libvomsapi.so.1``), asked through ctypes where it is installed.

It judges attribute certificates only; the chain they hang on is judged by ``chain``.
"""

from __future__ import annotations

import ctypes as c
import os
import threading
from pathlib import Path
from typing import Any, Optional, Sequence

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity.refused import Refused

_VERIFY_FULL = 0xFFFFFFFF
_RECURSE_CHAIN = 0
_NO_EXTENSION = 5  # VERR_NOEXT


class _Voms(c.Structure):
    _fields_ = [
        ("siglen", c.c_int),
        ("signature", c.c_void_p),
        ("user", c.c_char_p),
        ("userca", c.c_char_p),
        ("server", c.c_char_p),
        ("serverca", c.c_char_p),
        ("voname", c.c_char_p),
        ("uri", c.c_char_p),
        ("date1", c.c_char_p),
        ("date2", c.c_char_p),
        ("type", c.c_int),
        ("std", c.c_void_p),
        ("custom", c.c_char_p),
        ("datalen", c.c_int),
        ("version", c.c_int),
        ("fqan", c.POINTER(c.c_char_p)),
    ]


class _VomsData(c.Structure):
    _fields_ = [
        ("cdir", c.c_char_p),
        ("vdir", c.c_char_p),
        ("data", c.POINTER(c.POINTER(_Voms))),
    ]


class Library:
    """The library, loaded once; SiteError if it is not installed. One call at a time: it has no locks."""

    def __init__(self, name: str = "libvomsapi.so.1") -> None:
        try:
            self._voms: Any = c.CDLL(name)
        except OSError as error:
            raise SiteError(
                f"{name} cannot be loaded",
                todo="install voms-libs (libvomsapi1v5), or use the built-in verifier",
            ) from error
        self._libc: Any = c.CDLL(None)
        self._lock = threading.Lock()
        self._libc.fmemopen.restype = c.c_void_p
        self._libc.fmemopen.argtypes = [c.c_char_p, c.c_size_t, c.c_char_p]
        self._libc.fclose.argtypes = [c.c_void_p]
        self._libc.free.argtypes = [c.c_void_p]
        handle, status = c.POINTER(_VomsData), c.POINTER(c.c_int)
        self._voms.VOMS_Init.restype = handle
        self._voms.VOMS_Init.argtypes = [c.c_char_p, c.c_char_p]
        self._voms.VOMS_SetVerificationType.argtypes = [c.c_uint, handle, status]
        self._voms.VOMS_RetrieveFromFile.argtypes = [c.c_void_p, c.c_int, handle, status]
        self._voms.VOMS_ErrorMessage.restype = c.c_void_p
        self._voms.VOMS_ErrorMessage.argtypes = [handle, c.c_int, c.c_char_p, c.c_int]
        self._voms.VOMS_Destroy.argtypes = [handle]

    def verify(
        self, certificates: Sequence[x509.Certificate], vomsdir: Path, certificates_dir: Path
    ) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Each VO with its FQANs, in order; empty without attributes; Refused if the library refuses."""
        pem = b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
        with self._lock:
            data = self._voms.VOMS_Init(os.fsencode(vomsdir), os.fsencode(certificates_dir))
            if not data:
                raise SiteError(
                    "libvomsapi cannot start", where=str(vomsdir), todo="does the directory exist?"
                )
            try:
                return self._retrieve(data, pem)
            finally:
                self._voms.VOMS_Destroy(data)

    def _retrieve(self, data: Any, pem: bytes) -> tuple[tuple[str, tuple[str, ...]], ...]:
        status = c.c_int(0)
        self._voms.VOMS_SetVerificationType(_VERIFY_FULL, data, c.byref(status))
        stream = self._libc.fmemopen(pem, len(pem), b"r")
        try:
            good = self._voms.VOMS_RetrieveFromFile(stream, _RECURSE_CHAIN, data, c.byref(status))
        finally:
            self._libc.fclose(stream)
        if good:
            return tuple(_memberships(data))
        if status.value == _NO_EXTENSION:
            return ()
        raise Refused("the proxy's VOMS attributes are not valid", detail=self._message(data, status.value))

    def _message(self, data: Any, status: int) -> str:
        text: Optional[int] = self._voms.VOMS_ErrorMessage(data, status, None, 0)
        if not text:
            return f"libvomsapi status {status}"
        try:
            return c.string_at(text).decode("utf-8", "replace").strip()
        finally:
            self._libc.free(text)


def _memberships(data: Any) -> list[tuple[str, tuple[str, ...]]]:
    found, at = [], 0
    while data.contents.data[at]:
        voms = data.contents.data[at].contents
        fqans, number = [], 0
        while voms.fqan[number]:
            fqans.append(voms.fqan[number].decode("utf-8", "replace"))
            number += 1
        found.append((voms.voname.decode("utf-8", "replace"), tuple(fqans)))
        at += 1
    return found
