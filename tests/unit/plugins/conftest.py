"""The collection as Ansible sees it, from this checkout."""

from __future__ import annotations

from functools import partial
from importlib import import_module

import pytest
from ansible.plugins import loader
from ansible.utils.collection_loader import AnsibleCollectionConfig
from ansible.utils.collection_loader._collection_finder import _AnsibleCollectionFinder

from tests.collection import link_collection, run_ansible


@pytest.fixture(scope="session")
def collections(tmp_path_factory):
    """The folder of collections that the tests' Ansible looks into."""
    return link_collection(tmp_path_factory.mktemp("collections"))


@pytest.fixture
def ansible(ansible_in, tmp_path):
    """Runs a command of Ansible in the test's folder; the finished process, with its output as text."""
    return ansible_in(tmp_path)


@pytest.fixture(scope="session")
def ansible_in(collections):
    """The same for any folder."""
    return lambda folder: partial(run_ansible, folder, collections)


@pytest.fixture(scope="session")
def plugin(collections):
    """The plugins' Python modules by file name, imported as Ansible imports them."""
    if not hasattr(loader, "init_plugin_loader"):  # ansible-core 2.14, EL9's, has looked elsewhere by itself
        _AnsibleCollectionFinder._remove()
        _AnsibleCollectionFinder([str(collections)])._install()
    elif not AnsibleCollectionConfig.collection_finder:
        loader.init_plugin_loader([str(collections)])
    return lambda path: import_module(f"ansible_collections.osg.site_iaas.plugins.{path}")
