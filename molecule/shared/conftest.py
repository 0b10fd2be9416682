"""Molecule names the shared tests before a scenario's own; what takes the role away again must come last."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name == "test_removal.py")
