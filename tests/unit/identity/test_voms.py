"""Attribute certificates: each case is put to our verifier and to VOMS's own library, and both must agree."""

from __future__ import annotations

import datetime as dt
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Optional

import pytest
from cryptography import x509
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import chain as chains
from osg_site_iaas.identity import der, libvoms, voms
from osg_site_iaas.identity.refused import Refused
from osg_site_iaas.identity.trust import TrustDirectory
from osg_site_iaas.identity.vomsdir import VomsDirectory, parse
from tests import pki, voms_ac
from tests.unit.identity.conftest import JANE, SERVER, World
from tests.voms_ac import voms_proxy

PLAIN = "/cms/Role=NULL/Capability=NULL"
PILOT = "/cms/Role=pilot/Capability=NULL"
MINUTE = dt.timedelta(minutes=1)


def _library() -> Optional[libvoms.Library]:
    try:
        return libvoms.Library()
    except SiteError:
        return None


LIBRARY = _library()


def ours(
    world: World, holder: pki.Holder, hosts: tuple[str, ...] = ()
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((m.vo, m.fqans) for m in world.memberships(holder, hosts))


def theirs(world: World, holder: pki.Holder) -> tuple[tuple[str, tuple[str, ...]], ...]:
    assert LIBRARY is not None
    return LIBRARY.verify(holder.chain, world.grid.vomsdir, world.grid.certificates)


def outcome(verify: Callable[[], object]) -> object:
    try:
        return verify()
    except Refused:
        return "refused"


def _two_vos(w: World) -> pki.Holder:
    first = voms_ac.attribute_certificate(w.jane, w.server, [PILOT, PLAIN])
    w.grid.lsc("atlas", SERVER, w.ca.dn)
    second = voms_ac.attribute_certificate(w.jane, w.server, ["/atlas/Role=NULL/Capability=NULL"], vo="atlas")
    return pki.proxy(w.jane, voms=voms_ac.extension_value(first, second))


ACCEPTED = {
    "one FQAN": (lambda w: voms_proxy(w.jane, w.server), (("cms", (PLAIN,)),)),
    "the order is kept": (lambda w: voms_proxy(w.jane, w.server, [PILOT, PLAIN]), (("cms", (PILOT, PLAIN)),)),
    "below a further proxy": (lambda w: pki.proxy(voms_proxy(w.jane, w.server)), (("cms", (PLAIN,)),)),
    "two VOs": (_two_vos, (("cms", (PILOT, PLAIN)), ("atlas", ("/atlas/Role=NULL/Capability=NULL",)))),
    "no attributes": (lambda w: pki.proxy(w.jane), ()),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case: str, fresh: World) -> None:
    make, expected = ACCEPTED[case]
    holder = make(fresh)
    assert ours(fresh, holder) == expected
    if LIBRARY:
        assert theirs(fresh, holder) == expected


def _tampered(w: World) -> pki.Holder:
    ac = voms_ac.attribute_certificate(w.jane, w.server, [PILOT])
    return pki.proxy(w.jane, voms=voms_ac.extension_value(ac.replace(b"Role=pilot", b"Role=admin")))


def _stolen(w: World) -> pki.Holder:
    thief = pki.end_entity(f"{pki.ORG}/OU=People/CN=Thief", w.ca)
    ac = voms_ac.attribute_certificate(w.jane, w.server)
    return pki.proxy(thief, voms=voms_ac.extension_value(ac))


def _same_name_other_ca(w: World) -> pki.Holder:
    """A thief with Jane's serial number, from another trusted CA."""
    other = pki.ca(f"{pki.ORG}/CN=Other CA")
    w.grid.trust(other)
    thief = pki.end_entity(JANE, other, serial=w.jane.certificate.serial_number)
    return pki.proxy(thief, voms=voms_ac.extension_value(voms_ac.attribute_certificate(w.jane, w.server)))


def _other_signer(w: World) -> pki.Holder:
    """A host of the same CA, which does not speak for the VO, signs."""
    host = pki.end_entity(f"{pki.ORG}/OU=Services/CN=www.example.org", w.ca)
    return voms_proxy(w.jane, host)


def _other_key(w: World) -> pki.Holder:
    return voms_proxy(w.jane, w.server, key=pki.rsa.generate_private_key(65537, 2048))


def _forged_server(w: World) -> pki.Holder:
    """The server's name and its CA's, all self-made."""
    return voms_proxy(w.jane, pki.end_entity(SERVER, pki.ca()))


def _issuer_of_another_name(w: World) -> pki.Holder:
    host = pki.end_entity(f"{pki.ORG}/OU=Services/CN=www.example.org", w.ca)
    return voms_proxy(w.jane, host, issuer=w.server.certificate.subject.public_bytes())


def _server_of_another_host(w: World) -> pki.Holder:
    w.grid.lsc("cms", f"{pki.ORG}/CN=someone", w.ca.dn, host="voms2.example.org")
    return voms_proxy(w.jane, w.server, host="voms2.example.org:15000")


def _user_signs(w: World) -> pki.Holder:
    return voms_proxy(w.jane, w.jane)


def _revoked_server(w: World) -> pki.Holder:
    w.grid.revoke(w.ca, [w.server.certificate.serial_number])
    return voms_proxy(w.jane, w.server)


def _expired_server(w: World) -> pki.Holder:
    return voms_proxy(w.jane, pki.end_entity(SERVER, w.ca, end=-MINUTE))


REFUSED = {
    "tampered": (_tampered, "signature"),
    "stolen": (_stolen, "belong to another"),
    "stolen, with the serial number of another CA": (_same_name_other_ca, "belong to another"),
    "expired": (lambda w: voms_proxy(w.jane, w.server, end=-10 * MINUTE), "expired"),
    "not valid yet": (lambda w: voms_proxy(w.jane, w.server, start=10 * MINUTE), "not valid yet"),
    "signed by another host": (_other_signer, "may speak for"),
    "signed by another key": (_other_key, "signature"),
    "signed by a forged server": (_forged_server, "not signed by the CA"),
    "signed by the user": (_user_signs, "may speak for"),
    "signer is not the issuer": (_issuer_of_another_name, "another issuer"),
    "another host of the VO": (_server_of_another_host, "may speak for"),
    "a host that the site does not know": (
        lambda w: voms_proxy(w.jane, w.server, host="x.org:1"),
        "may speak for",
    ),
    "for another host": (
        lambda w: voms_proxy(w.jane, w.server, extensions=[voms_ac.targets("x.org")]),
        "host",
    ),
    "FQAN of another VO": (lambda w: voms_proxy(w.jane, w.server, ["/atlas/Role=NULL"]), "outside its VO"),
    "FQAN of a longer VO": (lambda w: voms_proxy(w.jane, w.server, ["/cmsx/Role=NULL"]), "outside its VO"),
    "second FQAN of another VO": (
        lambda w: voms_proxy(w.jane, w.server, [PLAIN, "/atlas"]),
        "outside its VO",
    ),
    "VO that the site does not know": (
        lambda w: voms_proxy(w.jane, w.server, ["/lhcb"], vo="lhcb"),
        "may speak for",
    ),
    "revoked server": (_revoked_server, "revoked"),
    "expired server": (_expired_server, "expired"),
    "SHA-1": (lambda w: voms_proxy(w.jane, w.server, algorithm=voms_ac.RSA_SHA1), "signed with"),
    "two algorithms": (
        lambda w: voms_proxy(w.jane, w.server, inner_algorithm=voms_ac.RSA_SHA1),
        "cannot be read",
    ),
    "no certificate of the signer": (
        lambda w: voms_proxy(w.jane, w.server, certificates=[]),
        "cannot be read",
    ),
}
# What VOMS's own library (2.1.0) takes, as seen, and we do not.
LIBRARY_IS_LAXER = {"SHA-1", "two algorithms"}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, fresh: World, refusal: Callable[..., str]) -> None:
    make, words = REFUSED[case]
    assert words in refusal(fresh.memberships, make(fresh))


