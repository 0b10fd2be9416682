"""The probe's state as Prometheus text, for node_exporter's textfile collector."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Optional

from osg_site_iaas.accounting.status import Status
from osg_site_iaas.errors import AccountingError

PREFIX = "osg_site_iaas_accounting"


def text(status: Status, *, failed: bool) -> str:
    """The metrics; one that is not known yet is left out."""
    kept = {state: sum(k.slices for k in status.kept if k.state == state) for state in ("held", "poison")}
    values: tuple[tuple[str, str, Optional[float]], ...] = (
        ("last_run_timestamp_seconds", "When the probe last ran.", status.at),
        ("last_success_timestamp_seconds", "When a run last ended without an error.", status.success),
        ("last_run_failed", "1 if the last run ended with an error.", int(failed)),
        ("read_timestamp_seconds", "As of when Nova was last read whole.", status.read),
        ("rendered_timestamp_seconds", "End of the latest slice that was closed.", status.rendered),
        ("servers_known", "Servers that were ever seen.", status.servers),
        ("servers_running", "Servers that have not ended.", status.running),
        ("records_pending", "Records in the outbox.", status.pending),
        ("oldest_pending_timestamp_seconds", "End of the oldest slice in the outbox.", status.oldest),
        ("records_sent", "Records that the collector has acknowledged.", status.sent),
        ("slices_held", "Slices whose project belongs to no VO.", kept["held"]),
        ("records_refused", "Records that the collector does not take.", kept["poison"]),
    )
    lines = []
    for name, help_text, value in values:
        if value is not None:
            lines += [
                f"# HELP {PREFIX}_{name} {help_text}",
                f"# TYPE {PREFIX}_{name} gauge",
                f"{PREFIX}_{name} {value}",
            ]
    return "\n".join(lines) + "\n"


def write(file: Path, content: str) -> None:
    """Write the file whole or not at all: node_exporter may read at any time."""
    try:
        with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
            new.write(content)
        os.chmod(new.name, 0o644)  # noqa: PTH101
        os.replace(new.name, file)  # noqa: PTH105
    except OSError as error:
        raise AccountingError(
            f"cannot write the metrics: {error}",
            where=str(file),
            todo="name a file in a folder that is there and that this user may write",
        ) from error
