"""A controller that is lost and built anew from a backup, beside a real OpenStack that went on."""

from __future__ import annotations

import shutil
from pathlib import Path

from osg_site_iaas.cli import main as cli
from tests.sandbox.reconcile_kit import Rig, environment, shared_rig  # noqa: F401


def kept(rig: Rig) -> dict[str, str]:
    """The keys and passwords that apply has made."""
    return {
        path.name: path.read_text() for path in rig.secrets.iterdir() if path.suffix in (".ec2", ".password")
    }


def test_a_controller_comes_back_with_its_keys_and_what_it_knew(shared_rig: Rig, tmp_path: Path) -> None:  # noqa: F811
    rig, archive = shared_rig, tmp_path / "backup.tar.gz"
    rig.write(
        vos={
            "cms": {
                "access": [{"fqan": "/cms/*"}],
                "service_users": {"pilot": {"ec2_key": True}, "bot": {"password": "generated"}},
            }
        }
    )
    rig.apply()
    state = rig.folder / "state"
    places = [
        "--etc",
        str(rig.folder / "etc"),
        "--state",
        str(state),
        "--probe-config",
        str(rig.folder / "none"),
    ]
    rig.run("who", "--observe", "--state", str(state), expect=0)
    known = (state / "addresses/addresses.sqlite").stat().st_size
    keys = kept(rig)
    assert {Path(name).suffix for name in keys} >= {".ec2", ".password"}
    with environment(OS_CLIENT_CONFIG_FILE=str(rig.clouds)):
        assert cli.main(["backup", str(archive), str(rig.site), *places]) == 0
        shutil.rmtree(state)
        shutil.rmtree(rig.secrets)
        rig.site.unlink()
        words = ["restore", str(archive), "--also", str(rig.folder), *places]
        assert cli.main([*words, "--dry-run"]) == 2
        assert not rig.site.exists()
        assert cli.main(words) == 0
    assert kept(rig) == keys
    assert all((rig.secrets / name).stat().st_mode & 0o777 == 0o600 for name in keys)
    plan = rig.run("plan", "--json", expect=0)  # nothing is to be made anew, no key and no password either
    assert plan.data["changes"] == []
    rig.run("who", "--observe", "--state", str(state), expect=0)
    assert (state / "addresses/addresses.sqlite").stat().st_size == known
