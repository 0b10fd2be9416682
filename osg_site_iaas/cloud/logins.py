"""Where a clouds.yaml may be, and what to do where none of them has the login that is needed."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

VARIABLE = "OS_CLIENT_CONFIG_FILE"
CONTROL = Path(
    "/etc/osg/site-iaas/clouds/control.yaml"
)  # the administrator's, on a host that is set up with units


def usual() -> list[Path]:
    """The files that openstacksdk looks for where the environment names none."""
    return [
        Path("clouds.yaml"),
        Path.home() / ".config/openstack/clouds.yaml",
        Path("/etc/openstack/clouds.yaml"),
    ]


def advice(named: Optional[str]) -> str:
    """What to do where the entry was not found. ``named`` is what the environment says, of which openstacksdk passes
    over in silence that it is not there, and of any file that it may not be read."""
    places = [Path(named)] if named else [*usual(), CONTROL]
    refused = [path for path in places if _refused(path)]
    if refused:
        return f"you may not read {refused[0]}: run this as root, or name another file by {VARIABLE}"
    if named and not Path(named).exists():
        return f"{VARIABLE} names {named}, which is not there: write it, or unset the variable"
    looked = (
        f"only {named} was looked at, which {VARIABLE} names" if named else f"name the file by {VARIABLE}"
    )
    return (
        f"cloud.name in site.yml names the entry; {looked}"
        f"{'' if named else f' (looked at: {_words(places)})'}; `openstack --os-cloud NAME token issue` tries it"
    )


def _words(places: list[Path]) -> str:
    return ", ".join(str(path) for path in places)


def _refused(path: Path) -> bool:
    try:
        path.open("rb").close()
    except PermissionError:
        return True
    except OSError:
        pass
    return False
