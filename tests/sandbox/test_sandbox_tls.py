"""Keystone's second door: TLS, with certificates and proxies of the sandbox's own authority."""

from __future__ import annotations

import datetime as dt

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from osg_site_iaas.sandbox import Sandbox, Wishes
from tests import pki
from tests.sandbox.echo_tls import PATH


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    """Keystone alone, with the echo in front."""
    made = Sandbox.open(state=tmp_path_factory.mktemp("tls") / "box")
    made.up(wishes=Wishes(services=("keystone",), wrapper="tests.sandbox.echo_tls:wrap"))
    yield made
    made.down()


@pytest.fixture
def user(sandbox):
    """The user that the sandbox's authority vouches for."""
    return holder(sandbox, "user", (holder(sandbox, "ca"),))


def holder(sandbox, part, above=()):
    folder = sandbox.folder / "pki"
    certificate = x509.load_pem_x509_certificate((folder / f"{part}.pem").read_bytes())
    return pki.Holder(certificate, load_pem_private_key((folder / f"{part}.key").read_bytes(), None), above)


def ask(sandbox, credential=None, scheme="https", headers=None):
    """What the server knows of whoever shows the credential, a file of key and chain."""
    url = sandbox.endpoints["keystone-tls" if scheme == "https" else "keystone"].removesuffix("/v3") + PATH
    authority = str(sandbox.folder / "pki/ca.pem")
    return requests.get(
        url, cert=credential and str(credential), verify=authority, headers=headers, timeout=60
    ).json()


def show(credential: pki.Holder, tmp_path):
    """A file as grid clients have it: certificate, key, chain."""
    return credential.write(tmp_path / "credential.pem")


def test_without_a_certificate_nobody_is_known(sandbox):
    known = ask(sandbox)
    assert known["SSL_CLIENT_VERIFY"] == "NONE"
    assert not [name for name in known if name.startswith("SSL_CLIENT_CERT")]


def test_a_certificate_comes_with_its_verified_chain(sandbox, user, tmp_path):
    known = ask(sandbox, show(user, tmp_path))
    assert known["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert chain(known) == ["Sandbox User", "Sandbox Test CA"]


def test_a_proxy_of_a_proxy_comes_with_its_verified_chain(sandbox, user, tmp_path):
    first = pki.proxy(user, cn="111")
    second = pki.proxy(first, cn="222")
    known = ask(sandbox, show(second, tmp_path))
    assert known["SSL_CLIENT_VERIFY"] == "SUCCESS"
    assert chain(known) == ["222", "111", "Sandbox User", "Sandbox Test CA"]


def chain(known: dict[str, str]) -> list[str]:
    """The last common name of each certificate, from the client's on."""
    pems = [known["SSL_CLIENT_CERT"]]
    while f"SSL_CLIENT_CERT_CHAIN_{len(pems) - 1}" in known:
        pems.append(known[f"SSL_CLIENT_CERT_CHAIN_{len(pems) - 1}"])
    subjects = [x509.load_pem_x509_certificate(pem.encode()).subject for pem in pems]
    return [subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[-1].value for subject in subjects]


def test_headers_cannot_pretend_to_be_a_verified_certificate(sandbox, user):
    pretended = {
        "SSL_CLIENT_VERIFY": "SUCCESS",
        "SSL-CLIENT-VERIFY": "SUCCESS",
        "SSL_CLIENT_CERT": user.pem().decode().replace("\n", " "),
        "REMOTE_USER": "admin",
    }
    for scheme in ("http", "https"):
        known = ask(sandbox, scheme=scheme, headers=pretended)
        assert known.get("SSL_CLIENT_VERIFY", "NONE") == "NONE"
        assert "SSL_CLIENT_CERT" not in known
        assert "REMOTE_USER" not in known


def of_another_authority(user):
    return pki.end_entity(user.dn, pki.ca("/DC=org/DC=sandbox/CN=Sandbox Test CA"))


def proxy_of_another_authority(user):
    return pki.proxy(of_another_authority(user))


def proxy_that_has_expired(user):
    return pki.proxy(user, end=-dt.timedelta(minutes=10))


def proxy_without_its_owner(user):
    made = pki.proxy(user)
    return pki.Holder(made.certificate, made.key)


def proxy_signed_by_nobody(user):
    return pki.proxy(user, signer=pki.rsa_key())


@pytest.mark.parametrize(
    "wrong",
    [
        of_another_authority,
        proxy_of_another_authority,
        proxy_that_has_expired,
        proxy_without_its_owner,
        proxy_signed_by_nobody,
    ],
)
def test_what_cannot_be_verified_ends_the_connection(sandbox, user, wrong, tmp_path):
    with pytest.raises(requests.exceptions.ConnectionError):
        ask(sandbox, show(wrong(user), tmp_path))
    assert ask(sandbox)["SSL_CLIENT_VERIFY"] == "NONE"


def test_keystone_itself_answers_on_both_doors(sandbox):
    plain = requests.get(sandbox.endpoints["keystone"], timeout=60)
    secure = requests.get(
        sandbox.endpoints["keystone-tls"], verify=str(sandbox.folder / "pki/ca.pem"), timeout=60
    )
    assert plain.status_code == secure.status_code == 200
