"""Runs ``module:function``, a project's own management tool, with SQLite tuned."""

import importlib
import sys

import sqlite_tuning  # noqa: F401

module, function = sys.argv[1].split(":")
sys.argv = [module.split(".", maxsplit=1)[0] + "-manage", *sys.argv[2:]]
sys.exit(getattr(importlib.import_module(module), function)())
