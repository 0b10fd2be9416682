"""User ids for a Keystone that takes no other than UUIDs: a plug-in of Keystone's, named in its own configuration.

Keystone gives everybody who comes by federation an id of 64 hexadecimal digits. Keystone 27 then refuses that id at
/v3/credentials, in the request and in its own answer, so that one member's EC2 key makes the list of all keys
unreadable, for administrators too. With ``[identity_mapping] generator = osg-site-iaas`` ids have 32 digits.
"""

from __future__ import annotations

import hashlib
from typing import Mapping, Union


class Generator:
    """Keystone's interface (``keystone.identity.generator.IDGenerator``): one method, no state."""

    def generate_public_ID(self, mapping: Mapping[str, Union[str, bytes]]) -> str:  # noqa: N802 - Keystone's name
        """The first half of what Keystone's own generator gives: the same for the same person, whatever the order."""
        digest = hashlib.sha256()
        for key in sorted(mapping):
            value = mapping[key]
            digest.update(value if isinstance(value, bytes) else value.encode())
        return digest.hexdigest()[:32]
