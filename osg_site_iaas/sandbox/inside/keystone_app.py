"""Keystone's application, seeded before it answers: admin, service users, roles and the catalogue."""

import os

from keystone.wsgi.api import application  # noqa: F401

import keystone_seed

keystone_seed.seed(os.environ["SANDBOX_SEED"])
