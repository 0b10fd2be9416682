"""Molecule names the shared tests before a scenario's own; what takes the role away again must come last."""

LAST = ("test_removal.py", "test_openstack_removal.py")


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name in LAST)
