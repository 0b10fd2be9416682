"""Where things lie on this host: what packages, roles and units put there. One table, so that all agree."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ETC = Path("/etc/osg/site-iaas")
STATE = Path("/var/lib/osg-site-iaas")
GRID = Path("/etc/grid-security")


@dataclass(frozen=True)
class Places:
    """``etc`` holds the settings of the doors beside site.yml, ``state`` what timers keep."""

    etc: Path = ETC
    state: Path = STATE
    grid: Path = GRID
    probe_config: Path = Path("/etc/gratia/openstack/ProbeConfig")
    enabled: Path = Path("/etc/systemd/system/multi-user.target.wants")  # units that start with the host

    @property
    def identity(self) -> Path:
        return self.etc / "identity.yml"

    @property
    def ec2(self) -> Path:
        return self.etc / "ec2.yml"

    @property
    def clouds(self) -> Path:
        """One clouds.yaml a service, root's."""
        return self.etc / "clouds"

    @property
    def secrets(self) -> Path:
        return self.etc / "secrets"

    @property
    def drift(self) -> Path:
        """The plan that the drift timer made last."""
        return self.state / "control/plan.json"

    @property
    def addresses(self) -> Path:
        """Who had which address."""
        return self.state / "addresses/addresses.sqlite"

    @property
    def history(self) -> Path:
        """Quotas and their use over time, for the status page: not in its folder, which a web server may serve."""
        return self.state / "history/usage.jsonl"

    @property
    def page(self) -> Path:
        """Where the timer writes the status page, or where its options say."""
        return Path(self.bind("status", str(self.state / "status"), "--out"))

    @property
    def page_wanted(self) -> bool:
        """Whether the timer of the status page starts with the host."""
        return (self.enabled.parent / "timers.target.wants/osg-site-iaas-status.timer").exists()

    def bind(self, service: str, default: str, option: str = "--bind") -> str:
        """Where a service listens that takes it as an option in its OPTIONS."""
        try:
            text = (self.etc / f"{service}.env").read_text(encoding="utf-8")
        except OSError:
            return default
        found = re.findall(rf"{option}[ =]\"?([^\s\"]+)", text)
        return str(found[-1]) if found else default