@pytest.mark.skipif(LIBRARY is None, reason="libvomsapi.so.1 is not installed")
@pytest.mark.parametrize("case", sorted(set(REFUSED) - LIBRARY_IS_LAXER))
def test_refused_by_the_library_too(case: str, fresh: World) -> None:
    assert outcome(lambda: theirs(fresh, REFUSED[case][0](fresh))) == "refused"


@pytest.mark.skipif(LIBRARY is None, reason="libvomsapi.so.1 is not installed")
@pytest.mark.parametrize("case", sorted(LIBRARY_IS_LAXER))
def test_the_list_of_differences_is_true(case: str, fresh: World) -> None:
    assert outcome(lambda: theirs(fresh, REFUSED[case][0](fresh))) == (("cms", (PLAIN,)),)


@pytest.mark.parametrize("host", ["keystone.example.org", "https://keystone.example.org:5000/v3"])
def test_attributes_for_certain_hosts_are_taken_at_those(host: str, world: World) -> None:
    holder = voms_proxy(world.jane, world.server, extensions=[voms_ac.targets("x.org", host)])
    assert ours(world, holder, ("keystone.example.org",)) == (("cms", (PLAIN,)),)


@pytest.mark.parametrize(
    "fqan",
    [
        "/cms;/atlas",
        "/cms/Role=a;b",
        "/cms/../atlas",
        "/cms/Role=x/y",
        "/cms//x",
        "/cms/Role=é",
        "/cms/",
        "/cms\n",
    ],
)
def test_an_fqan_that_could_mean_more_than_it_says_is_refused(fqan: str, world: World) -> None:
    assert outcome(lambda: world.memberships(voms_proxy(world.jane, world.server, [fqan]))) == "refused"


