"""User ids for a Keystone that takes UUIDs only."""

from __future__ import annotations

import uuid

from osg_site_iaas.identity.public_ids import Generator


def test_an_id_is_a_uuid_and_the_same_for_the_same_person_only():
    person = {"domain_id": "d", "local_id": "/DC=org/CN=Jane", "entity_type": "user"}
    made = Generator().generate_public_ID(person)
    assert uuid.UUID(made).hex == made
    assert made == Generator().generate_public_ID(dict(reversed(person.items())))
    assert made != Generator().generate_public_ID({**person, "local_id": "/DC=org/CN=Joe"})
    assert made == Generator().generate_public_ID({**person, "local_id": b"/DC=org/CN=Jane"})
