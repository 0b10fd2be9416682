"""Makes Neutron's tables from its models: its migration history cannot run on SQLite (it alters constraints).

What the history would have put into the tables, the default rules of security groups, is put in here.
"""

import sys
import uuid
from datetime import datetime, timezone

import sqlalchemy
from neutron.db.migration.models import head

import sqlite_tuning  # noqa: F401

RULES = (
    ("egress", "IPv4", None),
    ("egress", "IPv6", None),
    ("ingress", "IPv4", "PARENT"),
    ("ingress", "IPv6", "PARENT"),
)

engine = sqlalchemy.create_engine(sys.argv[1])
metadata = head.get_metadata()
metadata.create_all(engine)
rules = metadata.tables["securitygroupdefaultrules"]
attributes = metadata.tables["standardattributes"]
now = datetime.now(timezone.utc).replace(tzinfo=None)
with engine.begin() as connection:
    for direction, ethertype, group in RULES:
        number = connection.execute(
            sqlalchemy.insert(attributes).values(
                resource_type="securitygroupdefaultrules",
                description="",
                revision_number=0,
                created_at=now,
                updated_at=now,
            )
        ).inserted_primary_key[0]
        connection.execute(
            sqlalchemy.insert(rules).values(
                id=str(uuid.uuid4()),
                standard_attr_id=number,
                direction=direction,
                ethertype=ethertype,
                remote_group_id=group,
                used_in_default_sg=True,
                used_in_non_default_sg=group is None,
            )
        )
