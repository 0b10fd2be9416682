"""How long verifying costs, in milliseconds: ``python benchmarks/identity_verify.py``.

The bound is 2 ms (median, warm) for attribute certificates. VOMS's own library is measured beside it where it is
installed, and so is pyasn1, which was the other way to read them.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable

sys.path.insert(0, str(Path(__file__).parents[1]))

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import ac, chain, der, libvoms, voms
from osg_site_iaas.identity.trust import TrustDirectory
from osg_site_iaas.identity.vomsdir import VomsDirectory
from tests import pki
from tests.voms_ac import voms_proxy


def median(function: Callable[[], object], times: int) -> float:
    """Milliseconds of a call, after a few to warm up."""
    for _ in range(5):
        function()
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        grid, authority = pki.Grid(Path(folder)), pki.ca()
        grid.trust(authority)
        server = pki.end_entity(f"{pki.ORG}/CN=voms.example.org", authority, hosts=["voms.example.org"])
        grid.lsc("cms", server.dn, authority.dn)
        grid.revoke(authority, range(1, 20000))
        fqans = [f"/cms/group{n}/Role=NULL/Capability=NULL" for n in range(10)]
        holder = voms_proxy(pki.end_entity(f"{pki.ORG}/CN=Jane", authority), server, fqans)
        trust, vomsdir = TrustDirectory(grid.certificates).current(), VomsDirectory(grid.vomsdir)
        found = chain.verify(holder.chain, trust, now=pki.now())
        value = voms.extension(found)
        assert value is not None
        cases: dict[str, tuple[Callable[[], object], int]] = {
            "chain of proxy, user, CA; a CRL of 20,000": (
                lambda: chain.verify(holder.chain, trust, now=pki.now()), 1000,
            ),
            "AC of 10 FQANs, own verifier": (
                lambda: voms.verify(found, trust, vomsdir, now=pki.now()), 1000,
            ),
            "  of which reading it": (lambda: voms.parse_extension(value), 1000),
        }  # fmt: skip
        try:
            library = libvoms.Library()
            cases["chain and AC, libvomsapi"] = (
                lambda: library.verify(holder.chain, grid.vomsdir, grid.certificates), 50,
            )  # fmt: skip
        except SiteError as error:
            print(error.what)
        try:
            from pyasn1.codec.der import decoder
            from pyasn1_modules import rfc5755

            raw = der.read(value).children()[0].children()[0]
            assert ac.parse(raw)
            cases["reading it with pyasn1 (RFC 5755 module)"] = (
                lambda: decoder.decode(raw.raw, asn1Spec=rfc5755.AttributeCertificate()), 100,
            )  # fmt: skip
        except ImportError:
            print("pyasn1_modules is not installed")
        for name, (function, times) in cases.items():
            print(f"{name:48} {median(function, times):8.3f} ms")


if __name__ == "__main__":
    main()
