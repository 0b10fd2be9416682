"""Tests here run on the sandbox; isolation is by Keystone domain, project or sandbox, as each file says.

``domain_name`` is a new Keystone domain for each test and is removed after it.
"""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Iterator

import pytest

from tests.sandbox_cloud import Cloud

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever lies here needs the sandbox."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.sandbox)


@pytest.fixture
def domain_name(cloud: Cloud) -> Iterator[str]:
    """The name of a Keystone domain that no other test has; made by the test if it wants, removed after it."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    admin = cloud.connect("sandbox-system")
    for domain in admin.identity.domains(name=name):
        admin.identity.update_domain(domain, is_enabled=False)
        admin.identity.delete_domain(domain)
    admin.close()
