"""Keystone's application, seeded before it answers: admin, service users, roles and the catalogue."""

import os

from keystone.wsgi.api import application  # noqa: F401

import keystone_seed
import sqlite_tuning

# Else the roles of application credentials that went with their user are those of the next ones.
sqlite_tuning.foreign_keys = True
keystone_seed.seed(os.environ["SANDBOX_SEED"])
