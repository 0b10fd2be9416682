"""A chain is believed only if every link of it holds."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Optional

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from osg_site_iaas.errors import SiteError
from osg_site_iaas.identity import signatures
from osg_site_iaas.identity.chain import Rules
from osg_site_iaas.identity.trust import TrustDirectory
from tests import pki
from tests.unit.identity.conftest import JANE, World

MINUTE = dt.timedelta(minutes=1)


def test_a_users_certificate_is_its_own_subject(world: World) -> None:
    found = world.verify(world.jane.chain)
    assert (found.subject, found.issuer, found.proxies) == (JANE, f"{pki.ORG}/CN=Test CA", ())


def test_a_proxy_of_a_proxy_stands_for_the_user(world: World) -> None:
    leaf = pki.proxy(pki.proxy(world.jane))
    found = world.verify(leaf.chain)
    assert (found.subject, len(found.proxies), found.limited) == (JANE, 2, False)


def test_a_chain_ends_when_its_first_certificate_ends(world: World) -> None:
    leaf = pki.proxy(pki.proxy(world.jane, end=30 * MINUTE))
    assert world.verify(leaf.chain).not_after <= pki.now() + 30 * MINUTE


def test_the_order_in_which_certificates_are_sent_does_not_matter(world: World) -> None:
    leaf = pki.proxy(pki.proxy(world.jane))
    first, *others = leaf.chain
    assert world.verify([first, *reversed(others), world.ca.certificate]).subject == JANE


def test_elliptic_curve_users_are_believed(world: World) -> None:
    user = pki.end_entity(f"{pki.ORG}/CN=Curve", world.ca, key=ec.generate_private_key(ec.SECP384R1()))
    assert world.verify(pki.proxy(user).chain).subject == f"{pki.ORG}/CN=Curve"


def test_a_limited_proxy_is_refused_unless_the_site_allows_it(world: World, refusal) -> None:
    limited = pki.proxy(pki.proxy(world.jane, policy=pki.LIMITED))
    assert "limited proxy" in refusal(world.verify, limited.chain)
    assert world.verify(limited.chain, Rules(allow_limited=True)).limited


def test_what_follows_a_limited_proxy_is_limited(world: World, refusal) -> None:
    full = pki.proxy(pki.proxy(world.jane, policy=pki.LIMITED), policy=pki.FULL)
    assert "limited proxy" in refusal(world.verify, full.chain)


def _stranger(world: World) -> pki.Holder:
    return pki.end_entity(JANE, pki.ca(f"{pki.ORG}/CN=Unknown CA"))


def _impostor(world: World) -> pki.Holder:
    """Jane's name, from a CA of the right name and a key of its own."""
    return pki.end_entity(JANE, pki.ca())


def _self_made(world: World) -> pki.Holder:
    key = pki.rsa_key()
    return pki.Holder(pki.make(JANE, key), key)


def _under_a_user(world: World) -> pki.Holder:
    """A plain user signs another user's certificate."""
    made = pki.end_entity(f"{pki.ORG}/CN=Made by Jane", world.jane)
    return pki.Holder(made.certificate, made.key, (world.jane,))


def _policy_of_its_own(world: World) -> pki.Holder:
    return pki.proxy(world.jane, policy=bytes.fromhex("06032a0304"))


def _other_name(world: World) -> pki.Holder:
    return pki.proxy(world.jane, subject=pki.name(f"{pki.ORG}/OU=People/CN=Somebody Else/CN=1"))


def _signed_by_another(world: World) -> pki.Holder:
    return pki.proxy(world.jane, signer=pki.rsa.generate_private_key(65537, 2048))


def _too_deep(world: World) -> pki.Holder:
    return pki.proxy(pki.proxy(world.jane, path_length=0))


def _too_deep_below(world: World) -> pki.Holder:
    return pki.proxy(pki.proxy(pki.proxy(world.jane, path_length=1)))


def _ca_among_proxies(world: World) -> pki.Holder:
    above = pki.proxy(world.jane)
    ca_flag = (x509.BasicConstraints(ca=True, path_length=None), True)
    return pki.proxy(above, extensions=[ca_flag])


def _may_not_sign(world: World) -> pki.Holder:
    user = pki.end_entity(f"{pki.ORG}/CN=No Signing", world.ca, usage=pki.key_usage("key_encipherment"))
    return pki.proxy(user)


