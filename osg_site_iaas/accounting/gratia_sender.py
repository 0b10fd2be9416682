"""Sends through gratia-probe-common, for sites that want OSG's own client between the probe and the collector.

The library keeps copies of what it sends in folders of its own and sends those again by itself. Here the outbox
is the only store: a bundle is handed over, sent, and what the library kept of it is removed whatever came of it.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Optional, Sequence

from osg_site_iaas import __version__
from osg_site_iaas.accounting import gratia_config
from osg_site_iaas.accounting.probeconfig import read_attributes
from osg_site_iaas.accounting.send import Fate, Outcome
from osg_site_iaas.accounting.settings import Settings
from osg_site_iaas.errors import AccountingError

log = logging.getLogger(__name__)
REFUSALS = ("Error handling request:", "Error processing record:")
WHOLE = 1 << 30  # a bundle size that is never reached: it is us who say when to send


class ThroughGratia:
    """The library, initialised once a process. Use as a context manager."""

    def __init__(self, settings: Settings) -> None:
        _check_python(settings, sys.version_info[:2])
        self._trust = _trust(settings)
        self._trusted: dict[str, Optional[str]] = {}
        try:
            self._core: Any = importlib.import_module("gratia.common.GratiaCore")
        except ImportError as error:
            raise AccountingError(
                f"the sender gratia needs gratia-probe-common: {error}",
                todo='install that package, or set Sender="direct" in the ProbeConfig',
            ) from error
        self._bundle: Any = self._core.bundle
        self._state: Any = self._core.global_state
        self._sandbox: Any = self._core.sandbox_mgmt
        self._config = _write_config(settings)
        self._record_type = _record_type(self._core)

    def __enter__(self) -> ThroughGratia:
        core = self._core
        self._trusted = {name: os.environ.get(name) for name in self._trust}
        os.environ.update(self._trust)
        core.RegisterReporter("openstack_meter", __version__)
        core.RegisterService("OpenStack", "2.1")
        try:
            core.Initialize(str(self._config))
        except Exception as error:
            raise AccountingError(f"gratia-probe-common does not start: {error}") from error
        self._drop()
        self._state.bundle_size = WHOLE
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self._drop()
        for name, value in self._trusted.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value

    def send(self, records: Sequence[str], waiting: int) -> Outcome:
        """Hand the records over and have them sent as one bundle."""
        try:
            for record in records:
                said = self._core.Send(self._record_type(record))
                if "added to bundle" not in said:
                    return Outcome(Fate.REFUSED, f"gratia-probe-common: {said[:200]}")
            return self._process()
        except Exception as error:  # noqa: BLE001 - its failures come as whatever exception they happen to be
            return Outcome(Fate.LATER, f"gratia-probe-common: {type(error).__name__}: {error}")
        finally:
            self._drop()

    def ping(self) -> Outcome:
        """The handshake that the library begins each run with: the collector says OK to it."""
        try:
            self._core.Handshake()
            return self._process()
        except Exception as error:  # noqa: BLE001 - as above
            return Outcome(Fate.LATER, f"gratia-probe-common: {type(error).__name__}: {error}")
        finally:
            self._drop()

    def _process(self) -> Outcome:
        words, response = self._bundle.ProcessBundle(self._state.CurrentBundle)
        if response.getCode() == 0:
            return Outcome(Fate.TAKEN)
        message = " ".join(str(response.getMessage() or words).split())[:200]
        fate = Fate.REFUSED if message.startswith(REFUSALS) else Fate.LATER
        return Outcome(fate, f"gratia-probe-common: {message}")

    def _drop(self) -> None:
        """Empty the library's bundle and this probe's outbox in its folders: what is in them is in ours."""
        self._state.CurrentBundle.clear()
        own = f"subdir.{self._core.Config.getFilenameFragment()}"  # other probes share the folder
        for folder in self._sandbox.backupDirList:
            for file in (Path(folder) / "gratiafiles" / own / "outbox").glob("r*"):
                self._sandbox.RemoveRecordFile(str(file))


def _check_python(settings: Settings, version: tuple[int, int]) -> None:
    if settings.collector.ssl and version >= (3, 12):
        raise AccountingError(
            "gratia-probe-common cannot do HTTPS on Python 3.12 and later",
            todo='set Sender="direct" in the ProbeConfig; what arrives is the same',
        )


def _trust(settings: Settings) -> dict[str, str]:
    """What Python's own TLS, which the library uses, is told of authorities: it knows no other way."""
    authorities = settings.collector.authorities
    if not settings.collector.ssl or authorities is None:
        return {}
    return {"SSL_CERT_DIR" if authorities.is_dir() else "SSL_CERT_FILE": str(authorities)}


def _write_config(settings: Settings) -> Path:
    """The library's ProbeConfig, written anew."""
    told = read_attributes(settings.gratia_config) if settings.gratia_config else {}
    attributes = gratia_config.effective(settings, told)
    file = gratia_config.folder(settings) / "ProbeConfig"
    try:
        for name in ("DataFolder", "WorkingFolder", "LogFolder"):
            Path(attributes[name]).mkdir(parents=True, exist_ok=True)
        file.write_text(gratia_config.text(attributes), encoding="utf-8")
    except OSError as error:
        raise AccountingError(
            f"the folders of gratia-probe-common cannot be made: {error}",
            todo="check the owner of DataFolder and LogFolder",
        ) from error
    return file


def _record_type(core: Any) -> type[Any]:
    """A record of the library's kind whose XML is ready made."""

    class Ready(core.Record):  # type: ignore[misc]
        def __init__(self, xml: str) -> None:
            super().__init__()
            self._xml = xml

        def XmlCreate(self) -> None:  # noqa: N802 - the library's name
            self.XmlData = [self._xml]

        def Print(self) -> None:  # noqa: N802 - the library's name
            """Nothing: the library would log every record whole."""

    return Ready
