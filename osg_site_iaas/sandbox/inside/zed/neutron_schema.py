"""Makes Neutron's tables from its models; the default rules of security groups were no table then."""

import sys
from pathlib import Path

import sqlalchemy
from neutron.db.migration.models import head

sys.path.insert(0, str(Path(__file__).parents[1]))

import sqlite_tuning  # noqa: F401

head.get_metadata().create_all(sqlalchemy.create_engine(sys.argv[1]))