def _alternative_name(world: World) -> pki.Holder:
    return pki.proxy(
        world.jane, extensions=[(x509.SubjectAlternativeName([x509.DNSName("a.example.org")]), False)]
    )


def _unknown_critical(world: World) -> pki.Holder:
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    return pki.end_entity(f"{pki.ORG}/CN=Odd", world.ca, extensions=[(extension, True)])


def _two_names(world: World) -> pki.Holder:
    base = list(pki.name(pki.ORG))
    sly = x509.NameAttribute(x509.NameOID.COMMON_NAME, "x/OU=People/CN=Jane Pilot")
    return pki.end_entity(x509.Name([*base, sly]), world.ca)  # type: ignore[arg-type]


def _not_for_clients(world: World) -> pki.Holder:
    purpose = x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH])
    return pki.end_entity(f"{pki.ORG}/CN=Server Only", world.ca, extensions=[(purpose, False)])


REFUSED = {
    "unknown CA": (_stranger, "not trusted"),
    "forged CA": (_impostor, "not signed by the CA"),
    "self-signed": (_self_made, "not trusted"),
    "signed by a user": (_under_a_user, "no CA"),
    "expired certificate": (lambda w: pki.end_entity(JANE, w.ca, end=-MINUTE), "expired"),
    "certificate of tomorrow": (lambda w: pki.end_entity(JANE, w.ca, start=pki.HOUR), "not valid before"),
    "expired proxy": (lambda w: pki.proxy(w.jane, end=-MINUTE), "the proxy expired"),
    "proxy of an expired proxy": (lambda w: pki.proxy(pki.proxy(w.jane, end=-MINUTE)), "the proxy expired"),
    "independent proxy": (lambda w: pki.proxy(w.jane, policy=pki.INDEPENDENT), "independent"),
    "proxy with a policy": (_policy_of_its_own, "policy of its own"),
    "proxyCertInfo not critical": (lambda w: pki.proxy(w.jane, critical=False), "not critical"),
    "proxyCertInfo garbage": (lambda w: pki.proxy(w.jane, info=b"\x30\x03abc"), "cannot be read"),
    "proxy with another name": (_other_name, "issuer's subject and one CN"),
    "proxy signed by a stranger": (_signed_by_another, "not signed"),
    "deeper than path length 0": (_too_deep, "path length 0"),
    "deeper than path length 1": (_too_deep_below, "path length 1"),
    "CA flag in a proxy": (_ca_among_proxies, "CA"),
    "issuer may not sign": (_may_not_sign, "key usage"),
    "alternative name in a proxy": (_alternative_name, "alternative name"),
    "unknown critical extension": (_unknown_critical, "unknown critical"),
    "a name that reads as two": (_two_names, "two ways"),
    "a server's certificate": (_not_for_clients, "not meant for clients"),
    "a CA's own certificate": (lambda w: w.ca, "CA"),
    "outside the signing policy": (lambda w: pki.end_entity("/DC=net/CN=Jane", w.ca), "signing policy"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, world: World, refusal) -> None:
    make, words = REFUSED[case]
    assert words in refusal(world.verify, make(world).chain)


def test_a_proxy_without_its_user_is_refused(world: World, refusal) -> None:
    assert "missing" in refusal(world.verify, pki.proxy(world.jane).chain[:1])


def test_no_certificate_and_too_many_are_refused(world: World, refusal) -> None:
    assert "no certificate" in refusal(world.verify, [])
    assert "more than" in refusal(world.verify, world.jane.chain * 21)


@pytest.mark.parametrize("weak", [hashes.SHA1(), hashes.MD5(), None])
def test_signatures_with_a_broken_digest_are_not_even_looked_at(weak: Optional[hashes.HashAlgorithm]) -> None:
    with pytest.raises(UnsupportedAlgorithm):
        signatures.verify(pki.rsa_key().public_key(), b"", b"", weak, "1.2.840.113549.1.1.5")


def test_sub_authorities_need_their_root_and_their_policies(fresh: World, refusal) -> None:
    middle = pki.ca(f"{pki.ORG}/CN=Sub CA", fresh.ca)
    user = pki.end_entity(f"{pki.ORG}/CN=Below", middle)
    sent = [user.certificate, middle.certificate]
    assert "no signing policy" in refusal(fresh.verify, sent)
    fresh.grid.trust(middle)
    assert len(fresh.verify(sent).authorities) == 2
    assert fresh.verify(user.chain).subject == f"{pki.ORG}/CN=Below"
    for stem in fresh.grid.stems(fresh.ca):
        (fresh.grid.certificates / f"{stem}.0").unlink()
    assert "not trusted" in refusal(fresh.verify, sent)


def test_a_ca_may_not_make_more_levels_than_it_was_allowed(fresh: World, refusal) -> None:
    narrow = pki.ca(f"{pki.ORG}/CN=Narrow CA", path_length=0)
    below = pki.ca(f"{pki.ORG}/CN=Sub CA", narrow)
    fresh.grid.trust(narrow)
    fresh.grid.trust(below)
    user = pki.end_entity(f"{pki.ORG}/CN=Deep", below)
    assert "deeper" in refusal(fresh.verify, user.chain)


def test_a_revoked_user_a_revoked_sub_ca_and_stale_lists_are_refused(fresh: World, refusal) -> None:
    holder = pki.proxy(fresh.jane)
    fresh.grid.revoke(fresh.ca, [12345])
    assert fresh.verify(holder.chain).subject == JANE
    fresh.grid.revoke(fresh.ca, [fresh.jane.certificate.serial_number])
    assert "revoked" in refusal(fresh.verify, holder.chain)
    fresh.grid.revoke(fresh.ca, [], start=-48 * pki.HOUR, end=-pki.HOUR)
    assert "out of date" in refusal(fresh.verify, holder.chain)
    fresh.grid.revoke(fresh.ca, [])
    middle = pki.ca(f"{pki.ORG}/CN=Sub CA", fresh.ca)
    fresh.grid.trust(middle)
    below = pki.end_entity(f"{pki.ORG}/CN=Below", middle)
    assert fresh.verify(below.chain)
    fresh.grid.revoke(fresh.ca, [middle.certificate.serial_number])
    assert "revoked" in refusal(fresh.verify, below.chain)


def test_a_site_can_insist_on_revocation_lists(fresh: World, refusal) -> None:
    rules = Rules(require_crl=True)
    assert "no revocation list" in refusal(fresh.verify, fresh.jane.chain, rules)
    fresh.grid.revoke(fresh.ca)
    assert fresh.verify(fresh.jane.chain, rules).subject == JANE


def test_a_forged_list_counts_for_nothing_and_a_broken_one_for_no(fresh: World, refusal) -> None:
    fresh.grid.revoke(fresh.ca, [fresh.jane.certificate.serial_number], signer=pki.ca().key)
    assert fresh.verify(fresh.jane.chain).subject == JANE
    for stem in fresh.grid.stems(fresh.ca):
        (fresh.grid.certificates / f"{stem}.r0").write_text("half a li")
    assert "cannot be read" in refusal(fresh.verify, fresh.jane.chain)


def test_a_partial_list_is_not_taken_for_a_whole_one(fresh: World, refusal) -> None:
    delta = (x509.DeltaCRLIndicator(1), True)
    fresh.grid.revoke(fresh.ca, [], extensions=[delta])
    assert "cannot be read" in refusal(fresh.verify, fresh.jane.chain)


@pytest.mark.parametrize("policy", ["", "access_id_CA X509 'open"])
def test_a_ca_without_a_readable_policy_signs_nothing(
    policy: str, tmp_path: Path, world: World, refusal
) -> None:
    grid = pki.Grid(tmp_path)
    grid.trust(world.ca, policy=policy)
    elsewhere = World(grid, world.ca, world.jane, world.server)
    assert "signing policy" in refusal(elsewhere.verify, world.jane.chain)


def test_the_directory_is_read_again_when_it_changes(fresh: World) -> None:
    now = [0.0]
    directory = TrustDirectory(fresh.grid.certificates, recheck=5.0, clock=lambda: now[0])
    first = directory.current()
    fresh.grid.trust(pki.ca(f"{pki.ORG}/CN=New CA"))
    assert directory.current() is first
    now[0] = 5.0
    second = directory.current()
    assert (len(first.anchors), len(second.anchors), second.generation) == (1, 2, 2)
    now[0] = 10.0
    assert directory.current() is second


def test_a_broken_file_takes_only_itself_away(fresh: World) -> None:
    (fresh.grid.certificates / "deadbeef.0").write_text("no certificate")
    (fresh.grid.certificates / "deadbeef.1").symlink_to("nowhere")
    assert fresh.verify(fresh.jane.chain).subject == JANE


def test_a_missing_directory_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="osg-ca-certs"):
        TrustDirectory(tmp_path / "nowhere").current()
