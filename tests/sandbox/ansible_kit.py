"""A site of a test's own in the sandbox, reached through the collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest

from tests.collection import BIN, answer, link_collection, run_ansible
from tests.sandbox.reconcile_kit import Rig, clean, make_rig
from tests.sandbox_cloud import Cloud


@dataclass(frozen=True)
class Face:
    """The collection in front of one site."""

    rig: Rig
    collections: Path

    def run(self, command: str, *words: object) -> Any:
        """A command of Ansible, with the sandbox's clouds.yaml."""
        clouds = str(self.rig.clouds)
        return run_ansible(self.rig.folder, self.collections, command, *words, OS_CLIENT_CONFIG_FILE=clouds)

    def ask(self, module: str, *words: str, **parameters: Any) -> dict[str, Any]:
        """What a module of the collection answers; ``--check`` and ``--diff`` are words."""
        interpreter = f"ansible_python_interpreter={BIN / 'python'}"
        module = f"osg.site_iaas.{module}"
        arguments = json.dumps(parameters)
        return answer(
            self.run("ansible", "localhost", "-m", module, "-a", arguments, "-e", interpreter, *words)
        )

    @property
    def header(self) -> dict[str, Any]:
        """The parameters that say where things go, for modules that are used without a file."""
        return {
            "cloud": "sandbox",
            "domain": self.rig.domain,
            "secrets": str(self.rig.secrets),
            "identity_providers": {f"grid-{self.rig.tag}": {"type": "x509"}},
        }


@pytest.fixture(scope="module")
def face(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A site for the tests of a file, removed after them."""
    folder = tmp_path_factory.mktemp("site")
    rig = make_rig(cloud.clouds_yaml, folder)
    try:
        yield Face(rig, link_collection(tmp_path_factory.mktemp("collections")))
    finally:
        clean(rig)


def steps(told: dict[str, Any]) -> list[str]:
    """A module's changes in words: ``update user cms-pilot``."""
    return [f"{c['op']} {c['kind']} {'/'.join(c['key'])}" for c in told["changes"]]