@pytest.mark.parametrize(
    "authority", ["cms", "cms://", "://h:1", "../cms://h:1", "cms://../x:1", "c/m://h:1", "cms://h:x"]
)
def test_an_authority_cannot_climb_out_of_the_vomsdir(authority: str, world: World) -> None:
    assert (
        outcome(lambda: world.memberships(voms_proxy(world.jane, world.server, authority=authority)))
        == "refused"
    )


def test_the_attributes_nearest_the_leaf_count(fresh: World) -> None:
    lower = voms_proxy(fresh.jane, fresh.server, [PLAIN])
    ac = voms_ac.attribute_certificate(fresh.jane, fresh.server, [PILOT])
    both = pki.proxy(lower, voms=voms_ac.extension_value(ac))
    assert ours(fresh, both) == (("cms", (PILOT,)),)
    if LIBRARY:
        assert theirs(fresh, both) == (("cms", (PILOT,)),)


def test_one_bad_certificate_among_good_ones_spoils_them_all(fresh: World) -> None:
    good = voms_ac.attribute_certificate(fresh.jane, fresh.server)
    bad = voms_ac.attribute_certificate(fresh.server, fresh.server)
    holder = pki.proxy(fresh.jane, voms=voms_ac.extension_value(good, bad))
    assert outcome(lambda: ours(fresh, holder)) == "refused"
    if LIBRARY:
        assert outcome(lambda: theirs(fresh, holder)) == "refused"


def test_a_vos_server_may_change_its_certificate_by_a_second_chain(fresh: World) -> None:
    new = pki.end_entity(f"{pki.ORG}/OU=Services/CN=voms-new.example.org", fresh.ca)
    file = fresh.grid.vomsdir / "cms" / "voms.example.org.lsc"
    holder = voms_proxy(fresh.jane, new)
    assert outcome(lambda: ours(fresh, holder)) == "refused"
    file.write_text(f"{SERVER}\n{fresh.ca.dn}\n------ NEXT CHAIN ------\n{new.dn}\n{fresh.ca.dn}\n")
    assert ours(fresh, holder) == (("cms", (PLAIN,)),)


def test_a_file_that_names_the_server_alone_is_not_enough() -> None:
    assert parse("/CN=a\n\n# x\n--- NEXT CHAIN ---\n/CN=b\n/CN=ca\n") == (("/CN=a",), ("/CN=b", "/CN=ca"))


def test_a_server_below_a_sub_ca_needs_the_names_of_both(fresh: World) -> None:
    middle = pki.ca(f"{pki.ORG}/CN=Sub CA", fresh.ca)
    fresh.grid.trust(middle)
    holder = voms_proxy(fresh.jane, pki.end_entity(SERVER, middle))
    assert outcome(lambda: ours(fresh, holder)) == "refused"
    fresh.grid.lsc("cms", SERVER, middle.dn)
    assert ours(fresh, holder) == (("cms", (PLAIN,)),)
    fresh.grid.lsc("cms", SERVER, middle.dn, fresh.ca.dn)
    assert ours(fresh, holder) == (("cms", (PLAIN,)),)


