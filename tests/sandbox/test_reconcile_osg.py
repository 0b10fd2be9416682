"""The real OSG documents make a site that applies, plans empty, and shows what the openstack client changed by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from osg_site_iaas.cli import main as cli
from tests.sandbox.reconcile_kit import Rig, change, openstack, ops, rig  # noqa: F401

pytestmark = pytest.mark.sandbox
ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "osg"
RESOURCE = "AGLT2-squid-2"
SOME = ["ATLAS", "CMS", "IceCube", "LIGO", "DUNE", "GLOW", "OSG", "Fermilab", "EIC", "HCC"]


def written(rig: Rig, *which: str) -> dict[str, Any]:  # noqa: F811
    """What init writes, for the rig's own domain and with provider names that no other test has."""
    if not REAL.is_dir():
        pytest.skip(f"the documents of OSG are not at {REAL.relative_to(ROOT.parent)} beside the repository")
    words = [
        "init",
        "--topology",
        str(REAL),
        "--resource",
        RESOURCE,
        "--cloud",
        "sandbox",
        "--output",
        str(rig.site),
    ]
    assert cli.main([*words, *which]) == 0
    data = yaml.safe_load(rig.site.read_text())
    providers = {f"{rig.tag}-{name}"[:60]: said for name, said in data["identity_providers"].items()}
    for said in providers.values():  # two providers of one Keystone cannot have the same issuer
        if "remote_ids" in said:
            said["remote_ids"] = [f"{issuer.rstrip('/')}/{rig.tag}" for issuer in said["remote_ids"]]
    vos = data["vos"]
    for vo in vos.values():
        for line in (vo or {}).get("access") or ():
            if "issuer" in line:
                line["issuer"] = f"{line['issuer'].rstrip('/')}/{rig.tag}"
    quota = {
        "compute": {"cores": 20, "instances": 10},
        "network": {"floatingip": 2},
        "object": {"bytes": "1 TiB"},
    }
    return {"identity_providers": providers, "defaults": {"quota": quota}, "vos": vos}


@pytest.mark.parametrize(
    "which, number",
    [
        pytest.param([f"--vo={name}" for name in SOME], len(SOME), id="10 VOs"),
        pytest.param(["--all"], 122, marks=pytest.mark.long, id="all of OSG"),
    ],
)
def test_it_applies_plans_empty_and_shows_drift(rig: Rig, which: list[str], number: int):  # noqa: F811
    sections = written(rig, *which)
    assert len(sections["vos"]) == number
    rig.write(**sections)
    applied = rig.apply()
    kinds = [item["kind"] for item in applied["changes"]]
    assert kinds.count("project") == number
    assert applied["done"] == len(kinds)
    planned = rig.plan()
    assert (ops(planned), planned["held"], planned["conflicts"]) == ([], [], [])
    # Keystone has no list of all protocols: each identity provider is asked for its own
    assert sum(planned["requests"].values()) <= 20 + 3 * number + len(sections["identity_providers"])

    vo = next(name for name, said in sections["vos"].items() if said.get("enabled", True))
    project = rig.project(sections["vos"][vo].get("project", vo))
    openstack(rig, "quota", "set", "--cores", "7", project)
    openstack(rig, "project", "set", "--disable", project)
    drifted = rig.plan()
    found = {item["kind"]: (item["before"], item["after"]) for item in drifted["changes"]}
    assert found == {"compute_quota": ({"cores": 7}, {"cores": 20})}
    assert change(drifted, "compute_quota", sections["vos"][vo].get("project", vo))["vo"] == vo
    assert [(item["kind"], item["vo"], item["attrs"]) for item in drifted["left"]] == [
        ("project", vo, {"enabled": False})
    ]
    rig.apply()
    assert ops(rig.plan()) == []
