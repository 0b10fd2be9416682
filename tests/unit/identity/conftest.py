"""One small grid for all tests of this folder that change nothing in it, and fresh ones for those that do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Sequence

import pytest
from cryptography import x509

from osg_site_iaas.identity import chain, voms
from osg_site_iaas.identity.trust import TrustDirectory
from osg_site_iaas.identity.vomsdir import VomsDirectory
from tests import pki

JANE = f"{pki.ORG}/OU=People/CN=Jane Pilot"
SERVER = f"{pki.ORG}/OU=Services/CN=voms.example.org"


@dataclass(frozen=True)
class World:
    """A grid with one CA, one user, and one VOMS server that speaks for cms."""

    grid: pki.Grid
    ca: pki.Holder
    jane: pki.Holder
    server: pki.Holder

    def verify(
        self,
        certificates: Sequence[x509.Certificate],
        rules: chain.Rules = chain.Rules(),  # noqa: B008
    ) -> chain.Chain:
        trust = TrustDirectory(self.grid.certificates, recheck=0).current()
        return chain.verify(certificates, trust, now=pki.now(), rules=rules)

    def memberships(self, holder: pki.Holder, hosts: Sequence[str] = ()) -> tuple[voms.Membership, ...]:
        trust = TrustDirectory(self.grid.certificates, recheck=0).current()
        found = chain.verify(holder.chain, trust, now=pki.now())
        return voms.verify(found, trust, VomsDirectory(self.grid.vomsdir), now=pki.now(), hosts=hosts)


def make_world(root: Path) -> World:
    authority = pki.ca(key=pki.new_key())
    world = World(
        pki.Grid(root),
        authority,
        pki.end_entity(JANE, authority),
        pki.end_entity(SERVER, authority, hosts=["voms.example.org"]),
    )
    world.grid.trust(authority)
    world.grid.lsc("cms", SERVER, authority.dn)
    return world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """To be read only."""
    return make_world(tmp_path_factory.mktemp("grid"))


@pytest.fixture
def fresh(tmp_path: Path) -> World:
    """To be changed at will."""
    return make_world(tmp_path)


@pytest.fixture
def refusal() -> Callable[..., str]:
    """Calls a function that must refuse, and gives what it tells the client."""
    from osg_site_iaas.identity.refused import Refused

    def told(function: Callable[..., object], *args: object, **named: object) -> str:
        with pytest.raises(Refused) as caught:
            function(*args, **named)
        assert "\n" not in caught.value.line
        return caught.value.line

    return told