@pytest.mark.skipif(shutil.which("voms-proxy-fake") is None, reason="voms-clients is not installed")
def test_a_proxy_made_by_voms_itself_is_taken_by_both(world: World, tmp_path: Path) -> None:
    for name, holder in (("user", world.jane), ("voms", world.server)):
        (tmp_path / f"{name}.pem").write_bytes(pki.cert_pem(holder.certificate))
        key = tmp_path / f"{name}.key"
        key.touch(mode=0o600)
        key.write_bytes(holder.key_pem())
    command = [
        "voms-proxy-fake", "-rfc", "-newformat", "-quiet", "-hours", "1", "-voms", "cms",
        "-cert", "user.pem", "-key", "user.key", "-hostcert", "voms.pem", "-hostkey", "voms.key",
        "-uri", "voms.example.org:15000", "-fqan", PILOT, "-fqan", PLAIN,
        "-certdir", str(world.grid.certificates), "-out", "proxy.pem",
    ]  # fmt: skip
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    certificates = x509.load_pem_x509_certificates((tmp_path / "proxy.pem").read_bytes())
    trust = TrustDirectory(world.grid.certificates).current()
    found = chains.verify(certificates, trust, now=pki.now())
    (membership,) = voms.verify(found, trust, VomsDirectory(world.grid.vomsdir), now=pki.now())
    assert (found.subject, membership.vo, membership.fqans, membership.server) == (
        JANE,
        "cms",
        (PILOT, PLAIN),
        SERVER,
    )
    if LIBRARY:
        assert LIBRARY.verify(certificates, world.grid.vomsdir, world.grid.certificates) == (
            ("cms", (PILOT, PLAIN)),
        )


GOOD: dict[str, object] = {}


def _good(world: World) -> tuple[chains.Chain, bytes]:
    """A verified chain and its extension's value, made once."""
    if not GOOD:
        holder = voms_proxy(world.jane, world.server, [PILOT])
        found = world.verify(holder.chain)
        GOOD.update(chain=found, value=voms.extension(found))
    return GOOD["chain"], GOOD["value"]  # type: ignore[return-value]


def _put(chain: chains.Chain, value: bytes) -> chains.Chain:
    """The chain with another extension in its leaf; the leaf's own signature is of no matter here."""
    leaf = pki.proxy(pki.Holder(chain.eec, pki.rsa_key()), voms=value, key=_KEY, signer=_KEY).certificate
    return chains.Chain(
        chain.subject, chain.issuer, (leaf,), chain.eec, chain.authorities, False, chain.not_after
    )


_KEY = pki.ec.generate_private_key(pki.ec.SECP256R1())
_FUZZ = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@_FUZZ
@given(data=st.data())
def test_no_change_of_a_byte_is_accepted_or_crashes(world: World, data: st.DataObject) -> None:
    chain, value = _good(world)
    at = data.draw(st.integers(0, len(value) - 1))
    octet = data.draw(st.integers(0, 255).filter(lambda o: o != value[at]))
    changed = value[:at] + bytes([octet]) + value[at + 1 :]
    _must_not_prove(world, chain, changed)


@_FUZZ
@given(cut=st.integers(0, 2000), extra=st.binary(max_size=40))
@example(cut=0, extra=b"\0")
def test_no_cut_or_longer_one_is_accepted_or_crashes(world: World, cut: int, extra: bytes) -> None:
    chain, value = _good(world)
    changed = value[: max(0, len(value) - cut)] + extra
    if changed != value:
        _must_not_prove(world, chain, changed)


@_FUZZ
@given(st.binary(max_size=300))
@example(b"\x30\x84\xff\xff\xff\xff")
@example(b"\x30\x80\x00\x00")
@example(b"\x30" * 150)
def test_garbage_is_refused_and_crashes_nothing(world: World, value: bytes) -> None:
    chain, _ = _good(world)
    _must_not_prove(world, chain, value)


def _must_not_prove(world: World, chain: chains.Chain, value: bytes) -> None:
    trust = TrustDirectory(world.grid.certificates).current()
    with pytest.raises(Refused):
        voms.verify(_put(chain, value), trust, VomsDirectory(world.grid.vomsdir), now=pki.now())


def test_a_name_of_an_unknown_kind_of_text_is_refused(world: World) -> None:
    """Found by the test above: cryptography 36 answers with KeyError."""
    chain, value = _good(world)
    changed = value.replace(b"\x0c\x10voms.example.org", b"\x00\x10voms.example.org")
    assert changed != value
    _must_not_prove(world, chain, changed)


@given(st.binary(max_size=200))
def test_what_the_reader_reads_can_be_written_only_that_way(data: bytes) -> None:
    try:
        element = der.read(data)
    except der.DerError:
        return
    assert pki.der(element.tag, element.body) == data == element.raw
