from __future__ import annotations

import json
import re

import pytest

from osg_site_iaas.errors import SandboxError
from osg_site_iaas.sandbox import settings
from osg_site_iaas.sandbox.service import Service, choose, registry
from tests.unit.sandbox.boxes import box

ALL = sorted(registry())


class A(Service):
    name = "a"


class B(Service):
    name = "b"
    needs = ("a",)


class C(Service):
    name = "c"
    needs = ("b", "a")


KNOWN: dict[str, Service] = {"c": C(), "b": B(), "a": A()}


def test_needs_come_along_and_come_first():
    assert [s.name for s in choose(["c"], KNOWN)] == ["a", "b", "c"]
    assert [s.name for s in choose(["a", "b", "a"], KNOWN)] == ["a", "b"]


def test_an_unknown_service_is_refused_with_those_there_are():
    with pytest.raises(SandboxError, match=r"'heat'\n.*a, b, c"):
        choose(["heat"], KNOWN)


def test_openstack_is_there():
    assert {"keystone", "nova", "placement", "glance", "neutron", "cinder", "swift"} <= set(ALL)


def test_ports_are_nobody_elses():
    names = [port for service in registry().values() for port in service.ports]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", ALL)
def test_a_service_says_all_that_is_needed_to_run_it(name, tmp_path):
    service, unit = registry()[name], box(tmp_path)
    assert re.match(r"https?://127\.0\.0\.1:2", service.health(unit))
    assert service.command(unit).argv
    for endpoint in service.endpoints(unit):
        assert endpoint.url.startswith("http://127.0.0.1:2")
    assert bool(service.databases) == bool(service.migrations(unit))


@pytest.mark.parametrize("name", ALL)
def test_secrets_go_into_files_and_never_onto_a_command_line(name, tmp_path):
    service, unit = registry()[name], box(tmp_path)
    for command in (service.command(unit), *service.migrations(unit)):
        said = " ".join([*command.argv, *command.env.values()])
        assert not [key for key, secret in unit.secrets.items() if secret in said]


def test_the_seed_has_every_endpoint_and_service_user(tmp_path):
    unit = box(tmp_path)
    seed = json.loads(registry()["keystone"].files(unit)["keystone/seed.json"])
    assert {e["type"] for e in seed["endpoints"]} >= {
        "identity", "compute", "placement", "image", "network", "volumev3", "block-storage", "object-store",
    }  # fmt: skip
    assert {"nova", "neutron", "glance", "cinder", "swift", "placement"} <= set(seed["users"])
    assert seed["users"]["nova"] == unit.secrets["nova"]


def test_secrets_stay_and_missing_ones_are_made():
    have = {"admin": "kept"}
    made = settings.complete_secrets(have, [registry()["keystone"], registry()["nova"]])
    assert made["admin"] == "kept"
    assert len(made["nova"]) == 44
    assert len(set(made.values())) == len(made)
    assert have == {"admin": "kept"}
