"""What a declaration becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from osg_site_iaas.declaration import load
from osg_site_iaas.declaration.model import UNSET, Access, Position
from osg_site_iaas.errors import DeclarationError

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.yml")), ids=lambda path: path.stem)
def test_every_example_is_in_order(example: Path) -> None:
    assert load.check(example) == []


def test_a_vo_takes_what_it_does_not_say_from_the_defaults() -> None:
    cms = load.load(EXAMPLES / "complete.yml").vo("cms")
    assert cms.quota.compute == {"instances": 100, "cores": 200, "ram": 400 * 1024}
    assert cms.quota.network == {"floatingip": 2}
    assert cms.access[1].role == "member"


def test_what_is_left_out_is_unset() -> None:
    site = load.load(EXAMPLES / "minimal.yml")
    assert (site.flavours, site.vo("icecube").quota.compute) == ((), {})
    assert load.load(EXAMPLES / "complete.yml").networks[0].subnets[0].gateway is UNSET


def test_values_know_their_lines() -> None:
    site = load.load(EXAMPLES / "minimal.yml")
    assert site.vo("icecube").at == Position(6, 3)
    assert site.vo("icecube").access == (Access(fqan="/icecube/*", at=Position(8, 9)),)
    assert site.positions["vos.icecube.access[0].fqan"] == Position(8, 15)


def test_relative_paths_start_from_the_file(tmp_path: Path) -> None:
    file = tmp_path / "site.yml"
    file.write_text((EXAMPLES / "complete.yml").read_text())
    site = load.load(file)
    assert site.cloud.secrets == tmp_path / "secrets"
    assert site.images[1].source == f"file:{tmp_path}/icecube-gpu.raw"


def test_a_file_that_cannot_be_used_raises_every_problem(tmp_path: Path) -> None:
    file = tmp_path / "site.yml"
    file.write_text("version: 1\nsite: {resource: A, fqdn: b}\ncloud: {nmae: x}\n")
    with pytest.raises(DeclarationError) as raised:
        load.load(file)
    assert [(p.line, p.column, p.path) for p in raised.value.problems] == [
        (2, 27, "site.fqdn"),
        (3, 9, "cloud.nmae"),
    ]


def test_a_place_is_told_even_for_what_the_file_leaves_out() -> None:
    site = load.load(EXAMPLES / "minimal.yml")
    assert site.where("vos.icecube.access[0].role") == f"{EXAMPLES}/minimal.yml:8:9"
    assert site.where("vos.icecube.quota.compute.cores") == f"{EXAMPLES}/minimal.yml:6:3"
    assert site.where("caches") == f"{EXAMPLES}/minimal.yml"
